"""Instances move off machines that are to end, while those still answer: the production controllers on a real store and the fake."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from openclaw_hosted.controllers.interruption import SEEN_WITHIN_SECONDS
from openclaw_hosted.controllers.placement.moving import RESERVE_SECONDS
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.instance import Instance, Phase, StepName
from openclaw_hosted.domain.machine import Machine, MachineState
from openclaw_hosted.domain.naming import MachineId, volume_of
from openclaw_hosted.domain.notice import INTERRUPTION_SECONDS, Notice, NoticeKind
from tests.integration.convergence.world import World, eventually
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.looptime


async def an_instance(world: World, number: int = 0) -> Instance:
    instance = await world.until_phase((await world.create(number)).id, Phase.RUNNING)
    await world.until_full()
    return instance


async def until_moved(world: World, instance: Instance, generation: int = 2) -> Instance:
    async def moved() -> bool:
        now = await world.store.instances.get(instance.id)
        return now.phase is Phase.RUNNING and now.generation == generation

    await eventually(moved, lambda: f"{instance.id} did not move")
    return await world.store.instances.get(instance.id)


async def machine_of(world: World, instance: Instance) -> Machine:
    assert instance.machine_id is not None
    return await world.store.machines.get(instance.machine_id)


def answering(world: World, instance: Instance) -> list[MachineId]:
    """The machines on which its gateway runs."""
    there = world.cloud.machines.values()
    return [machine.machine_id for machine in there if machine.spec is not None and machine.spec.instance_id == instance.id]


async def test_an_interrupted_machine_serves_until_all_else_is_ready_and_is_then_ended(world: World) -> None:
    calls: list[str] = []
    async with world.running():
        await world.until_full()
        instance = await an_instance(world)
        old = await machine_of(world, instance)

        async def note(call: str, moment: str) -> None:
            if moment == "before":
                calls.append(call)
                if call in ("vault.grant", "router.prepare", "router.hold"):
                    assert answering(world, instance) == [old.id]

        world.cloud.hook = note
        world.cloud.give_notice(NoticeKind.INTERRUPTION, old.id)
        moved = await until_moved(world, instance)
        world.cloud.hook = None
        await world.until_full()
        await world.nothing_leaked()
    assert moved.machine_id != old.id
    assert answering(world, instance) == [moved.machine_id]
    assert world.cloud.volumes[volume_of(instance.id)].attached_to == moved.machine_id
    assert instance.id not in world.cloud.held
    wanted = ["gateways.suspend", "router.hold", "gateways.stop", "volumes.detach", "gateways.start", "router.bind"]
    firsts = [calls.index("gateways.suspend"), calls.index("router.hold")]
    firsts.append(calls.index("gateways.stop", firsts[-1]))
    firsts += [calls.index(name, firsts[-1]) for name in wanted[3:]]
    assert firsts == sorted(firsts)
    assert (await world.store.machines.get(old.id)).state is MachineState.TERMINATED
    steps = [step.name for step in await world.store.instances.steps(instance.id) if step.generation == 2]
    assert [name for name in steps if name in (StepName.CLEAR, StepName.STOP, StepName.VOLUME)] == ["clear", "stop", "volume"]
    events = await world.store.platform.events(instance_id=instance.id)
    assert {EventName.MACHINE_NOTICED, EventName.INSTANCE_MOVING} <= {event.name for event in events}


async def test_without_a_spare_it_answers_until_there_is_one(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await an_instance(world)
        world.cloud.capacity["fake-1"] = 0
        await use_up_spares(world)
        old = await machine_of(world, instance)
        world.cloud.give_notice(NoticeKind.INTERRUPTION, old.id)
        await world.until_phase(instance.id, Phase.REPLACING)
        await world.clock.sleep(2.0)
        assert answering(world, instance) == [old.id]
        world.cloud.capacity.clear()
        await until_moved(world, instance)


async def nothing_ready(world: World) -> bool:
    return not any(machine.state is MachineState.AVAILABLE for machine in await world.store.machines.list_live())


async def test_a_machine_that_is_gone_before_anything_was_ready_is_replaced_all_the_same(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await an_instance(world)
        old = await machine_of(world, instance)

        async def end(call: str, moment: str) -> None:
            if (call, moment) == ("gateways.suspend", "before"):
                world.cloud.kill(old.id)

        world.cloud.hook = end
        world.cloud.give_notice(NoticeKind.INTERRUPTION, old.id)
        await until_moved(world, instance)
        world.cloud.hook = None
        await world.until_full()
        await world.nothing_leaked()


async def test_one_that_does_not_stop_is_ended_by_force(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await an_instance(world)
        old = await machine_of(world, instance)
        for _ in range(4):
            world.cloud.fail_next("gateways.stop", Unavailable("It does not stop."))
        world.cloud.give_notice(NoticeKind.INTERRUPTION, old.id)
        await until_moved(world, instance)
        await world.until_full()


@pytest.mark.parametrize("kind", [NoticeKind.REBALANCE, NoticeKind.DRAIN])
async def test_a_move_without_hurry_waits_for_the_end_of_a_turn_and_for_a_spare(world: World, kind: NoticeKind) -> None:
    async with world.running():
        await world.until_full()
        instance = await an_instance(world)
        old = await machine_of(world, instance)
        turn_ends = world.clock.now() + 3.0
        world.cloud.machines[old.id].busy_until = turn_ends
        stopped: list[float] = []

        async def note(call: str, moment: str) -> None:
            if (call, moment) == ("router.hold", "before"):
                stopped.append(world.clock.now())

        world.cloud.hook = note
        world.cloud.give_notice(kind, old.id)
        await until_moved(world, instance)
        assert stopped[0] >= turn_ends
        begun = [event.at for event in await world.store.platform.events() if event.name is EventName.INSTANCE_MOVING]
        assert begun[0] >= turn_ends, "it was said to be moving while it worked"
        assert (await world.store.machines.get(old.id)).notice is kind


async def test_a_turn_that_begins_while_a_move_is_prepared_is_finished_as_well(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await an_instance(world)
        old = await machine_of(world, instance)
        ends: list[float] = []
        stopped: list[float] = []

        async def begin(call: str, moment: str) -> None:
            if (call, moment) == ("vault.grant", "after") and not ends:
                ends.append(world.clock.now() + 2.0)
                world.cloud.machines[old.id].busy_until = ends[0]
            elif (call, moment) == ("router.hold", "before"):
                stopped.append(world.clock.now())

        await world.store.platform.set_pool(paused=True)
        world.cloud.hook = begin
        world.cloud.give_notice(NoticeKind.REBALANCE, old.id)
        await until_moved(world, instance)
        assert stopped[0] >= ends[0]


async def test_those_that_have_time_move_one_at_a_time(world: World) -> None:
    world.options = replace(world.options, policy=replace(world.options.policy, spares=1))
    most = 0
    async with world.running():
        await world.until_full()
        instances = [await an_instance(world, number) for number in range(3)]

        async def count(call: str, _: str) -> None:
            nonlocal most
            if call == "gateways.start":
                rows = [await world.store.instances.get(each.id) for each in instances]
                most = max(most, sum(row.phase is Phase.REPLACING for row in rows))

        world.cloud.hook = count
        for instance in instances:
            world.cloud.give_notice(NoticeKind.REBALANCE, str(instance.machine_id))
        for instance in instances:
            await until_moved(world, instance)
        world.cloud.hook = None
    assert most == 1


async def test_a_machine_is_made_ready_for_an_instance_that_is_to_move_where_the_pool_keeps_none(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await an_instance(world)
    world.options = replace(world.options, policy=replace(world.options.policy, spares=0))
    async with world.running():
        await eventually(lambda: nothing_ready(world), lambda: "the spare was kept")
        world.cloud.give_notice(NoticeKind.DRAIN, str(instance.machine_id))
        await until_moved(world, instance)


async def test_an_interruption_does_not_wait_for_a_recommendation_that_came_before(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await an_instance(world)
        old = await machine_of(world, instance)
        world.cloud.machines[old.id].busy_until = world.clock.now() + 1000.0
        world.cloud.give_notice(NoticeKind.REBALANCE, old.id)
        await eventually(lambda: is_noticed(world, old), lambda: "it was not noted")
        said_at = world.clock.now() + RESERVE_SECONDS + 3.0 - INTERRUPTION_SECONDS
        world.cloud.notices["late"] = Notice(NoticeKind.INTERRUPTION, old.id, said_at)
        await until_moved(world, instance)


async def is_noticed(world: World, machine: Machine) -> bool:
    return (await world.store.machines.get(machine.id)).notice is not None


async def test_notices_that_are_doubled_foreign_or_unreadable_do_no_harm(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await an_instance(world)
        old = await machine_of(world, instance)
        world.cloud.give_notice(NoticeKind.INTERRUPTION, "i-of-somebody-else")
        world.cloud.notices["unreadable"] = None
        world.cloud.give_notice(NoticeKind.INTERRUPTION, old.id, times=25)
        await until_moved(world, instance)
        world.cloud.give_notice(NoticeKind.INTERRUPTION, old.id)
        await eventually(lambda: all_confirmed(world), lambda: "messages were left")
        await world.until_full()
        assert (await world.store.instances.get(instance.id)).generation == 2


async def is_confirmed(world: World, receipt: str) -> bool:
    return receipt not in world.cloud.notices


async def all_confirmed(world: World) -> bool:
    return not world.cloud.notices


async def test_a_message_that_a_machine_has_ended_is_not_believed_while_it_is_there(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await an_instance(world)
        ref = str(instance.machine_id)
        world.cloud.give_notice(NoticeKind.ENDED, ref)
        world.cloud.notices["old"] = Notice(NoticeKind.ENDED, ref, world.clock.now() - SEEN_WITHIN_SECONDS - 1.0)
        await eventually(lambda: is_confirmed(world, "old"), lambda: "the old message was left")
        assert len(world.cloud.notices) == 1, "the listing may be older than the new one"
        now = await world.store.instances.get(instance.id)
        assert (now.phase, now.generation) == (Phase.RUNNING, 1)


async def test_a_machine_that_is_said_to_end_and_does_is_replaced_before_it_is_missed(world: World) -> None:
    world.options = replace(world.options, dead_after_looks=1_000_000)
    async with world.running():
        await world.until_full()
        instance = await an_instance(world)
        world.cloud.end(str(instance.machine_id), seconds=1.0)
        world.cloud.give_notice(NoticeKind.ENDED, str(instance.machine_id))
        await until_moved(world, instance)


async def test_a_notice_is_confirmed_only_once_a_row_says_what_follows(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await an_instance(world)
    world.cloud.give_notice(NoticeKind.INTERRUPTION, str(instance.machine_id))
    reached = asyncio.Event()

    async def hang(call: str, moment: str) -> None:
        if (call, moment) == ("notices.confirm", "before"):
            assert (await world.store.instances.get(instance.id)).phase is not Phase.RUNNING
            reached.set()
            await asyncio.Event().wait()

    world.cloud.hook = hang
    async with world.running(alone=True):
        await asyncio.wait_for(reached.wait(), PATIENCE_SECONDS)
    assert world.cloud.notices
    world.cloud.calm()
    async with world.running():
        await until_moved(world, instance)
        await eventually(lambda: all_confirmed(world), lambda: "the message was left")


async def use_up_spares(world: World) -> None:
    for machine in await world.store.machines.list_live():
        if machine.state is MachineState.AVAILABLE:
            world.cloud.kill(machine.id)
    await eventually(lambda: nothing_ready(world), lambda: "the spare was not given up")


@pytest.mark.parametrize("with_spare", [True, False])
async def test_an_instance_that_is_deleted_while_it_moves_is_deleted_once_its_machines_are_gone(world: World, with_spare: bool) -> None:
    async with world.running():
        await world.until_full()
        instance = await an_instance(world)
        old = await machine_of(world, instance)
        world.cloud.machines[old.id].busy_until = world.clock.now() + 5.0
        world.cloud.pace.end = lambda: 2.0
        await world.store.platform.set_pool(paused=not with_spare)
        if not with_spare:
            await use_up_spares(world)
        world.cloud.give_notice(NoticeKind.INTERRUPTION, old.id)
        await world.until_phase(instance.id, Phase.REPLACING)
        await world.delete(instance.id)
        await world.until_phase(instance.id, Phase.DELETED)
        assert answering(world, instance) == []
        assert (await world.store.machines.get(old.id)).state is MachineState.TERMINATED
        await world.store.platform.set_pool(paused=False)
        await world.until_full()
        await world.nothing_leaked()


async def test_a_noticed_spare_is_replaced_and_nobody_waits_for_it(world: World) -> None:
    async with world.running():
        await world.until_full()
        (spare,) = await world.store.machines.list_live()
        world.cloud.give_notice(NoticeKind.INTERRUPTION, spare.id)

        async def replaced() -> bool:
            return (await world.store.machines.get(spare.id)).state is MachineState.TERMINATED

        await eventually(replaced, lambda: "the spare was not ended")
        await world.until_full()


async def test_where_nothing_answers_the_platform_does_until_there_is_another_machine(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await an_instance(world)
        world.cloud.capacity["fake-1"] = 0
        for machine in await world.store.machines.list_live():
            world.cloud.kill(machine.id)
        await eventually(lambda: is_held(world, instance), lambda: "the address was not held")
        world.cloud.capacity.clear()
        await until_moved(world, instance)
        assert instance.id not in world.cloud.held


async def is_held(world: World, instance: Instance) -> bool:
    return instance.id in world.cloud.held
