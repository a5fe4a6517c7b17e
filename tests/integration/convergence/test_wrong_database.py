"""A control plane on an empty, an older or another database destroys nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from openclaw_hosted.adapters.fake.cloud import FakeVolume
from openclaw_hosted.adapters.local.ownership import LocalOwnership
from openclaw_hosted.bootstrap.claiming import claim
from openclaw_hosted.controllers.orphans import OrphansController
from openclaw_hosted.controllers.restore_points import RestorePointsController
from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.errors import StateConflict, Unavailable
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.naming import InstanceId, RestorePointId, VolumeId, point_of_orphan, volume_of
from openclaw_hosted.domain.orphan import OrphanState
from openclaw_hosted.domain.restore_point import RestorePointPolicy
from openclaw_hosted.store import tables
from tests.integration.convergence.world import OWNER, World, eventually
from tests.support.life import NOW
from tests.support.store import new_store

pytestmark = pytest.mark.looptime


@pytest.mark.parametrize("instances", [1, 3])
async def test_an_empty_database_removes_nothing_and_says_so(world: World, tmp_path: Path, instances: int) -> None:
    async with world.running():
        await world.until_full()
        for number in range(instances):
            await world.until_phase((await world.create(number)).id, Phase.RUNNING)
            await world.until_full()
    before = {kind: set(names) for kind, names in world.cloud.inventory().items()}
    await world.store.aclose()
    world.store = await new_store(tmp_path / "another.sqlite", world.clock)
    await world.store.accounts.add_user(User(OWNER, "owner@example.com", Role.USER, NOW), None, None)

    async def is_told() -> bool:
        return EventName.ORPHANS_HELD_BACK in {event.name for event in await world.store.platform.events()}

    async with world.running():
        await eventually(is_told, lambda: "nobody was told")
        await world.clock.sleep(20 * world.options.orphan_grace_seconds)
    after = {kind: set(names) for kind, names in world.cloud.inventory().items()}
    assert all(before[kind] <= after[kind] for kind in before)
    assert {orphan.state for orphan in await world.store.platform.orphans()} == {OrphanState.HELD_BACK}
    await world.store.aclose()


async def test_what_a_row_that_was_lost_has_left_is_kept_for_a_while(world: World) -> None:
    world.options = replace(world.options, quarantine_seconds=25.0)
    async with world.running():
        await world.until_full()
        others = [await world.until_phase((await world.create(number)).id, Phase.RUNNING) for number in range(3)]
        await world.until_full()
        instance = await world.until_phase((await world.create(len(others))).id, Phase.RUNNING)
        await world.until_full()
    async with world.store.database.write() as connection:
        for table, of_instance in ((tables.steps, "instance_id"), (tables.volumes, "instance_id"), (tables.instances, "id")):
            await connection.execute(table.delete().where(table.c[of_instance] == instance.id))
        for table, of_machine in ((tables.observations, "machine_id"), (tables.machines, "id")):
            await connection.execute(table.delete().where(table.c[of_machine] == instance.machine_id))
    async with world.running():

        async def is_kept() -> bool:
            return {orphan.state for orphan in await world.store.platform.orphans()} == {OrphanState.QUARANTINED}

        await eventually(is_kept, lambda: "nothing was kept")
        began = world.clock.now()
        assert instance.id in world.cloud.secrets
        assert instance.machine_id in world.cloud.machines

        async def is_gone() -> bool:
            there = world.cloud.inventory()
            return not {instance.id, instance.machine_id, volume_of(instance.id)} & {name for names in there.values() for name in names}

        await eventually(is_gone, lambda: "it was kept for ever", 200)
        assert world.clock.now() - began >= 20
        await world.nothing_leaked()


async def test_a_volume_goes_only_once_its_restore_point_is_ready_and_that_goes_by_its_age(world: World) -> None:
    options = replace(world.options, quarantine_seconds=5.0, restore_points=RestorePointPolicy(orphans_kept_seconds=500.0))
    orphans, cloud, clock = OrphansController(world.ports(), options), world.cloud, world.clock
    points = RestorePointsController(world.ports(), options)
    marked, empty = VolumeId("vo-aaaaaaaa"), VolumeId("vo-bbbbbbbb")
    cloud.volumes.update({marked: FakeVolume(instance_id=InstanceId("oc-aaaaaaaa"), written=7), empty: FakeVolume()})
    cloud.pace.copy = lambda: 20.0
    cloud.fail_next("points.make", Unavailable("The snapshot failed."))

    async def seen_after(seconds: float) -> tuple[set[VolumeId], set[RestorePointId]]:
        """Which volumes there are, and which restore points, once a look was taken so much later."""
        await clock.sleep(seconds)
        await orphans.tick()
        for _ in range(2):
            await points.tick()
        return set(cloud.volumes), set(cloud.points)

    await orphans.tick()
    assert await seen_after(1) == ({marked}, set()), "the empty one is gone, the other one is in quarantine"
    assert await seen_after(5) == ({marked}, set()), "its restore point failed"
    point = point_of_orphan(marked)
    assert await seen_after(1) == ({marked}, {point}), "its restore point is begun"
    assert await seen_after(19) == ({marked}, {point})
    assert await seen_after(1) == (set(), {point}), "its restore point is ready"
    assert (cloud.points[point].instance_id, cloud.points[point].written) == ("oc-aaaaaaaa", 7)
    assert await seen_after(400) == (set(), {point})
    assert await seen_after(100) == (set(), set())
    removed = [event.detail["what"] for event in await world.store.platform.events() if event.name is EventName.ORPHAN_REMOVED]
    assert sorted(removed) == [f"volume {marked}", f"volume {empty}"]


async def test_what_belongs_to_another_platform_is_not_touched_unless_it_is_taken_over(tmp_path: Path) -> None:
    ownership = LocalOwnership(tmp_path)
    for _ in range(2):
        await claim(ownership, "aaaaaaaa", None)
    with pytest.raises(StateConflict, match="TAKE_OVER=aaaaaaaa"):
        await claim(ownership, "bbbbbbbb", "cccccccc")
    assert await ownership.owner() == "aaaaaaaa"
    await claim(ownership, "bbbbbbbb", "aaaaaaaa")
    assert await ownership.owner() == "bbbbbbbb"
