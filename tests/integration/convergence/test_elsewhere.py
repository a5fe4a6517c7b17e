"""An instance whose zone has no machine goes on in another zone, with all that is on its disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.naming import MachineId, aside_of, volume_of
from openclaw_hosted.domain.restore_point import Cause, PointState, RestorePoint
from openclaw_hosted.domain.volume import VolumeState
from tests.integration.convergence.world import World, eventually

pytestmark = pytest.mark.looptime
HERE, THERE = "zone-a", "zone-b"
WRITTEN = 7


@asynccontextmanager
async def stranded(world: World, after_seconds: float = 1.0) -> AsyncIterator[Instance]:
    """One whose machine is gone from a zone where none can be had any more; a spare is ready in another one."""
    world.options = replace(
        world.options, elsewhere_seconds=after_seconds, policy=replace(world.options.policy, spares=2, backoff_cap_seconds=2.0)
    )
    world.cloud.zones = (HERE, THERE)
    async with world.running():
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        home = (await world.store.instances.volume(instance.id)).zone
        world.cloud.volumes[volume_of(instance.id)].written = WRITTEN
        world.cloud.capacity[home] = 0
        for machine in [m for m in await world.store.machines.list_live() if m.zone == home]:
            world.cloud.end(machine.id)
        yield instance


async def copy_of(world: World, instance: Instance) -> RestorePoint | None:
    points = await world.store.restore_points.list_for(instance.id)
    return next((each for each in points if each.cause is Cause.MOVE), None)


async def test_it_goes_on_elsewhere_and_nothing_is_lost(world: World) -> None:
    async with stranded(world) as instance:
        home = (await world.store.instances.volume(instance.id)).zone

        async def is_elsewhere() -> bool:
            volume, now = await world.store.instances.volume(instance.id), await world.store.instances.get(instance.id)
            return now.phase is Phase.RUNNING and volume.state is VolumeState.MADE and volume.zone != home

        await eventually(is_elsewhere, lambda: f"{instance.id} stays")
        held = world.cloud.volumes[volume_of(instance.id)]
        assert (held.written, held.zone) == (WRITTEN, (await world.store.instances.volume(instance.id)).zone)
        copy = await copy_of(world, instance)
        assert copy is not None

        async def old_one_is_gone() -> bool:
            return aside_of(instance.id, copy.id) not in world.cloud.volumes

        await eventually(old_one_is_gone, lambda: "the old volume stays")
    events = [event.name for event in await world.store.platform.events(limit=1000)]
    assert events.count(EventName.INSTANCE_LEAVES_ZONE) == 1
    assert events.count(EventName.INSTANCE_REWOUND) == 1


async def test_it_waits_where_its_disk_is_before_that(world: World) -> None:
    async with stranded(world, after_seconds=0.0) as instance:
        await world.until_phase(instance.id, Phase.REPLACING)
        await world.clock.sleep(30)
        assert (await world.store.instances.volume(instance.id)).state is VolumeState.MADE
        assert await copy_of(world, instance) is None
        world.cloud.capacity.clear()
        await world.until_phase(instance.id, Phase.RUNNING)


async def test_no_machine_takes_the_disk_while_it_is_copied(world: World) -> None:
    """What that machine wrote would not be in the copy."""
    world.cloud.pace.copy = lambda: 20.0
    async with stranded(world) as instance:

        async def is_copied() -> bool:
            return (await world.store.instances.volume(instance.id)).state is VolumeState.MOVING

        await eventually(is_copied, lambda: "no copy is begun")
        await world.clock.sleep(5)
        now = await world.store.instances.get(instance.id)
        assert (now.machine_id, (await world.store.instances.volume(instance.id)).state) == (None, VolumeState.MOVING)
        assert now.last_error is not None
        assert "being copied" in now.last_error
        await world.until_phase(instance.id, Phase.RUNNING)
        assert world.cloud.volumes[volume_of(instance.id)].written == WRITTEN


async def test_nothing_is_copied_while_a_machine_has_the_disk(world: World) -> None:
    """Whatever that machine is: it may still write."""
    async with stranded(world, after_seconds=3.0) as instance:
        await world.until_phase(instance.id, Phase.REPLACING)
        held = world.cloud.volumes[volume_of(instance.id)]
        held.attached_to = MachineId("mc-unknown")
        await world.clock.sleep(10)
        assert await copy_of(world, instance) is None
        held.written, held.attached_to = WRITTEN + 1, None
        await world.until_phase(instance.id, Phase.RUNNING)
        assert world.cloud.volumes[volume_of(instance.id)].written == WRITTEN + 1


async def test_it_stays_where_a_machine_can_be_had_again(world: World) -> None:
    world.cloud.pace.copy = lambda: 1e6
    async with stranded(world) as instance:
        home = (await world.store.instances.volume(instance.id)).zone

        async def is_copied() -> bool:
            return (await world.store.instances.volume(instance.id)).state is VolumeState.MOVING

        await eventually(is_copied, lambda: "no copy is begun")
        world.cloud.capacity.clear()
        await world.until_phase(instance.id, Phase.RUNNING)
        volume = await world.store.instances.volume(instance.id)
        assert (volume.state, volume.zone, volume.point_id) == (VolumeState.MADE, home, None)
        assert world.cloud.volumes[volume_of(instance.id)].written == WRITTEN


async def test_a_copy_that_fails_leaves_it_where_it_is(world: World) -> None:
    async with stranded(world) as instance:

        async def begun() -> bool:
            return await copy_of(world, instance) is not None

        world.cloud.pace.copy = lambda: 1e6
        await eventually(begun, lambda: "no copy is begun")
        copy = await copy_of(world, instance)
        assert copy is not None
        assert copy.state is PointState.MAKING
        world.options = replace(world.options, restore_points=replace(world.options.restore_points, making_seconds=0.5))
    async with world.running():

        async def stays() -> bool:
            events = [event.name for event in await world.store.platform.events(limit=1000)]
            return EventName.INSTANCE_STAYS_IN_ZONE in events

        await eventually(stays, lambda: "nothing is said of the failure")
        world.cloud.capacity.clear()
        await world.until_phase(instance.id, Phase.RUNNING)
        assert world.cloud.volumes[volume_of(instance.id)].written == WRITTEN


async def test_one_that_is_deleted_while_it_is_copied_can_be_brought_back(world: World) -> None:
    world.cloud.pace.copy = lambda: 5.0
    async with stranded(world) as instance:

        async def is_copied() -> bool:
            return (await world.store.instances.volume(instance.id)).state is VolumeState.MOVING

        await eventually(is_copied, lambda: "no copy is begun")
        await world.delete(instance.id)
        await world.until_phase(instance.id, Phase.DELETED)
        kept = [point.cause for point in await world.store.restore_points.list_for(instance.id)]
        assert sorted(kept) == [Cause.DELETION, Cause.MOVE]
