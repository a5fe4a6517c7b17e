"""The pool follows what was recorded: fewer spares where nobody comes, N again once somebody does, and N while nothing is known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw_hosted.adapters.fake.access import FakeGate, FakeRouter, FakeSealer, FakeVault
from openclaw_hosted.adapters.fake.cloud import FakeCloud
from openclaw_hosted.adapters.fake.compute import FakeGateways, FakeMachines, FakeVolumes
from openclaw_hosted.adapters.fake.restore_points import FakeRestorePoints
from openclaw_hosted.adapters.meter import KeptMeter
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.history import HistoryController
from openclaw_hosted.controllers.pool import PoolController
from openclaw_hosted.domain.adaptive import DAY_SECONDS, HOUR_SECONDS, WEEK_SECONDS, AdaptivePolicy
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.history import Bucket, Count, Gauge, Resolution, rolled_up
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.services.targeting import AdaptiveTarget
from openclaw_hosted.store import Store
from tests.integration.web.memory import MemoryClock
from tests.support.store import new_store

WEEKS = 3
POLICY = PoolPolicy(spares=2, fleet_cap=10, image="2026.9.6")


class World:
    """A pool whose platform has three weeks behind it, in which two came together at ten o'clock each day."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock = store, MemoryClock()
        self.clock.at = self.clock.now() // DAY_SECONDS * DAY_SECONDS
        self.target = AdaptiveTarget(store.history, self.clock, POLICY, AdaptivePolicy())
        self.options = ControllerOptions(policy=POLICY)

    def ports(self) -> Ports:
        cloud, store = FakeCloud(self.clock), self.store
        return Ports(
            FakeMachines(cloud), FakeGateways(cloud), FakeVault(cloud), FakeSealer(), FakeRouter(cloud), FakeGate(cloud),
            FakeVolumes(cloud), KeptMeter(), self.clock, SystemIds(),
            store.machines, store.instances, store.accounts, store.platform, FakeRestorePoints(cloud),
            store.restore_points, store.hints, target=self.target,
        )  # fmt: skip

    async def live_through(self) -> None:
        midnight = self.clock.now()
        parts = []
        for hour in range(int(WEEKS * WEEK_SECONDS / HOUR_SECONDS)):
            at = midnight - (hour + 1) * HOUR_SECONDS
            is_ten = int(at % DAY_SECONDS / HOUR_SECONDS) == 10
            parts.append((at, Bucket(counts={Count.CREATES: 2} if is_ten else {})))
            if is_ten:
                await self.came(at, 2)
        for name, at in ((EventName.MACHINE_LAUNCHED, midnight - 900), (EventName.MACHINE_AVAILABLE, midnight - 840)):
            await self.store.platform.add_event(Event(name, at, machine_id=MachineId("mc-1")))
        counted, _ = await self.store.history.uncounted(1)
        assert await self.store.history.add(rolled_up(parts), counted=counted, after=counted, now=midnight)

    async def came(self, at: float, number: int) -> None:
        for each in range(number):
            await self.store.platform.add_event(Event(EventName.INSTANCE_CREATED, at + each, InstanceId("oc-22222222")))

    def move_to(self, hour: float) -> None:
        self.clock.at = self.clock.now() // DAY_SECONDS * DAY_SECONDS + hour * HOUR_SECONDS


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await new_store(tmp_path / "platform.sqlite")
    yield World(store)
    await store.aclose()


async def test_nothing_is_known_and_n_stays(world: World) -> None:
    assert await world.target.wanted(None) == 2
    assert await world.target.wanted(7) == 7


async def test_an_hour_in_which_nobody_comes_has_fewer_until_somebody_does(world: World) -> None:
    await world.live_through()
    world.move_to(3)
    assert await world.target.wanted(None) == 1
    assert await world.target.wanted(0) == 0, "none are asked for"
    await world.came(world.clock.now() - 5, 1)
    assert await world.target.wanted(None) == 2
    world.clock.at += HOUR_SECONDS
    assert await world.target.wanted(None) == 1
    world.move_to(9.1)
    assert await world.target.wanted(None) >= 2, "an hour ahead"


async def test_no_rush_brings_more_than_the_cap(world: World) -> None:
    await world.live_through()
    world.move_to(3)
    await world.came(world.clock.now() - 400, 300)
    assert await world.target.wanted(None) == POLICY.fleet_cap
    assert await AdaptiveTarget(world.store.history, world.clock, POLICY, AdaptivePolicy(most=4)).wanted(None) == 4


async def test_the_pool_launches_what_the_hour_needs_and_history_says_so(world: World) -> None:
    await world.live_through()
    world.move_to(3)
    ports = world.ports()
    await PoolController(ports, world.options).tick()
    machines, _ = await world.store.machines.list_pooled()
    assert [machine.state for machine in machines] == [MachineState.INITIALIZING]
    await HistoryController(ports, world.store.history, world.options).tick()
    (minute,) = (await world.store.history.between(Resolution.MINUTE, world.clock.now() - 60, world.clock.now() + 1)).values()
    assert minute.gauges[Gauge.WANTED].highest == 1
