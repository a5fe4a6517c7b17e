"""A zone of AWS without any machine: an instance goes on in another zone, from a snapshot of its volume."""

from __future__ import annotations

import asyncio

import pytest

from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.naming import volume_of
from tests.integration.aws.test_platform import conversation, say
from tests.integration.aws.world import AwsWorld, ControlPlane
from tests.support.waiting import until

LONG_SECONDS = 1e6


async def zone_of(plane: ControlPlane, instance: Instance) -> str:
    return (await plane.store.instances.volume(instance.id)).zone


@pytest.mark.long  # each step: convergence/test_elsewhere.py; on AWS, volumes from snapshots: test_restore_points.py
async def test_a_conversation_goes_on_in_another_zone(world: AwsWorld) -> None:
    world.spares, world.fleet_cap, world.options = 2, 1000, {"elsewhere_seconds": 0.5}
    async with world.control_plane() as plane:
        await plane.until_full()
        instance = await plane.until_phase((await plane.create()).id, Phase.RUNNING)
        await say(plane, instance.id, "zebra")
        home = await zone_of(plane, instance)
        for market in ("spot", "on-demand"):
            world.lab.cloud.run_dry(home, LONG_SECONDS, market)
        gone = [str(each.provider_ref) for each in await plane.store.machines.list_live() if each.zone == home and each.provider_ref]
        ec2 = world.lab.site.client("ec2")
        await asyncio.to_thread(lambda: ec2.terminate_instances(InstanceIds=gone))

        async def is_elsewhere() -> bool:
            now = await plane.store.instances.get(instance.id)
            return now.generation > 1 and now.phase is Phase.RUNNING and await zone_of(plane, instance) != home

        await until(is_elsewhere, every=0.2)
        now = await plane.store.instances.get(instance.id)
        assert now.machine_id is not None
        machine = await plane.store.machines.get(now.machine_id)
        assert machine.zone == await zone_of(plane, instance)
        assert "zebra" in await conversation(world, str(machine.provider_ref))

        async def one_volume_is_left() -> bool:
            kept = [each.volume_id for each in await plane.provided.volumes.list() if each.instance_id == instance.id]
            return kept == [volume_of(instance.id)]

        await until(one_volume_is_left, every=0.2)
