"""CPU credits of users' machines, in the fast lab."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from lab.cloud.cpu_credits import held_back
from openclaw_hosted.controllers.thrift import Thrift
from openclaw_hosted.domain.instance import Phase
from tests.integration.aws.world import AwsWorld

SWITCH = "ec2:ModifyInstanceCreditSpecification"


async def test_a_new_user_has_the_whole_processor_and_the_machine_is_switched_later(world: AwsWorld) -> None:
    cloud = world.lab.cloud
    async with world.control_plane() as plane:
        await plane.until_full()
        await plane.store.platform.set_pool(paused=True)
        cloud.calls.clear()
        instance = await plane.until_phase((await plane.create()).id, Phase.RUNNING)
        assert cloud.calls.of(SWITCH) == []
        assert held_back(cloud) == []
        assert instance.machine_id is not None
        ref = str((await plane.store.machines.get(instance.machine_id)).provider_ref)
        hour_over = Thrift(plane.ports, replace(plane.options, generous_seconds=0.0))
        await hour_over.look()
        await hour_over.look()
        shown = await asyncio.to_thread(world.lab.site.client("ec2").describe_instance_credit_specifications, InstanceIds=[ref])
        assert shown["InstanceCreditSpecifications"] == [{"InstanceId": ref, "CpuCredits": "standard"}]
        assert len(cloud.calls.of(SWITCH)) == 1


async def test_what_ec2_lists_as_not_switched_counts_as_not_switched(world: AwsWorld) -> None:
    world.spares = 2
    delays = world.lab.cloud.delays
    async with world.control_plane() as plane:
        await plane.until_full()
        one, other = [str(machine.provider_ref) for machine in await plane.store.machines.list_live()]
        delays.stop_seconds = 1000.0
        try:
            await plane.provided.machines.terminate(other)
            assert list(await plane.provided.machines.economize([one, other, "i-0000000000000000f"])) == [one]
        finally:
            delays.stop_seconds = 0.0
