"""What the platform's plugin says of a model's server before a turn, asked as OpenClaw asks it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from openclaw_hosted.adapters.local.install import NODE_DIR, PLUGIN_DIR
from tests.support.echo_model import EchoServer
from tests.support.openclaw import echo
from tests.support.ports import free_port

__all__ = ["echo"]
ASK = f"""
import {{ answerForAbsentModel, problemOf, serverOf }} from "{PLUGIN_DIR}/presence.js";
const [what, ...args] = JSON.parse(process.argv[1]);
const found = await {{ answerForAbsentModel, problemOf, serverOf }}[what](...args);
console.log(JSON.stringify(found ?? null));
"""


async def ask(what: str, *arguments: object, **environment: str) -> Any:
    command = (str(NODE_DIR / "bin" / "node"), "--input-type=module", "--eval", ASK, "--", json.dumps([what, *arguments]))
    asked = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env={**os.environ, **environment})
    output, _ = await asked.communicate()
    return json.loads(output)


def config_of(base_url: str, **defaults: object) -> dict[str, Any]:
    return {"models": {"providers": {"custom": {"baseUrl": base_url}}}, "agents": {"defaults": defaults}}


async def test_a_turn_is_answered_for_a_model_that_is_not_there(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "openclaw.json"
    config.write_text(json.dumps(config_of(f"http://127.0.0.1:{port}/v1")))
    said = await ask("answerForAbsentModel", {}, {"modelProviderId": "custom", "modelId": "m"}, OPENCLAW_CONFIG_PATH=str(config))
    assert said["handled"]
    assert "custom/m can't be reached" in said["reply"]["text"]
    assert "ECONNREFUSED" in said["reply"]["text"]
    assert await ask("answerForAbsentModel", {}, {"modelProviderId": "anthropic"}, OPENCLAW_CONFIG_PATH=str(config)) is None
    config.write_text("{ // not ours to read")
    assert await ask("answerForAbsentModel", {}, {"modelProviderId": "custom"}, OPENCLAW_CONFIG_PATH=str(config)) is None


async def test_a_server_that_takes_connections_and_is_silent_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        assert await ask("problemOf", f"http://127.0.0.1:{silent.getsockname()[1]}/v1/models", 1) == "SILENT"


async def test_a_server_that_answers_anything_is_there(echo: EchoServer) -> None:
    """The echo server knows no GET, and answers 501."""
    assert await ask("problemOf", f"{echo.base_url}/models", 60_000) is None


async def test_a_wrong_certificate_is_for_openclaw_to_tell(echo: EchoServer) -> None:
    assert await ask("problemOf", f"https://127.0.0.1:{echo.server_port}/v1/models", 60_000) is None


@pytest.mark.parametrize(
    ("config", "provider", "environment", "server"),
    [
        (config_of("http://h/v1"), "custom", {}, "http://h/v1"),
        (config_of("http://h/v1", model={"primary": "custom/m"}), "custom", {}, "http://h/v1"),
        (config_of("http://h/v1", model={"fallbacks": ["anthropic/m"]}), "custom", {}, None),
        (config_of("http://h/v1"), "custom", {"https_proxy": "http://p"}, None),
        (config_of("no address"), "custom", {}, None),
        (config_of("unix:/run/model.sock"), "custom", {}, None),
        ({"models": {"providers": {"echo": {"baseUrl": "http://h"}}}}, "echo", {}, None),
        ({}, "custom", {}, None),
    ],
)
async def test_only_a_model_without_a_substitute_is_looked_at(
    config: dict[str, Any], provider: str, environment: dict[str, str], server: str | None
) -> None:
    assert await ask("serverOf", config, provider, environment) == server
