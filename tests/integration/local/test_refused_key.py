"""What the real OpenClaw prints when its model's provider refuses the key, as containers on AWS send it to CloudWatch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from openclaw_hosted.adapters.local.processes.process import Program
from openclaw_hosted.adapters.local.runtimes import Berth, ProcessRuntime
from openclaw_hosted.adapters.openclaw.config import Places
from openclaw_hosted.adapters.openclaw.logs import readable
from openclaw_hosted.domain.gateway import Credential, GatewaySettings, ModelProvider
from openclaw_hosted.domain.key_refusal import REFUSED
from tests.support.local_computer import Computer
from tests.support.seats import seat
from tests.support.serving import serving
from tests.support.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.openclaw
REFUSAL = {"error": {"message": "Incorrect API key provided.", "type": "invalid_request_error", "code": "invalid_api_key"}}


class Refusing(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(REFUSAL).encode()
        self.send_response(401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def provider() -> Iterator[str]:
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Refusing)) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where gateways write their standard error output, and nothing else, at the level warn: as on AWS (decision 37)."""
    file, places, program = tmp_path / "errors", ProcessRuntime.places, ProcessRuntime.program

    def warn_only(self: ProcessRuntime, directory: Path, port: int) -> Places:
        return replace(places(self, directory, port), console_level="warn")

    def split(self: ProcessRuntime, berth: Berth) -> Program:
        made = program(self, berth)
        return replace(made, argv=("/bin/bash", "-c", f'exec "$0" "$@" >/dev/null 2>>"{file}"', *made.argv))

    monkeypatch.setattr(ProcessRuntime, "places", warn_only)
    monkeypatch.setattr(ProcessRuntime, "program", split)
    return file


async def test_a_refused_key_is_on_the_output_that_goes_to_cloudwatch(computer: Computer, errors: Path, provider: str) -> None:
    ref, spec = await computer.launch()
    document = dict(await computer.vault.get(spec.instance_id))
    await computer.vault.put(spec.instance_id, {**document, Credential.MODEL_API_KEY: "sk-first-key-0001"}, 1)
    spec = replace(spec, generation=1, revision=1, settings=GatewaySettings(ModelProvider.COMPATIBLE, "gpt", provider))
    await computer.gateways.start(seat(ref, spec), spec)
    await until(lambda: computer.is_ready(ref))
    await computer.gateways.apply(seat(ref, spec), spec)
    assert not [line for line in errors.read_text(encoding="utf-8").splitlines() if REFUSED.search(line)]
    address = next(machine.address for machine in await computer.machines.observe() if machine.provider_ref == ref)
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http:
        await http.post(
            f"http://{address}/v1/chat/completions",
            json={"model": "openclaw", "messages": [{"role": "user", "content": "hello"}]},
            headers={"Authorization": f"Bearer {document[Credential.GATEWAY_TOKEN]}"},
        )
    told = [readable(line) for line in errors.read_text(encoding="utf-8").splitlines()]
    assert any(REFUSED.search(line) and line.startswith("20") for line in told), told
