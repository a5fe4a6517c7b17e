"""Tasks of the lab's ECS that are OpenClaws: processes of this computer, with their states in a folder that stands for the old EFS."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from openclaw_hosted.adapters.local.install import OpenClawRelease
from openclaw_hosted.adapters.local.runtimes import Berth, ProcessRuntime
from openclaw_hosted.adapters.openclaw.config import merge_patch, render_config
from openclaw_hosted.domain.gateway import Credential, GatewaySpec
from openclaw_hosted.domain.naming import InstanceId, volume_of
from tests.support.platform import wait_until
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_SECONDS

NAME = InstanceId("oc-22222222")


@dataclass
class OldTask:
    """One OpenClaw (`lab.plane.tasks.Task`)."""

    process: subprocess.Popen[bytes]
    port: int
    token: str
    address: str = "127.0.0.1"

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_SECONDS)

    def speak(self, text: str) -> None:
        """One turn."""
        speak(f"{self.address}:{self.port}", self.token, text)


@dataclass
class OldOpenClaws:
    """All of them (`lab.plane.tasks.Tasks`). `data_dir` has an installed OpenClaw, `efs` the states."""

    data_dir: Path
    release: OpenClawRelease
    efs: Path
    tasks: dict[str, OldTask] = field(default_factory=dict)
    """By the service's name."""

    def start(self, service: str, volumes: Sequence[dict[str, Any]]) -> OldTask:
        root = str(volumes[0]["efsVolumeConfiguration"]["rootDirectory"])
        program, port, token = self._prepare(self.efs / root.lstrip("/"))
        with Path(program.log).open("ab") as log:
            process = subprocess.Popen(program.argv, env=dict(program.env), cwd=program.cwd, stdout=log, stderr=log)
        task = OldTask(process, port, token)
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}/{Path(root).name}/"), PATIENCE_SECONDS)
        self.tasks[service] = task
        return task

    def _prepare(self, state: Path) -> tuple[Any, int, str]:
        """How one is started, with its files as an old system may have written them."""
        user, port, token = state.name, free_port(), secrets.token_urlsafe(32)
        directory = self.data_dir / "old" / user
        berth = Berth(directory, port, self.release.version, NAME, state, directory / "home")
        for path in (berth.state_dir, berth.home_dir, berth.secrets_dir):
            path.mkdir(parents=True, exist_ok=True)
        runtime = ProcessRuntime(self.data_dir, self.release)
        config = render_config(GatewaySpec(NAME, 1, volume_of(NAME), self.release.version), runtime.places(directory, port), {})
        served = merge_patch(config, {"gateway": {"controlUi": {"basePath": f"/{user}"}}})
        (state / "openclaw.json").write_text(json.dumps(served))
        kept = berth.secrets_dir / "secrets.json"
        kept.touch(mode=0o600)
        kept.write_text(json.dumps({Credential.GATEWAY_TOKEN: token}))
        return runtime.program(berth), port, token


def speak(address: str, token: str, text: str) -> None:
    """One turn, asked of a gateway itself."""
    body = {"model": "openclaw", "messages": [{"role": "user", "content": text}]}
    headers = {"Authorization": f"Bearer {token}"}
    httpx.post(f"http://{address}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE_SECONDS).raise_for_status()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
