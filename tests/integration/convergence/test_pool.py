"""The pool under the production controllers: warmth, failures, shortages, machines that others start."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from openclaw_hosted.adapters.fake.cloud import FakeMachine
from openclaw_hosted.domain.errors import Denied, NoCapacity
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import MachineFailure, MachineState
from openclaw_hosted.domain.naming import MachineId
from openclaw_hosted.domain.pool import PoolStatus
from tests.integration.convergence.world import World, eventually

pytestmark = pytest.mark.looptime


async def test_on_one_computer_users_go_first_each_openclaw_starts_once_and_no_more_at_once_than_there_are_cores(world: World) -> None:
    policy = replace(world.options.policy, starts_compete=True, max_launches_at_once=2)
    world.options = replace(world.options, policy=policy, refill_waits_seconds=60.0)
    waiting = [await world.create(number) for number in range(3)]
    starts: list[int] = []
    under_way = 0

    async def count(call: str, moment: str) -> None:
        nonlocal under_way
        if call == "gateways.start":
            under_way += 1 if moment == "before" else -1
            starts.append(under_way)
            if moment == "before":
                await asyncio.sleep(0.5)

    world.cloud.hook = count
    async with world.running():
        for instance in waiting:
            await world.until_phase(instance.id, Phase.RUNNING)
        await world.until_full()
        assert (len(starts), max(starts)) == (2 * (len(waiting) + 1), 2)
        await world.nothing_leaked()


async def test_on_one_computer_a_spare_waits_until_the_user_who_took_the_last_one_after_a_loss_is_served(world: World) -> None:
    policy = replace(world.options.policy, starts_compete=True, max_launches_at_once=2)
    world.options = replace(world.options, policy=policy, refill_waits_seconds=60.0, gateway_ready_seconds=30.0)
    async with world.running():
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        await world.until_full()
        assert instance.machine_id is not None
        before = {machine.id for machine in await world.store.machines.list_recent()}
        starts = Counter[Phase]()

        async def note(call: str, moment: str) -> None:
            if (call, moment) == ("gateways.start", "before"):
                starts[(await world.store.instances.get(instance.id)).phase] += 1

        world.cloud.hook, world.cloud.pace.gateway = note, lambda: 5.0
        world.cloud.kill(instance.machine_id)

        async def moved() -> bool:
            return (await world.store.instances.get(instance.id)).generation == 2

        await eventually(moved, lambda: "it was not given another machine")
        await world.until_phase(instance.id, Phase.RUNNING)
        await world.until_full()
        assert starts == {Phase.REPLACING: 1, Phase.RUNNING: 1}, "no spare starts beside it"
        after = {machine.id for machine in await world.store.machines.list_recent()}
        assert len(after - before) == 1


async def test_spares_are_kept_warm_and_instances_left_alone(world: World) -> None:
    world.options = replace(world.options, keep_warm_seconds=0.05)
    touched: list[str] = []

    async def note(call: str, moment: str) -> None:
        if (call, moment) == ("gateways.keep_warm", "before"):
            touched.append(call)

    async def three_times() -> bool:
        return len(touched) >= 3

    world.cloud.hook = note
    async with world.running():
        await world.until_full()
        await eventually(three_times, lambda: "the spare was not kept warm")
    world.options = replace(world.options, policy=replace(world.options.policy, spares=0))
    async with world.running():
        await world.until_phase((await world.create()).id, Phase.RUNNING)
        touched.clear()
        await world.clock.sleep(0.5)
    assert touched == []


async def test_a_pool_that_keeps_failing_stops_and_can_be_resumed(world: World) -> None:
    for _ in range(40):
        world.cloud.fail_next("machines.launch", Denied("The role may not launch."))

    async def stopped() -> bool:
        return (await world.store.platform.pool_memory()).status == "stopped"

    async with world.running():
        await eventually(stopped, lambda: "it never stopped")
        world.cloud.calm()
        await world.store.platform.set_pool(paused=False)
        await world.until_full()


async def test_a_machine_started_by_hand_becomes_a_spare(world: World) -> None:
    world.options = replace(world.options, policy=replace(world.options.policy, spares=2))
    await world.store.platform.set_pool(paused=True)
    world.cloud.machines["by-hand"] = FakeMachine(MachineId(""), world.clock.now(), address="by-hand:8080")
    async with world.running():

        async def is_spare() -> bool:
            return [
                machine.provider_ref for machine in await world.store.machines.list_live() if machine.state is MachineState.AVAILABLE
            ] == ["by-hand"]

        await eventually(is_spare, lambda: "it was never taken in")
        assert (await world.create()).phase is Phase.PLACING


async def test_no_room_at_the_provider_ends_the_row_and_the_pool_tries_another(world: World) -> None:
    world.cloud.fail_next("machines.launch", NoCapacity("no Spot capacity"))
    async with world.running():
        await world.until_full()
    ended = [machine for machine in await world.store.machines.list_recent() if machine.failure is MachineFailure.LAUNCH_FAILED]
    assert len(ended) == 1


async def test_a_shortage_of_minutes_does_not_stop_the_pool(world: World) -> None:
    for _ in range(3 * world.options.policy.failures_until_stop):
        world.cloud.fail_next("machines.launch", NoCapacity("no Spot capacity"))
    async with world.running():

        async def is_said() -> bool:
            return (await world.store.platform.pool_memory()).status is PoolStatus.NO_CAPACITY

        await eventually(is_said, lambda: "nobody was told")
        assert "no Spot capacity" in ((await world.store.platform.pool_memory()).note or "")
        await world.until_full()
    memory = await world.store.platform.pool_memory()
    assert (memory.failures_in_row, memory.shortages) == (0, {})
