"""What it costs to look at machines, as the fleet grows."""

from __future__ import annotations

import pytest

from openclaw_hosted.adapters.aws.fleet import Fleet
from openclaw_hosted.adapters.aws.sdk import Call
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.ports.machines import LaunchSpec
from tests.integration.aws.world import AwsWorld
from tests.integration.web.memory import MemoryClock
from tests.support.aws import provided_on, sdk_on
from tests.support.waiting import until

IDS = SystemIds()


async def test_whoever_waits_reads_only_machines_that_boot_and_one_machine_is_one_call_at_most(world: AwsWorld) -> None:
    async with provided_on(world.lab.site) as provided, sdk_on(world.lab) as sdk:
        fleet = Fleet(sdk, MemoryClock(), "openclaw", world.lab.site.vpc)
        specs = [LaunchSpec(IDS.machine_id(), IDS.volume_id(), IDS.instance_id(), "lab") for _ in range(3)]
        ready, *booting = [await provided.machines.launch(spec) for spec in specs]

        async def are_listed() -> bool:
            return len(await provided.machines.observe()) == len(specs)

        await until(are_listed)
        await provided.machines.label(ready, {"Status": "available"})
        assert {machine.ref for machine in await fleet.booting()} == set(booting)
        world.lab.cloud.calls.clear()
        assert (await fleet.find(booting[0])).ref == booting[0]
        assert (await fleet.called(specs[2].machine_id)).ref == booting[1]
        assert not world.lab.cloud.calls.of(Call.DESCRIBE_INSTANCES)
        for _ in range(2):
            assert (await fleet.called(specs[0].machine_id)).ref == ready
        assert len(world.lab.cloud.calls.of(Call.DESCRIBE_INSTANCES)) == 1
        with pytest.raises(NotFound):
            await fleet.called(IDS.machine_id())
        fleet.forget()
        assert (await fleet.find(ready)).ref == ready
        assert len(world.lab.cloud.calls.of(Call.DESCRIBE_INSTANCES)) == 3
