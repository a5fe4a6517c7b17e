"""Restore points: made on schedule and on demand, kept, restored from, and gone with their instance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from openclaw_hosted.adapters.fake.restore_points import FakeRestorePoints
from openclaw_hosted.controllers.restore_points import RestorePointsController
from openclaw_hosted.domain.actor import Actor
from openclaw_hosted.domain.errors import NotFound, StateConflict, Unavailable
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.naming import RestorePointId, UserId, aside_of, volume_of
from openclaw_hosted.domain.restore_point import Cause, PointState, RestorePoint, RestorePointPolicy
from openclaw_hosted.ports.stores import NewInstance
from openclaw_hosted.services.restore_points import RestorePointService
from tests.integration.convergence.world import CAPS, OWNER, World, eventually
from tests.support.actors import acting_as
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.looptime
ME = acting_as(OWNER)


def service(world: World) -> RestorePointService:
    store = world.store
    return RestorePointService(
        store.instances, store.restore_points, store.platform, FakeRestorePoints(world.cloud), world.clock, world.ports().ids
    )


@asynccontextmanager
async def an_instance(world: World, written: int = 7) -> AsyncIterator[Instance]:
    """One that runs, with something written; the loops run as well."""
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        world.cloud.volumes[volume_of(instance.id)].written = written
        yield instance


async def until_ready(world: World, point_id: RestorePointId) -> RestorePoint:
    async def is_ready() -> bool:
        return (await world.store.restore_points.get(point_id)).state is PointState.READY

    await eventually(is_ready, lambda: f"{point_id} never was ready")
    return await world.store.restore_points.get(point_id)


async def points_of(world: World, instance: Instance) -> list[RestorePoint]:
    return list(await world.store.restore_points.list_for(instance.id))


async def test_one_is_made_when_due_and_the_newest_are_kept(world: World) -> None:
    world.options = replace(world.options, restore_points=RestorePointPolicy(every_seconds=1.0, keep=2))
    async with an_instance(world) as instance:
        await world.clock.sleep(4.5)

        async def two_are_kept() -> bool:
            return [point.state for point in await points_of(world, instance)] == [PointState.READY] * 2

        await eventually(two_are_kept, lambda: "there are never just two")
        found = await points_of(world, instance)
        assert found[0].made_at - found[1].made_at >= 1
        assert set(world.cloud.points) == {point.id for point in found}
    events = [event.name for event in await world.store.platform.events(limit=1000)]
    assert events.count(EventName.RESTORE_POINT_REMOVED) >= 2


async def test_an_instance_goes_back_and_forth_and_nothing_is_lost_on_the_way(world: World) -> None:
    world.cloud.pace.capture = world.cloud.pace.copy = lambda: 0.5
    async with an_instance(world) as instance:
        asked = await service(world).ask(ME, instance.id)
        await until_ready(world, asked.id)
        volume_id = volume_of(instance.id)
        world.cloud.volumes[volume_id].written = 8
        await service(world).rewind(ME, instance.id, asked.id)
        back = await world.until_phase(instance.id, Phase.RUNNING)
        assert (back.machine_id, back.generation) == (instance.machine_id, instance.generation), "the machine is the same"
        assert world.cloud.volumes[volume_id].written == 7
        kept = next(point for point in await points_of(world, instance) if point.cause is Cause.RESTORE)
        await until_ready(world, kept.id)
        assert world.cloud.points[kept.id].written == 8

        async def is_let_go() -> bool:
            return aside_of(instance.id, kept.id) not in world.cloud.volumes

        await eventually(is_let_go, lambda: "what was set aside stays")
        await service(world).rewind(ME, instance.id, kept.id)
        await world.until_phase(instance.id, Phase.RUNNING)
        assert world.cloud.volumes[volume_id].written == 8


async def test_what_was_set_aside_stays_until_its_restore_point_is_ready(world: World) -> None:
    async with an_instance(world) as instance:
        asked = await service(world).ask(ME, instance.id)
        await until_ready(world, asked.id)
        world.cloud.pace.copy = lambda: 100.0
        await service(world).rewind(ME, instance.id, asked.id)
        await world.until_phase(instance.id, Phase.RUNNING)
        kept = next(point for point in await points_of(world, instance) if point.cause is Cause.RESTORE)
        await world.clock.sleep(5)
        assert aside_of(instance.id, kept.id) in world.cloud.volumes
        assert kept.state is PointState.MAKING


async def test_what_was_set_aside_goes_before_the_restore_point_that_is_to_be_removed(world: World) -> None:
    """Without it nobody would know that the volume may go, and it would cost its owner for ever."""
    async with an_instance(world) as instance:
        asked = await service(world).ask(ME, instance.id)
        await until_ready(world, asked.id)
        world.cloud.pace.gateway = lambda: 5.0
        await service(world).rewind(ME, instance.id, asked.id)
        kept = next(point for point in await points_of(world, instance) if point.cause is Cause.RESTORE)
        aside = aside_of(instance.id, kept.id)

        async def is_set_aside() -> bool:
            return aside in world.cloud.volumes

        await eventually(is_set_aside, lambda: "nothing was set aside")
        await until_ready(world, kept.id)
        await service(world).remove(ME, instance.id, kept.id)
        world.cloud.pace.gateway = lambda: 0.0

        async def both_are_gone() -> bool:
            return aside not in world.cloud.volumes and kept.id not in {point.id for point in await points_of(world, instance)}

        await eventually(both_are_gone, lambda: f"left: {set(world.cloud.volumes)}")


@pytest.mark.parametrize("call", ["points.make", "points.restore", "gateways.stop", "volumes.detach", "gateways.start"])
async def test_a_restore_that_is_killed_or_refused_anywhere_goes_on(world: World, call: str) -> None:
    async with an_instance(world) as instance:
        asked = await service(world).ask(ME, instance.id)
        await until_ready(world, asked.id)
        world.cloud.volumes[volume_of(instance.id)].written = 8
        world.cloud.fail_next(call, Unavailable("Not now."))
        world.cloud.lose_answer(call)
        await service(world).rewind(ME, instance.id, asked.id)
        await world.clock.sleep(0.1)
    async with world.running():
        await world.until_phase(instance.id, Phase.RUNNING)
    assert world.cloud.volumes[volume_of(instance.id)].written == 7
    kept = [point for point in await points_of(world, instance) if point.cause is Cause.RESTORE]
    assert [world.cloud.points[point.id].written for point in kept] == [8]


async def test_another_instance_begins_with_a_restore_point(world: World) -> None:
    async with an_instance(world) as instance:
        asked = await service(world).ask(ME, instance.id)
        await until_ready(world, asked.id)
        new = NewInstance(OWNER, "again", DEFAULT_SETTINGS, frozenset(), world.ports().ids.instance_id(), point_id=asked.id, actor=ME)
        other, _ = await world.store.instances.create(new, lambda _: None, CAPS, None, world.clock.now())
        await world.until_phase(other.id, Phase.RUNNING)
        assert world.cloud.volumes[volume_of(other.id)].written == 7
        assert world.cloud.volumes[volume_of(instance.id)].written == 7


async def test_another_release_gets_the_volume_only_once_a_restore_point_holds_it(world: World) -> None:
    async with an_instance(world):
        pass
    world.options = replace(world.options, policy=replace(world.options.policy, image="v2"))
    async with world.running():
        (instance,) = await world.store.instances.list_all()
        assert instance.machine_id is not None
        machine = await world.store.machines.get(instance.machine_id)

        async def spare_is_new() -> bool:
            return any(each.image == "v2" and each.state == "available" for each in await world.store.machines.list_live())

        await eventually(spare_is_new, lambda: "no spare of the new release")
        world.cloud.kill(machine.provider_ref or "")

        async def is_upgraded() -> bool:
            return any(point.cause is Cause.UPGRADE for point in await points_of(world, instance))

        await eventually(is_upgraded, lambda: "no restore point before the upgrade")
        await world.until_phase(instance.id, Phase.RUNNING)
    (point,) = await points_of(world, instance)
    assert world.cloud.points[point.id].written == 7
    assert (await world.store.instances.volume(instance.id)).image == "v2"


async def test_restore_points_go_with_their_instance_once_it_is_purged(world: World) -> None:
    world.options = replace(world.options, retention_seconds=3.0)
    async with an_instance(world) as instance:
        await until_ready(world, (await service(world).ask(ME, instance.id)).id)
        await world.delete(instance.id)
        await world.until_phase(instance.id, Phase.DELETED)
        await world.clock.sleep(1)
        assert [point.cause for point in await points_of(world, instance)] == [Cause.DELETION, Cause.ASKED]
        await world.until_phase(instance.id, Phase.PURGED)
        assert await points_of(world, instance) == []
        assert world.cloud.points == {}


async def test_one_that_was_about_to_be_made_while_its_instance_was_purged_is_not_left(world: World) -> None:
    """Nobody would know it for anything but an orphan that may hold a user's data, and it would be kept for days."""
    world.options = replace(world.options, retention_seconds=0.0)
    purged, asked = asyncio.Event(), list[str]()

    async def waits_for_the_purge(call: str, when: str) -> None:
        if call == "points.make":
            asked.append(when)
            await purged.wait()

    async with an_instance(world) as instance:
        volume_id = volume_of(instance.id)
        volume = world.cloud.volumes[volume_id]
        world.cloud.hook = waits_for_the_purge
        await world.delete(instance.id)
        await world.until_phase(instance.id, Phase.PURGED)
        assert asked == ["before"]
        world.cloud.volumes[volume_id] = volume  # the provider began to read it before it went
        purged.set()

        async def was_made() -> bool:
            return asked == ["before", "after"]

        await eventually(was_made, lambda: "it never was made")
        del world.cloud.volumes[volume_id]

        async def is_gone() -> bool:
            return not world.cloud.points

        await eventually(is_gone, lambda: f"left: {world.cloud.points}")


async def test_one_that_is_deleted_while_it_goes_back_is_purged_all_the_same(world: World) -> None:
    world.options = replace(world.options, retention_seconds=1.0)
    async with an_instance(world) as instance:
        asked = await service(world).ask(ME, instance.id)
        await until_ready(world, asked.id)
    await service(world).rewind(ME, instance.id, asked.id)
    await world.delete(instance.id)
    async with world.running():
        await world.until_phase(instance.id, Phase.PURGED)
    assert world.cloud.points == {}


async def test_a_row_without_its_restore_point_is_forgotten_and_one_without_a_row_is_kept_for_a_while(world: World) -> None:
    world.options = replace(world.options, quarantine_seconds=3.0)
    async with an_instance(world) as instance:
        lost, stays = [await service(world).ask(ME, instance.id) for _ in range(2)]
        for point in (lost, stays):
            await until_ready(world, point.id)
        stray = world.cloud.points[RestorePointId("rp-stray")] = world.cloud.points.pop(lost.id)
        assert stray.instance_id == instance.id

        async def is_forgotten() -> bool:
            return [point.id for point in await points_of(world, instance)] == [stays.id]

        await eventually(is_forgotten, lambda: "the row stays")
        assert "rp-stray" in world.cloud.points
        await world.clock.sleep(5)
        assert set(world.cloud.points) == {stays.id}


async def test_a_database_of_many_rows_and_a_provider_of_none_forget_nothing(world: World) -> None:
    async with an_instance(world) as instance:
        asked = [await service(world).ask(ME, instance.id) for _ in range(3)]
        for point in asked:
            await until_ready(world, point.id)
        fourth = await service(world).ask(ME, instance.id)
        await until_ready(world, fourth.id)
        world.cloud.points.clear()
        await world.clock.sleep(5)
        assert len(await points_of(world, instance)) == 4


async def test_nobody_reaches_another_users_restore_points(world: World) -> None:
    stranger: Actor = acting_as(UserId("u-stranger"))
    async with an_instance(world) as instance:
        point = await service(world).ask(ME, instance.id)
        await until_ready(world, point.id)
        for attempt in (
            service(world).list(stranger, instance.id),
            service(world).ask(stranger, instance.id),
            service(world).rewind(stranger, instance.id, point.id),
            service(world).remove(stranger, instance.id, point.id),
            service(world).download(stranger, instance.id),
            service(world).usable(stranger, point.id),
        ):
            with pytest.raises(NotFound):
                await attempt


async def test_what_an_instance_is_made_from_is_not_removed_meanwhile(world: World) -> None:
    async with an_instance(world) as instance:
        point = await service(world).ask(ME, instance.id)
        await until_ready(world, point.id)
    await service(world).rewind(ME, instance.id, point.id)
    with pytest.raises(StateConflict, match="being restored"):
        await service(world).remove(ME, instance.id, point.id)
    controller = RestorePointsController(world.ports(), replace(world.options, restore_points=RestorePointPolicy(0.0, keep=1)))
    await asyncio.wait_for(controller.tick(), PATIENCE_SECONDS)
    assert (await world.store.restore_points.get(point.id)).state is PointState.READY


async def test_an_archive_comes_in_once_and_goes_when_nobody_makes_anything_of_it(world: World) -> None:
    world.options = replace(world.options, restore_points=RestorePointPolicy(0.0, brought_kept_seconds=3.0))

    async def content() -> AsyncIterator[bytes]:
        yield b'{"written": '
        yield b"9}"

    async with world.running():
        point = await service(world).bring(ME, content())
        assert point.state is PointState.READY
        assert (await service(world).usable(ME, point.id)).id == point.id
        await world.clock.sleep(5)
        with pytest.raises(NotFound):
            await world.store.restore_points.get(point.id)
        assert world.cloud.points == {}
