"""The loop that measures, on a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from openclaw_hosted.adapters.fake.access import FakeGate, FakeRouter, FakeSealer, FakeVault
from openclaw_hosted.adapters.fake.cloud import FakeCloud
from openclaw_hosted.adapters.fake.compute import FakeGateways, FakeMachines, FakeVolumes
from openclaw_hosted.adapters.fake.restore_points import FakeRestorePoints
from openclaw_hosted.adapters.meter import KeptMeter
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.looking import PAGE
from openclaw_hosted.controllers.metering import MeteringController
from openclaw_hosted.domain.cost import Deployment, Holdings, estimate
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.machine import Warmth
from openclaw_hosted.domain.metering import Metric, Reading
from openclaw_hosted.domain.naming import MachineId
from openclaw_hosted.ports.stores import NewMachine
from openclaw_hosted.store import Store
from tests.support.store import new_store


class MovedClock(SystemClock):
    """Real time, and some more."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


class SilentMeter(KeptMeter):
    """Takes nothing while it is away."""

    away = False

    async def publish(self, readings: Sequence[Reading]) -> None:
        if self.away:
            raise Unavailable("CloudWatch did not answer.")
        await super().publish(readings)


class World:
    """A controller, and what it reads."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock, self.meter = store, MovedClock(), SilentMeter()
        self.controller = self.another()

    def another(self, deployment: Deployment | None = None) -> MeteringController:
        cloud, store = FakeCloud(self.clock), self.store
        ports = Ports(
            FakeMachines(cloud), FakeGateways(cloud), FakeVault(cloud), FakeSealer(), FakeRouter(cloud), FakeGate(cloud),
            FakeVolumes(cloud), self.meter, self.clock, SystemIds(),
            store.machines, store.instances, store.accounts, store.platform, FakeRestorePoints(cloud),
            store.restore_points, store.hints,
        )  # fmt: skip
        return MeteringController(ports, ControllerOptions(deployment=deployment))

    async def failed(self, times: int = 1) -> None:
        for _ in range(times):
            await self.store.platform.add_event(Event(EventName.MACHINE_LAUNCH_FAILED, self.clock.now(), machine_id=MachineId("m")))

    async def launched(self) -> None:
        ids = SystemIds()
        new = NewMachine(ids.machine_id(), ids.instance_id(), ids.volume_id(), "v1", Warmth.HOT)
        await self.store.machines.add([new], 10, self.clock.now())

    async def read(self) -> float:
        await self.controller.tick()
        return self.meter.newest[Metric.LAUNCH_FAILURES][0]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await new_store(tmp_path / "platform.sqlite")
    yield World(store)
    await store.aclose()


async def test_each_failure_is_published_once(world: World) -> None:
    await world.failed(2)
    assert await world.read() == 2
    assert await world.read() == 0
    await world.failed()
    assert await world.read() == 1


async def test_what_could_not_be_published_is_published_next_time(world: World) -> None:
    assert await world.read() == 0
    await world.failed()
    world.meter.away = True
    with pytest.raises(Unavailable):
        await world.read()
    world.meter.away = False
    assert await world.read() == 1


async def test_a_replica_that_takes_over_begins_a_minute_back(world: World) -> None:
    await world.failed()
    world.clock.ahead = 120.0
    await world.failed(2)
    world.controller = world.another()
    assert await world.read() == 2


async def test_more_events_than_a_page_are_all_read(world: World) -> None:
    await world.failed(PAGE + 10)
    assert await world.read() == PAGE + 10


async def test_machines_that_are_not_ready_are_told_apart_from_spares(world: World) -> None:
    await world.launched()
    await world.read()
    assert (world.meter.newest[Metric.INITIALIZING], world.meter.newest[Metric.AVAILABLE]) == ((1.0,), (0.0,))


async def test_where_machines_cost_money_their_cost_is_published(world: World) -> None:
    await world.launched()
    world.controller = world.another(Deployment())
    await world.read()
    expected = estimate(Holdings(machines=1, volumes=1, secrets=1, routes=0, instances=0), Deployment()).total_usd
    assert world.meter.newest[Metric.MONTHLY_COST] == (expected,)


async def test_where_nothing_costs_money_no_cost_is_published(world: World) -> None:
    await world.launched()
    await world.read()
    assert Metric.MONTHLY_COST not in world.meter.newest
