"""The production controllers on a real store and the fake provider: whatever happens, they converge, and nothing leaks."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest

from openclaw_hosted.adapters.fake.cloud import FakeMachine
from openclaw_hosted.adapters.fake.compute import REFUSAL
from openclaw_hosted.domain.errors import Denied, NoCapacity, ProviderAway, Unavailable
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.gateway import GatewaySettings, ModelProvider
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import MachineFailure, MachineState, Warmth
from openclaw_hosted.domain.naming import MachineId, volume_of
from openclaw_hosted.domain.pool import PoolStatus
from openclaw_hosted.ports.machines import MachineHealth
from tests.integration.convergence.world import CAPS, World, eventually
from tests.support.life import ask_restart, ask_restore, change, lose

pytestmark = pytest.mark.looptime


async def test_an_instance_takes_the_id_of_the_spare_that_was_ready(world: World) -> None:
    async with world.running():
        await world.until_full()
        (spare,) = await world.store.machines.list_live()
        instance = await world.create()
        assert (instance.id, instance.machine_id) == (spare.reserved_instance_id, spare.id)
        await world.until_phase(instance.id, Phase.RUNNING)
        await world.until_full()
        await world.nothing_leaked()


async def test_an_instance_without_a_spare_waits_and_then_runs_under_its_own_id(world: World) -> None:
    instance = await world.create()
    assert instance.phase is Phase.PENDING
    async with world.running():
        assert (await world.until_phase(instance.id, Phase.RUNNING)).id == instance.id
        await world.until_full()
        await world.delete(instance.id)
        await world.until_phase(instance.id, Phase.DELETED)
        await world.until_full()


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


async def test_a_deleted_instance_keeps_its_volume_and_comes_back_with_it(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await world.create()
        await world.until_phase(instance.id, Phase.RUNNING)
        await world.delete(instance.id)
        await world.until_phase(instance.id, Phase.DELETED)
        await world.until_full()
        await world.nothing_leaked()
        await ask_restore(world.store, instance.id, CAPS, world.clock.now())
        back = await world.until_phase(instance.id, Phase.RUNNING)
        assert back.generation == 2
        assert world.cloud.volumes[volume_of(instance.id)].attached_to == back.machine_id


async def test_a_machine_that_dies_is_replaced_on_the_same_volume(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        assert instance.machine_id is not None
        world.cloud.kill(instance.machine_id)

        async def replaced() -> bool:
            now = await world.store.instances.get(instance.id)
            return now.phase is Phase.RUNNING and now.generation == 2

        await eventually(replaced, lambda: "it was not replaced")
        assert world.cloud.volumes[volume_of(instance.id)].instance_id == instance.id


async def test_a_gateway_that_refuses_its_settings_fails_until_they_are_mended(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        assert instance.machine_id is not None
        world.cloud.machines[instance.machine_id].refused_revision = instance.revision
        failed = await world.until_phase(instance.id, Phase.FAILED)
        assert failed.last_error == REFUSAL
        mended = GatewaySettings(ModelProvider.ECHO, "echo")
        await change(world.store, instance, world.clock.now(), settings=mended)
        back = await world.until_phase(instance.id, Phase.RUNNING)
        assert (back.machine_id, back.generation, back.last_error) == (instance.machine_id, 1, None)


async def test_a_gateway_that_names_old_addresses_of_the_platform_is_told_the_new_ones(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        assert instance.machine_id is not None
        machine = world.cloud.machines[instance.machine_id]
        machine.outdated = True

        async def told() -> bool:
            return not machine.outdated

        await eventually(told, lambda: "it still names the old addresses")
        await world.until_phase(instance.id, Phase.RUNNING)
        assert machine.restarts == 0


async def test_a_gateway_that_hangs_is_ended_by_force(world: World) -> None:
    world.options = replace(world.options, hung_after_looks=4)
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        assert instance.machine_id is not None
        machine = world.cloud.machines[instance.machine_id]
        await world.clock.sleep(0.3)
        machine.hangs = True
        await world.until_phase(instance.id, Phase.UPDATING)
        assert machine.restarts == 0
        back = await world.until_phase(instance.id, Phase.RUNNING)
        assert (back.machine_id, back.generation, machine.restarts) == (instance.machine_id, 1, 1)


async def test_a_gateway_that_a_reboot_of_its_machine_ended_is_started_there_and_no_machine_is_replaced(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        await world.until_full()
        before = dict(world.cloud.machines)
        for machine in before.values():
            machine.down = True

        async def answer() -> bool:
            return all(world.cloud.ready(machine) for machine in before.values())

        await eventually(answer, lambda: "they were left down")
        back = await world.until_phase(instance.id, Phase.RUNNING)
        await world.until_full()
        assert (back.machine_id, back.generation) == (instance.machine_id, 1)
        assert world.cloud.machines == before


async def test_a_spare_that_can_not_be_started_again_is_given_up_later_than_one_that_is_gone(world: World) -> None:
    world.options = replace(world.options, hung_after_looks=4)
    async with world.running():
        await world.until_full()
        (ref,) = world.cloud.machines
        world.cloud.machines[ref].hangs = True

        async def replaced() -> bool:
            return ref not in world.cloud.machines

        await eventually(replaced, lambda: "it was kept")
        await world.until_full()
        failed = [event for event in await world.store.platform.events(limit=100) if event.name is EventName.MACHINE_CONDEMNED]
        assert len(failed) == 1


async def test_a_restart_waits_for_a_long_turn_keeps_the_machine_and_runs_only_once_it_answers_again(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        assert instance.machine_id is not None
        machine = world.cloud.machines[instance.machine_id]
        world.cloud.pace.turn = lambda: 6 * world.options.gateway_ready_seconds
        await ask_restart(world.store, instance, world.clock.now())

        async def told() -> bool:
            return machine.restarts > 0

        await eventually(told, lambda: "it was not told")
        while world.clock.now() < machine.stopped_at:
            waiting = await world.store.instances.get(instance.id)
            assert (waiting.phase, waiting.attempts, waiting.machine_id) == (Phase.UPDATING, 0, instance.machine_id)
            await world.clock.sleep(0.5)
        back = await world.until_phase(instance.id, Phase.RUNNING)
        assert world.cloud.ready(machine)
        assert (back.machine_id, back.generation, machine.restarts) == (instance.machine_id, 1, 1)


async def test_an_edge_that_is_away_keeps_a_restarted_instance_from_running_but_not_its_machine(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        for _ in range(6):
            world.cloud.fail_next("router.probe", Unavailable("The edge does not answer."))
        await ask_restart(world.store, instance, world.clock.now())
        back = await world.until_phase(instance.id, Phase.RUNNING)
        assert (back.machine_id, back.generation) == (instance.machine_id, 1)
        assert not world.cloud.is_to_fail("router.probe")


async def test_a_spare_that_dies_while_it_is_claimed_is_replaced_under_the_same_id(world: World) -> None:
    async with world.running():
        await world.until_full()
        (spare,) = await world.store.machines.list_live()

        async def die(call: str, moment: str) -> None:
            if moment == "before" and call in ("gateways.apply", "gateways.status") and not died:
                died.append(call)
                world.cloud.kill(spare.id)

        died: list[str] = []
        world.cloud.hook = die
        instance = await world.create()
        assert instance.machine_id == spare.id
        back = await world.until_phase(instance.id, Phase.RUNNING)
        assert died
        assert back.machine_id != spare.id
        assert (back.id, back.generation) == (spare.reserved_instance_id, 2)
        await world.until_full()
        await world.nothing_leaked()


async def test_while_the_provider_is_away_no_machine_is_given_up_and_no_attempt_counted(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        await world.until_full()
        away = asyncio.Event()

        async def answer(call: str, moment: str) -> None:
            if away.is_set() and moment == "before" and call.startswith(("gateways.", "machines.")) and call != "machines.observe":
                raise ProviderAway

        away.set()
        world.cloud.hook = answer
        await ask_restart(world.store, instance, world.clock.now())
        later = await world.create(1)
        await world.clock.sleep(2)
        for waiting in (instance.id, later.id):
            assert (await world.store.instances.get(waiting)).attempts == 0
        assert (await world.store.platform.pool_memory()).failures_in_row == 0
        away.clear()
        for waiting in (instance.id, later.id):
            assert (await world.until_phase(waiting, Phase.RUNNING)).generation == 1
        await world.until_full()


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


async def test_a_deletion_during_placement_wins(world: World) -> None:
    async with world.running():
        await world.until_full()
        world.cloud.fail_next("router.bind", Unavailable())
        instance = await world.create()
        await world.delete(instance.id)
        assert (await world.until_phase(instance.id, Phase.DELETED)).machine_id is None
        await world.until_full()
        await world.nothing_leaked()


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


async def test_a_volume_is_followed_into_its_zone_though_the_spare_is_in_another(world: World) -> None:
    world.options = replace(world.options, policy=replace(world.options.policy, spread=False))
    world.cloud.zones = ("fake-1", "fake-2")
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        await world.until_full()
        assert instance.machine_id is not None
        first = await world.store.machines.get(instance.machine_id)
        spare = next(machine for machine in world.cloud.machines.values() if machine.machine_id != first.id)
        assert spare.zone != first.zone
        world.cloud.kill(first.id)

        async def replaced() -> bool:
            now = await world.store.instances.get(instance.id)
            return now.generation == 2 and now.phase is Phase.RUNNING

        await eventually(replaced, lambda: "it was never replaced")
        again = await world.store.instances.get(instance.id)
        assert again.machine_id is not None
        assert (await world.store.machines.get(again.machine_id)).zone == first.zone
        assert (await world.store.instances.volume(instance.id)).zone == first.zone
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


async def test_a_machine_that_does_not_stop_its_gateway_is_ended_all_the_same(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        for _ in range(5):
            world.cloud.fail_next("gateways.stop", Unavailable("no answer"))
        await world.delete(instance.id)
        assert (await world.until_phase(instance.id, Phase.DELETED)).machine_id is None
        assert instance.machine_id not in world.cloud.machines


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


async def test_an_address_that_never_answers_costs_no_machine_and_is_said(world: World) -> None:
    for _ in range(world.options.attempts_limit):
        world.cloud.fail_next("router.probe", Unavailable("claw.example.com leads elsewhere."))
    async with world.running():
        await world.until_full()
        instance = await world.create()
        failed = await world.until_phase(instance.id, Phase.FAILED)
        assert (failed.generation, failed.last_error) == (1, "claw.example.com leads elsewhere.")
        await ask_restart(world.store, failed, world.clock.now())
        assert (await world.until_phase(instance.id, Phase.RUNNING)).generation == 1


async def test_gateways_that_never_start_use_up_few_machines_and_then_it_is_given_up(world: World) -> None:
    world.options = replace(world.options, warmth=Warmth.BOOTED)
    world.cloud.pace.gateway = lambda: math.inf
    async with world.running():
        instance = await world.create()
        failed = await world.until_phase(instance.id, Phase.FAILED)
        assert failed.generation <= 1 + world.options.attempts_limit // 3
        assert failed.last_error


async def test_an_instance_that_uses_up_machine_after_machine_waits_and_its_user_is_told(world: World) -> None:
    world.options = replace(world.options, machines_per_hour=2)
    async with world.running():
        instance = await world.create()
        for generation in (1, 2):
            running = await world.until_phase(instance.id, Phase.RUNNING)
            assert running.generation == generation
            await lose(world.store, MachineId(str(running.machine_id)), world.clock.now())

        async def is_told() -> bool:
            return "used up 2 machines" in ((await world.store.instances.get(instance.id)).last_error or "")

        await eventually(is_told, lambda: "nobody was told")
        assert (await world.store.instances.get(instance.id)).machine_id is None


async def test_a_machine_that_shuts_down_is_gone(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        assert instance.machine_id is not None
        machine = world.cloud.machines[instance.machine_id]
        machine.health, machine.hangs = MachineHealth.SHUTTING_DOWN, True

        async def replaced() -> bool:
            return (await world.store.instances.get(instance.id)).machine_id != instance.machine_id

        await eventually(replaced, lambda: "it was taken for a gateway that hangs")
        events = [event.name for event in await world.store.platform.events(machine_id=instance.machine_id)]
        assert EventName.GATEWAY_HUNG not in events
