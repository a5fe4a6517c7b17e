"""What the simulation found (docs/simulation.md), each as one scene on the real store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import count

import pytest

from openclaw_hosted.adapters.fake.access import FakeRouter
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import MachineState, Warmth
from openclaw_hosted.domain.naming import MachineId, volume_of
from openclaw_hosted.domain.notice import INTERRUPTION_SECONDS, NoticeKind
from openclaw_hosted.ports.router import Target
from openclaw_hosted.ports.stores import Lease
from openclaw_hosted.store.instances import SqlInstances
from tests.integration.convergence.world import OWNER, World, eventually
from tests.support.life import condemn, lose
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.looptime
MOST_RENEWALS = 1000
"""Of one lease, with much to spare."""


async def test_an_instance_whose_machine_was_given_up_by_one_that_died_over_it_gets_another(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
    assert instance.machine_id is not None
    await lose(world.store, instance.machine_id, world.clock.now())

    async def has_another() -> bool:
        now = await world.store.instances.get(instance.id)
        return now.phase is Phase.RUNNING and now.generation == instance.generation + 1

    async with world.running():
        await eventually(has_another, lambda: "it kept a machine that is gone")


async def test_a_machine_whose_launch_was_never_recorded_is_ended_by_the_providers_name_for_it(world: World) -> None:
    world.cloud.new_ref = lambda machine_id: f"i-{machine_id}"
    world.cloud.lose_answer("machines.launch")
    reached = asyncio.Event()

    async def condemn_it(call: str, moment: str) -> None:
        if (call, moment) == ("machines.launch", "after") and not reached.is_set():
            (machine,) = await world.store.machines.list_live()
            await world.store.platform.set_pool(paused=True)
            await condemn(world.store, machine.id, now=world.clock.now())
            reached.set()

    world.cloud.hook = condemn_it

    async def is_gone() -> bool:
        return reached.is_set() and not world.cloud.machines and not await world.store.machines.list_live()

    async with world.running():
        await eventually(is_gone, lambda: f"still there: {world.cloud.machines}")


async def test_a_route_that_came_after_the_deletion_is_taken_away(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        (machine,) = [each for each in await world.store.machines.list_live() if each.instance_id == instance.id]
        await world.delete(instance.id)
        await world.until_phase(instance.id, Phase.DELETED)
        target = Target(machine.id, machine.provider_ref or "", machine.address or "")
        await FakeRouter(world.cloud).bind(instance.id, target, OWNER, instance.generation)

        async def is_gone() -> bool:
            return instance.id not in world.cloud.routes

        await eventually(is_gone, lambda: "the route of a deleted instance was kept")


async def test_work_ends_when_its_lease_has_run_out_though_the_store_does_not_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, ended = asyncio.Event(), asyncio.Event()
    asked = count()

    async def hang(call: str, moment: str) -> None:
        if (call, moment) == ("router.bind", "before") and not reached.is_set():
            reached.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    async def no_answer(_: SqlInstances, __: Sequence[Lease], ___: float) -> frozenset[str]:
        assert next(asked) < MOST_RENEWALS, "whoever asks without end keeps virtual time from moving"
        raise Unavailable("The database does not answer.")

    monkeypatch.setattr(SqlInstances, "renew", no_answer)
    world.cloud.hook = hang
    await world.create()
    async with world.running():
        await asyncio.wait_for(reached.wait(), PATIENCE_SECONDS)
        began = world.clock.monotonic()
        await asyncio.wait_for(ended.wait(), 10 * world.options.lease_seconds)
        assert world.clock.monotonic() - began <= world.options.lease_seconds


async def test_a_volume_that_was_being_made_as_its_machine_was_taken_away_is_looked_for_in_its_zone(world: World) -> None:
    policy = replace(world.options.policy, spread=False)
    world.options = replace(world.options, policy=policy, warmth=Warmth.BOOTED)
    lost: list[MachineId] = []

    async def take_away(call: str, moment: str) -> None:
        if (call, moment) == ("volumes.create", "after") and not lost:
            (serving,) = [m for m in await world.store.machines.list_live() if m.state is MachineState.ASSIGNED]
            lost.append(serving.id)
            now = world.clock.now()
            rule = partial(lifecycle.notice, now=now, kind=NoticeKind.INTERRUPTION, leaves_at=now + INTERRUPTION_SECONDS)
            await world.store.machines.lose(serving.id, rule)
            world.cloud.zones = ("fake-2",)
            await world.store.platform.set_pool(paused=False)

    async with world.running():
        await world.until_full()
        await world.store.platform.set_pool(paused=True)
        world.cloud.hook = take_away
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        assert instance.generation == 2
        assert instance.machine_id is not None
        after, before = [await world.store.machines.get(machine_id) for machine_id in (instance.machine_id, *lost)]
        assert after.zone == before.zone == world.cloud.volumes[volume_of(instance.id)].zone


async def test_a_spare_whose_openclaw_answers_and_is_not_ready_is_replaced(world: World) -> None:
    async with world.running():
        await world.until_full()
        (ref,) = world.cloud.machines
        machine = world.cloud.machines[ref]
        assert machine.spec is not None
        machine.refused_revision = machine.spec.revision

        async def is_replaced() -> bool:
            return ref not in world.cloud.machines

        await eventually(is_replaced, lambda: "it was kept, for somebody to get it")
        await world.until_full()
