"""A machine can do things: its tools are there, and what a user installed is theirs for as long as the instance is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from openclaw_hosted.adapters.local.docker.client import docker
from openclaw_hosted.domain.naming import MachineId
from tests.integration.docker.inside import RunningMachine, chat, container, run
from tests.support.local_computer import Computer
from tests.support.registry import npm_registry
from tests.support.seats import seat
from tests.support.waiting import until

__all__ = ["npm_registry"]

pytestmark = [pytest.mark.openclaw, pytest.mark.docker, pytest.mark.asyncio(loop_scope="package")]
TOOLS = ("node", "npm", "npx", "openclaw", "git", "python3", "rg", "jq", "unzip", "curl", "ssh")
INSTALL_SECONDS = 900
PACKAGE = """set -e
    mkdir -p /tmp/hello && cd /tmp/hello
    printf '#!/bin/sh\\necho hello from here\\n' >hello.sh && chmod 755 hello.sh
    echo '{"name": "hello", "version": "1.0.0", "bin": "hello.sh"}' >package.json
    npm install --silent --offline --global "$(npm pack --silent)"
"""


async def called(ref: str, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """What OpenClaw's own command line, in the machine, has the gateway do."""
    line = ("openclaw", "gateway", "call", method, "--json", "--timeout", f"{INSTALL_SECONDS}000", "--params", json.dumps(params))
    said = await docker("exec", container(ref), "sh", "-c", '"$@" 2>&1 || true', "sh", *line, seconds=INSTALL_SECONDS)
    answer: dict[str, Any] = json.loads(said[said.index("{") :])
    assert answer.get("ok") is not False, answer
    return answer


async def followed(computer: Computer, machine: RunningMachine) -> str:
    """The machine that follows this one on its volume, ready."""
    await computer.machines.terminate(machine.ref)
    await until(lambda: is_gone(computer, machine.ref))
    ref, fresh = await computer.launch()
    await computer.vault.grant(machine.spec.instance_id, MachineId(ref))
    later = replace(fresh, instance_id=machine.spec.instance_id, generation=2, volume_id=machine.spec.volume_id)
    await computer.gateways.start(seat(ref, later), later)
    await until(lambda: computer.is_ready(ref))
    return ref


async def is_gone(computer: Computer, ref: str) -> bool:
    return await computer.health(ref) is None


async def test_the_tools_of_an_assistant_are_there_and_run(real: RunningMachine) -> None:
    found = (await run(real.ref, "sh", "-c", f'for tool in {" ".join(TOOLS)}; do command -v "$tool"; done')).split()
    assert [path.rpartition("/")[2] for path in found] == list(TOOLS)
    assert (await run(real.ref, "npm", "--version")).count(".") == 2
    await run(real.ref, "sh", "-c", "python3 -m venv ~/.local/venv && ~/.local/venv/bin/python -c 'import pip'")
    await run(real.ref, "sh", "-c", "cd ~ && git init --quiet project && rg --version && jq --version && unzip -v && ssh -V")


async def test_home_can_be_written_lies_on_the_volume_and_is_closed_to_others(real: RunningMachine) -> None:
    home = real.computer.volumes.home_dir(real.spec.volume_id)
    for name in (".config", ".npm", ".local", ".cache", ".ssh"):
        await run(real.ref, "sh", "-c", f"mkdir -p ~/{name} && echo kept >~/{name}/note")
        assert (home / name / "note").read_text() == "kept\n"
    assert home.stat().st_mode & 0o777 == 0o700
    assert await run(real.ref, "sh", "-c", PACKAGE + "hello") == "hello from here"


@pytest.mark.long
@pytest.mark.usefixtures("npm_registry")
async def test_real_plugins_and_what_a_skill_needs_can_be_installed_and_outlive_the_machine(real: RunningMachine) -> None:
    """`long`: megabytes from the registry. That npm runs and installs is proven above."""
    for plugin in ("discord", "slack"):
        assert (await called(real.ref, "plugins.install", {"source": "official", "pluginId": plugin}))["ok"]
    assert (await called(real.ref, "skills.install", {"name": "mcporter", "installId": "node", "timeoutMs": 240_000}))["ok"]
    await run(real.ref, "sh", "-c", PACKAGE)
    ref = await followed(real.computer, real)
    listed = {each["id"]: each for each in (await called(ref, "plugins.list", {}))["plugins"]}
    assert all(listed[plugin]["enabled"] for plugin in ("discord", "slack"))
    assert await run(ref, "mcporter", "--version")
    assert await run(ref, "hello") == "hello from here"
    assert "zebra" in await chat(real.computer, ref, "zebra")
