"""Gateways that refuse, hang, restart or name old addresses: what the production controllers make of it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from openclaw_hosted.adapters.fake.compute import REFUSAL
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.gateway import GatewaySettings, ModelProvider
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import Warmth
from tests.integration.convergence.world import World, eventually
from tests.support.life import ask_restart, change

pytestmark = pytest.mark.looptime


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


async def test_a_machine_that_does_not_stop_its_gateway_is_ended_all_the_same(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        for _ in range(5):
            world.cloud.fail_next("gateways.stop", Unavailable("no answer"))
        await world.delete(instance.id)
        assert (await world.until_phase(instance.id, Phase.DELETED)).machine_id is None
        assert instance.machine_id not in world.cloud.machines


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
