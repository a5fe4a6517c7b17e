"""What it costs to learn which machines take commands."""

from __future__ import annotations

import asyncio

from openclaw_hosted.adapters.aws.agents import FRESH_SECONDS, Agents
from openclaw_hosted.adapters.aws.sdk import Call
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.ports.machines import LaunchSpec, MachineHealth
from tests.integration.aws.world import AwsWorld
from tests.integration.web.memory import MemoryClock
from tests.support.aws import provided_on, sdk_on
from tests.support.waiting import until

IDS = SystemIds()
UNKNOWN = "i-0123456789abcdef0"


async def test_agents_are_asked_for_together_and_only_those_that_are_waited_for(world: AwsWorld) -> None:
    async with provided_on(world.lab.site) as provided, sdk_on(world.lab) as sdk:
        up = [await provided.machines.launch(LaunchSpec(IDS.machine_id(), IDS.volume_id(), IDS.instance_id(), "lab")) for _ in range(2)]

        async def are_up() -> bool:
            return [seen.health for seen in await provided.machines.observe()] == [MachineHealth.UP] * 2

        await until(are_up)
        clock = MemoryClock()
        agents = Agents(sdk, clock)
        booting = [*up, UNKNOWN]
        for known in await asyncio.gather(*(agents.online(booting) for _ in range(5))):
            assert set(known) == set(up)
        assert sdk.stats[Call.DESCRIBE_AGENTS].made <= 2
        clock.at += FRESH_SECONDS + 1
        world.lab.cloud.calls.clear()
        await agents.online(booting)
        (asked,) = world.lab.cloud.calls.of(Call.DESCRIBE_AGENTS)
        assert asked.resources == (UNKNOWN,)
        clock.at += FRESH_SECONDS + 1
        await agents.online(up)
        assert len(world.lab.cloud.calls.of(Call.DESCRIBE_AGENTS)) == 1
