"""The database is lost while everything runs, and rebuilt from what the provider tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from openclaw_hosted.adapters.fake.access import FakeRouter, FakeVault
from openclaw_hosted.adapters.fake.cloud import FakeCloud, FakePoint
from openclaw_hosted.adapters.fake.compute import FakeGateways, FakeMachines, FakeVolumes
from openclaw_hosted.adapters.fake.restore_points import FakeRestorePoints
from openclaw_hosted.adapters.local.ownership import LocalOwnership
from openclaw_hosted.bootstrap.claiming import claim
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.adoption import AdoptionPlan, not_known
from openclaw_hosted.domain.errors import StateConflict, Unavailable
from openclaw_hosted.domain.gateway import GatewaySettings, ModelProvider
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.machine import MachineState, Warmth
from openclaw_hosted.domain.naming import MachineId, RestorePointId
from openclaw_hosted.domain.orphan import OrphanState
from openclaw_hosted.domain.restore_point import Cause, PointState
from openclaw_hosted.services.adoption import AdoptionService, Provider
from tests.integration.convergence.world import OWNER, World, eventually
from tests.support.actors import acting_as
from tests.support.life import NOW
from tests.support.store import new_store

pytestmark = pytest.mark.looptime
MARK = "0123abcd"


class Lost:
    """A world whose database is lost, and an adoption into a new one."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.ownership = LocalOwnership(folder)
        self.retention_seconds = 1000.0

    @property
    def service(self) -> AdoptionService:
        cloud = self.world.cloud
        provider = Provider(
            FakeMachines(cloud),
            FakeGateways(cloud),
            FakeVolumes(cloud),
            FakeVault(cloud),
            FakeRouter(cloud),
            self.ownership,
            FakeRestorePoints(cloud),
        )
        return AdoptionService(
            provider, self.world.store.adoption, self.world.clock, warmth=Warmth.HOT, retention_seconds=self.retention_seconds
        )

    async def adopt(self) -> AdoptionPlan:
        mark, plan = await self.service.look()
        await self.service.carry_out(mark, plan)
        return plan


@asynccontextmanager
async def without_database(world: World, tmp_path: Path) -> AsyncIterator[Lost]:
    """The world once its database is gone, and another one is there, empty."""
    lost = Lost(world, tmp_path)
    await lost.ownership.claim(MARK)
    await world.store.aclose()
    world.store = await new_store(tmp_path / "another.sqlite", world.clock)
    try:
        yield lost
    finally:
        await world.store.aclose()


async def with_instances(world: World, count: int) -> list[Instance]:
    async with world.running():
        await world.until_full()
        made = []
        for number in range(count):
            made.append(await world.until_phase((await world.create(number)).id, Phase.RUNNING))
            await world.until_full()
        return made


def as_it_is(cloud: FakeCloud) -> dict[str, object]:
    """What a user or an operator could notice of a change."""
    return {
        "machines": {ref: (each.machine_id, each.restarts, each.spec, each.generation) for ref, each in cloud.machines.items()},
        "routes": dict(cloud.routes),
        "volumes": {key: (each.instance_id, each.attached_to) for key, each in cloud.volumes.items()},
        "secrets": {key: (dict(each.document), each.revision, each.granted_to) for key, each in cloud.secrets.items()},
    }


async def test_instances_go_on_as_if_nothing_had_happened(world: World, tmp_path: Path) -> None:
    before = await with_instances(world, 3)
    there = as_it_is(world.cloud)
    async with without_database(world, tmp_path) as lost:
        plan = await lost.adopt()
        assert as_it_is(world.cloud) == there
        assert {found.id for found in plan.instances} == {instance.id for instance in before}
        assert (len(plan.spares), plan.held_back) == (1, {})
        async with world.running():
            await world.until_full()
            await world.clock.sleep(20 * world.options.orphan_grace_seconds)
            await world.nothing_leaked()
        assert as_it_is(world.cloud) == there
        for instance in before:
            row = await world.store.instances.get(instance.id)
            kept = replace(row, phase_changed_at=instance.phase_changed_at, applied_revision=instance.applied_revision, is_leased=False)
            assert kept == replace(instance, is_leased=False)
            assert row.phase is Phase.RUNNING
        (owner,) = await world.store.accounts.users()
        assert (owner.id, owner.email, owner.role) == (OWNER, "owner@example.com", Role.USER)
        assert not await world.store.platform.orphans()


async def test_restore_points_are_there_again_and_those_of_nobody_wait(world: World, tmp_path: Path) -> None:
    (instance,) = await with_instances(world, 1)
    made_at = world.clock.now() - 3600.0
    world.cloud.points[RestorePointId("rp-mine")] = FakePoint(instance.id, 7, made_at, made_at, made_at)
    world.cloud.points[RestorePointId("rp-nobodys")] = FakePoint(None, 7, made_at, made_at, made_at)
    async with without_database(world, tmp_path) as lost:
        await lost.adopt()
        (point,) = await world.store.restore_points.list_for(instance.id)
        assert (point.id, point.made_at, point.cause, point.state) == ("rp-mine", made_at, Cause.ADOPTED, PointState.READY)
        async with world.running():
            await world.until_full()
            await world.clock.sleep(20 * world.options.orphan_grace_seconds)
        assert {"rp-mine", "rp-nobodys"} <= set(world.cloud.points)


async def test_an_adoption_goes_into_an_empty_database_and_once_only(world: World, tmp_path: Path) -> None:
    await with_instances(world, 1)
    async with without_database(world, tmp_path) as lost:
        await lost.adopt()
        assert await world.store.mark() == MARK
        await claim(lost.ownership, await world.store.mark(), None)
        with pytest.raises(StateConflict, match="instances: 1, machines: 2"):
            await lost.adopt()


@pytest.mark.parametrize("writes", range(6))
async def test_an_adoption_that_was_cut_off_ends_as_one_that_was_not(world: World, tmp_path: Path, writes: int) -> None:
    before = await with_instances(world, 2)
    async with without_database(world, tmp_path) as lost:
        left = iter(range(writes))

        class CutOff(Exception):
            """The power failed."""

        class Short:
            """A store that writes a few times only."""

            def __getattr__(self, name: str) -> object:
                whole = getattr(world.store.adoption, name)

                async def call(*arguments: object) -> object:
                    if name != "check_empty" and next(left, None) is None:
                        raise CutOff
                    return await whole(*arguments)

                return call

        service = lost.service
        service._store = Short()  # type: ignore[assignment]
        mark, plan = await service.look()
        with suppress(CutOff):
            await service.carry_out(mark, plan)
        if await world.store.mark() != MARK and writes:
            with pytest.raises(StateConflict, match=f"adopt --platform {MARK}"):
                await claim(lost.ownership, await world.store.mark(), None)
        if await world.store.mark() != MARK:
            await lost.adopt()
        assert await world.store.mark() == MARK
        assert {row.id for row in await world.store.instances.list_all()} == {each.id for each in before}
        async with world.running():
            await world.until_full()
            await world.nothing_leaked()


async def test_nobody_gets_a_machine_whose_user_came_seconds_before(world: World, tmp_path: Path) -> None:
    async with world.running():
        await world.until_full()
        for call in ("machines.label", "router.mark", "vault.put"):
            for _ in range(50):
                world.cloud.fail_next(call, Unavailable("It is away."))
        instance = await world.create()

        async def is_running() -> bool:
            return (await world.store.instances.get(instance.id)).phase is Phase.RUNNING

        await eventually(is_running, lambda: "it never ran")
    world.cloud.calm()
    route = world.cloud.routes[instance.id]
    world.cloud.routes[instance.id] = replace(route, route=replace(route.route, owner_id=None, generation=0))
    async with without_database(world, tmp_path) as lost:
        plan = await lost.adopt()
        (found,) = plan.instances
        assert (found.id, found.owner_is_known, found.machine and found.machine.id) == (instance.id, False, instance.machine_id)
        assert instance.machine_id not in {machine.id for machine in plan.spares}
        assert any("whose it is" in line for line in not_known(plan))
        async with world.running():
            again = await world.until_phase(instance.id, Phase.RUNNING)
            assert again.machine_id == instance.machine_id
            await world.clock.sleep(5 * world.options.orphan_grace_seconds)
            assert instance.machine_id in world.cloud.machines


async def test_of_two_machines_for_one_instance_that_with_the_volume_goes_on_and_the_other_is_left_alone(
    world: World, tmp_path: Path
) -> None:
    (instance,) = await with_instances(world, 1)
    spare = next(ref for ref, each in world.cloud.machines.items() if each.machine_id != instance.machine_id)
    world.cloud.labels[spare] = {"Status": "assigned", "UserId": OWNER, "InstanceId": instance.id}
    async with without_database(world, tmp_path) as lost:
        plan = await lost.adopt()
        (found,) = plan.instances
        assert found.machine is not None
        assert found.machine.id == instance.machine_id
        assert f"machine {spare}" in plan.held_back
        async with world.running():
            await world.until_full()
            await world.clock.sleep(20 * world.options.orphan_grace_seconds)
        assert spare in world.cloud.machines
        assert {f"machine {spare}"} <= {each.name for each in await world.store.platform.orphans() if each.state is OrphanState.HELD_BACK}


async def test_what_can_not_tell_whether_somebody_was_let_in_becomes_no_spare(world: World, tmp_path: Path) -> None:
    await with_instances(world, 0)
    (ref,) = world.cloud.machines
    world.cloud.machines[ref].hangs = True
    async with without_database(world, tmp_path) as lost:
        plan = await lost.adopt()
        assert not plan.spares
        async with world.running():
            await world.until_full()
            await world.clock.sleep(20 * world.options.orphan_grace_seconds)
        assert ref in world.cloud.machines
        assert {"machine", "secret", "route", "volume"} <= {name.split()[0] for name in plan.held_back}


async def test_an_instance_without_a_machine_gets_one_and_has_its_volume(world: World, tmp_path: Path) -> None:
    (instance,) = await with_instances(world, 1)
    assert instance.machine_id is not None
    world.cloud.kill(instance.machine_id)
    async with without_database(world, tmp_path) as lost:
        await lost.adopt()
        async with world.running():
            again = await world.until_phase(instance.id, Phase.RUNNING)
            assert again.generation == instance.generation + 1
            await world.until_full()
            await eventually(world.is_clean, lambda: "something was left over")


async def test_a_machine_that_is_shutting_down_is_waited_for(world: World, tmp_path: Path) -> None:
    (instance,) = await with_instances(world, 1)
    assert instance.machine_id is not None
    world.cloud.pace.end = lambda: 3.0
    world.cloud.end(instance.machine_id)
    async with without_database(world, tmp_path) as lost:
        await lost.adopt()
        row = await world.store.machines.get(MachineId(instance.machine_id))
        assert row.state is MachineState.TERMINATING
        async with world.running():
            again = await world.until_phase(instance.id, Phase.RUNNING)
            assert again.machine_id != instance.machine_id


async def test_a_deleted_instance_can_still_be_brought_back(world: World, tmp_path: Path) -> None:
    (instance,) = await with_instances(world, 1)
    async with world.running():
        await world.delete(instance.id)
        await world.until_phase(instance.id, Phase.DELETED)
        await world.until_full()
    async with without_database(world, tmp_path) as lost:
        await lost.adopt()
        row = await world.store.instances.get(instance.id)
        assert (row.phase, row.owner_id, row.purge_after) == (Phase.DELETED, OWNER, world.clock.now() + lost.retention_seconds)
        async with world.running():
            rule = partial(lifecycle.ask_restore, actor=acting_as(OWNER), now=world.clock.now())
            await world.store.instances.update(instance.id, rule)
            await world.until_phase(instance.id, Phase.RUNNING)


async def test_a_renamed_instance_has_its_name_and_its_settings_again(world: World, tmp_path: Path) -> None:
    (instance,) = await with_instances(world, 1)
    settings = GatewaySettings(ModelProvider.ANTHROPIC, "a-model")

    async def change(**what: Any) -> None:
        rule = partial(lifecycle.change, actor=acting_as(OWNER), now=world.clock.now(), **what)
        await world.store.instances.update(instance.id, rule)
        await world.until_phase(instance.id, Phase.RUNNING)

    async with world.running():
        await change(settings=settings)
        await change(name="Another name")
    async with without_database(world, tmp_path) as lost:
        await lost.adopt()
        row = await world.store.instances.get(instance.id)
        assert (row.name, row.settings, row.revision) == ("Another name", settings, 1)


async def test_an_account_that_is_there_already_stays_as_it_is(world: World, tmp_path: Path) -> None:
    await with_instances(world, 1)
    async with without_database(world, tmp_path) as lost:
        admin = User(OWNER, "owner@example.com", Role.ADMIN, NOW)
        await world.store.accounts.add_user(admin, None, None)
        await lost.adopt()
        assert list(await world.store.accounts.users()) == [admin]


async def test_an_owner_whose_address_has_another_account_gets_a_stand_in(world: World, tmp_path: Path) -> None:
    (instance,) = await with_instances(world, 1)
    async with without_database(world, tmp_path) as lost:
        await world.store.accounts.add_user(User("us-other", "owner@example.com", Role.ADMIN, NOW), None, None)  # type: ignore[arg-type]
        await lost.adopt()
        emails = {user.id: user.email for user in await world.store.accounts.users()}
        assert emails[instance.owner_id] == f"{OWNER}@unknown.invalid"
