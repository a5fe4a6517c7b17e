"""`machines shell`, as a runbook has it, through Run Command."""

from __future__ import annotations

import asyncio
import shlex
import sys

import pytest

from lab.plane.base import CommandResult
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.cli.main import main
from openclaw_hosted.ports.machines import LaunchSpec, MachineHealth
from tests.integration.aws.world import AwsWorld
from tests.support.aws import aws_environment, provided_on
from tests.support.runbooks import commands_by_page
from tests.support.waiting import until

IDS = SystemIds()
COMMANDS = [each for commands in commands_by_page().values() for each in commands if " machines shell " in each]


async def machine(world: AwsWorld) -> str:
    async with provided_on(world.lab.site) as provided:
        ref = await provided.machines.launch(LaunchSpec(IDS.machine_id(), IDS.volume_id(), IDS.instance_id(), "lab"))

        async def is_up() -> bool:
            return any(m.provider_ref == ref and m.health is MachineHealth.UP for m in await provided.machines.observe())

        await until(is_up)
    return ref


@pytest.mark.parametrize("command", COMMANDS, ids=str)
async def test_the_command_of_a_runbook_runs_on_the_machine(
    world: AwsWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    ref, ran = await machine(world), list[tuple[str, str]]()

    def run(instance_id: str, script: str, _: float) -> CommandResult:
        ran.append((instance_id, script))
        return CommandResult(0, "CONTAINER ID   IMAGE\n", "")

    monkeypatch.setattr(world.lab.machines, "run", run)
    words = [ref if word == "MACHINE" else word for word in shlex.split(command)]
    monkeypatch.setattr(sys, "argv", words)

    def whole() -> object:
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    with aws_environment(world.lab.site):
        code = await asyncio.to_thread(whole)
    said = capsys.readouterr()
    assert code in (0, None), said.err
    assert "CONTAINER ID" in said.out
    [(where, script)] = ran
    assert where == ref
    assert words[-1] in script
