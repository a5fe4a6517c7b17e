"""The production controllers on a real store and the fake provider: whatever happens, they converge, and nothing leaks."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from openclaw_hosted.domain.errors import ProviderAway, Unavailable
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.naming import MachineId, volume_of
from tests.integration.convergence.world import CAPS, World, eventually
from tests.support.life import ask_restart, ask_restore, lose

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


async def test_a_machine_that_is_gone_is_looked_at_again_soon_and_the_others_as_ever(world: World) -> None:
    async with world.running():
        gone, hangs = [await world.until_phase((await world.create(number)).id, Phase.RUNNING) for number in range(2)]
        await world.until_full()
    assert gone.machine_id is not None
    assert hangs.machine_id is not None
    world.options = replace(world.options, liveness_seconds=10.0, dead_after_looks=3, gone_again_seconds=0.1)

    async def lost() -> bool:
        return (await world.store.instances.get(gone.id)).machine_id != gone.machine_id

    async with world.running():
        await world.clock.sleep(5.0)
        world.cloud.kill(gone.machine_id)
        world.cloud.machines[hangs.machine_id].hangs = True
        began = world.clock.monotonic()
        await eventually(lost, lambda: "it was not given up")
        assert world.clock.monotonic() - began < 7
        assert (await world.store.machines.observations())[hangs.machine_id].bad_looks == 1


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


async def test_a_deletion_during_placement_wins(world: World) -> None:
    async with world.running():
        await world.until_full()
        world.cloud.fail_next("router.bind", Unavailable())
        instance = await world.create()
        await world.delete(instance.id)
        assert (await world.until_phase(instance.id, Phase.DELETED)).machine_id is None
        await world.until_full()
        await world.nothing_leaked()


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
        world.cloud.machines[instance.machine_id].hangs = True
        world.cloud.end(instance.machine_id, seconds=60.0)

        async def replaced() -> bool:
            return (await world.store.instances.get(instance.id)).machine_id != instance.machine_id

        await eventually(replaced, lambda: "it was taken for a gateway that hangs")
        events = [event.name for event in await world.store.platform.events(machine_id=instance.machine_id)]
        assert EventName.GATEWAY_HUNG not in events
