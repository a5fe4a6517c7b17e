"""Run Command as AWS does it: what a machine that fails or ends says of a command."""

from __future__ import annotations

import asyncio
from threading import Event

import pytest

from lab.plane.base import CommandResult
from openclaw_hosted.adapters.aws.commands import RunCommand
from openclaw_hosted.adapters.aws.fleet import Fleet
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.domain.errors import NotFound, PortError
from openclaw_hosted.ports.machines import LaunchSpec, MachineHealth
from tests.integration.aws.world import CLOCK, AwsWorld
from tests.support.aws import provided_on, sdk_on
from tests.support.waiting import PATIENCE_SECONDS, until

IDS = SystemIds()


async def machine(world: AwsWorld) -> str:
    async with provided_on(world.lab.site) as provided:
        ref = await provided.machines.launch(LaunchSpec(IDS.machine_id(), IDS.volume_id(), IDS.instance_id(), "lab"))

        async def is_up() -> bool:
            return any(m.provider_ref == ref and m.health is MachineHealth.UP for m in await provided.machines.observe())

        await until(is_up)
    return ref


async def test_a_command_is_given_up_once_its_machine_ends(world: AwsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = await machine(world)
    began, goes_on = Event(), Event()

    def reclaimed(*_: object) -> CommandResult:
        began.set()
        goes_on.wait(PATIENCE_SECONDS)
        raise LookupError(ref)

    monkeypatch.setattr(world.lab.machines, "run", reclaimed)
    async with sdk_on(world.lab) as sdk:
        commands = RunCommand(sdk, Fleet(sdk, CLOCK, "openclaw", world.lab.site.vpc), CLOCK)
        command = asyncio.create_task(commands.run(ref, "inspect"))
        assert await asyncio.to_thread(began.wait, PATIENCE_SECONDS)
        await asyncio.to_thread(lambda: world.lab.site.client("ec2").terminate_instances(InstanceIds=[ref]))
        goes_on.set()
        with pytest.raises(NotFound, match="ended before its command did"):
            await asyncio.wait_for(command, PATIENCE_SECONDS)


async def test_the_reason_of_a_failure_is_the_scripts_own_and_not_the_agents(world: AwsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = await machine(world)
    monkeypatch.setattr(world.lab.machines, "run", lambda *_: CommandResult(9, "", "the volume is busy\n"))
    async with sdk_on(world.lab) as sdk:
        commands = RunCommand(sdk, Fleet(sdk, CLOCK, "openclaw", world.lab.site.vpc), CLOCK)
        with pytest.raises(PortError) as raised:
            await commands.run(ref, "inspect")
        assert str(raised.value) == f"Machine {ref}, “inspect”: the volume is busy"
        assert await commands.shell(ref, "mount") == (9, "", "the volume is busy\n")
