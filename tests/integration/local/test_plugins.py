"""What a user installs on a machine that is a process: a real plugin and a real package, which outlive the machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import psutil
import pytest

from openclaw_hosted.adapters.local.install import OpenClawRelease
from openclaw_hosted.domain.gateway import GatewaySpec
from openclaw_hosted.domain.naming import MachineId
from tests.integration.docker.test_tools import INSTALL_SECONDS, PACKAGE
from tests.support.local_computer import Computer
from tests.support.registry import npm_registry
from tests.support.seats import seat
from tests.support.waiting import until

__all__ = ["npm_registry"]

pytestmark = [pytest.mark.openclaw, pytest.mark.long, pytest.mark.usefixtures("npm_registry")]
"""`long`: megabytes from the registry. That npm is there and runs on such a machine: `test_commands`."""


async def said(environment: Mapping[str, str], *line: str) -> str:
    """What a command prints that the assistant on this machine runs."""
    child = await asyncio.create_subprocess_exec(
        *line, env=dict(environment), cwd=environment["HOME"], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(child.communicate(), INSTALL_SECONDS)
    assert child.returncode == 0, output.decode()
    return output.decode()


async def called(release: OpenClawRelease, environment: Mapping[str, str], method: str, params: dict[str, Any]) -> dict[str, Any]:
    """What OpenClaw's own command line, on the machine, has the gateway do."""
    openclaw = (str(release.node), str(release.entry), "gateway", "call", method, "--json", "--timeout", f"{INSTALL_SECONDS}000")
    printed = await said(environment, *openclaw, "--params", json.dumps(params))
    answer: dict[str, Any] = json.loads(printed[printed.index("{") :])
    assert answer.get("ok") is not False, answer
    return answer


async def started(computer: Computer, ref: str, spec: GatewaySpec) -> Mapping[str, str]:
    """The environment of the machine's gateway, once it is ready."""
    await computer.gateways.start(seat(ref, spec), spec)
    await until(lambda: computer.is_ready(ref))
    environment: dict[str, str] = psutil.Process(computer.process(ref).status().child_pid).environ()
    return environment


async def followed(computer: Computer, ref: str, spec: GatewaySpec) -> Mapping[str, str]:
    """The environment of the gateway on the machine that follows this one on its volume."""
    await computer.machines.terminate(ref)
    await until(lambda: is_gone(computer, ref))
    later, fresh = await computer.launch()
    await computer.vault.grant(spec.instance_id, MachineId(later))
    return await started(computer, later, replace(fresh, instance_id=spec.instance_id, generation=2, volume_id=spec.volume_id))


async def is_gone(computer: Computer, ref: str) -> bool:
    return await computer.health(ref) is None


async def test_a_plugin_and_a_package_can_be_installed_and_outlive_the_machine(computer: Computer, release: OpenClawRelease) -> None:
    ref, spec = await computer.launch()
    spec = replace(spec, generation=1)
    environment = await started(computer, ref, spec)
    for plugin in ("discord", "slack"):
        assert (await called(release, environment, "plugins.install", {"source": "official", "pluginId": plugin}))["ok"]
    assert await said(environment, "sh", "-c", PACKAGE.replace("/tmp/hello", '"$TMPDIR/hello"') + "hello") == "hello from here\n"
    later = await followed(computer, ref, spec)
    listed = {each["id"]: each for each in (await called(release, later, "plugins.list", {}))["plugins"]}
    assert all(listed[plugin]["enabled"] for plugin in ("discord", "slack"))
    assert await said(later, "sh", "-c", "hello") == "hello from here\n"
