"""A user's machine may cost more than its price for an hour."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest

from openclaw_hosted.adapters.fake.compute import FakeMachines
from openclaw_hosted.controllers.thrift import Thrift
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.instance import Phase
from tests.integration.convergence.world import World

pytestmark = pytest.mark.looptime
HOUR_SECONDS = 3600.0


class Slow(FakeMachines):
    """Machines of which some can't be told at first."""

    asked: list[list[str]]
    refuses = False
    away = False

    async def economize(self, provider_refs: Sequence[str]) -> Collection[str]:
        self.asked.append(list(provider_refs))
        if self.away:
            raise Unavailable
        return [] if self.refuses else await super().economize(provider_refs)


async def the_users_machine(world: World) -> str:
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
    assert instance.machine_id is not None
    return str((await world.store.machines.get(instance.machine_id)).provider_ref)


def thrift_of(world: World) -> tuple[Thrift, Slow]:
    machines = Slow(world.cloud)
    machines.asked = []
    return Thrift(replace(world.ports(), machines=machines), world.options), machines


async def test_the_first_hour_is_generous_and_spares_are_left_alone(world: World) -> None:
    ref = await the_users_machine(world)
    thrift, machines = thrift_of(world)
    await world.clock.sleep(HOUR_SECONDS - 60)
    await thrift.look()
    assert machines.asked == []
    await world.clock.sleep(60)
    await thrift.look()
    assert {each for each, machine in world.cloud.machines.items() if machine.thrifty} == {ref}


async def test_a_machine_is_told_once_and_again_only_where_that_failed(world: World) -> None:
    ref = await the_users_machine(world)
    await world.clock.sleep(HOUR_SECONDS)
    thrift, machines = thrift_of(world)
    machines.away = True
    with pytest.raises(Unavailable):
        await thrift.look()
    machines.away, machines.refuses = False, True
    await thrift.look()
    machines.refuses = False
    await thrift.look()
    await thrift.look()
    assert machines.asked == [[ref]] * 3
    assert world.cloud.machines[ref].thrifty


async def test_the_loops_do_it_by_themselves(world: World) -> None:
    world.options = replace(world.options, generous_seconds=0.2, thrift_seconds=0.1, housekeeping_seconds=0.1)
    ref = await the_users_machine(world)
    async with world.running():
        while not world.cloud.machines[ref].thrifty:
            await world.clock.sleep(0.1)
