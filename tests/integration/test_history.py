"""How the platform did is kept: each event counts once, in the minute in which it happened."""

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
from openclaw_hosted.controllers import history
from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.history import COST_EVERY, HistoryController
from openclaw_hosted.domain.cost import Deployment
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.history import Bucket, Count, Gauge, Resolution
from openclaw_hosted.domain.machine import Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.ports.stores import NewMachine
from openclaw_hosted.store import Store
from tests.integration.web.memory import MemoryClock
from tests.support.store import new_store

ONE = InstanceId("oc-22222222")


class World:
    """A platform's rows, and the loop that keeps how it did."""

    def __init__(self, store: Store, deployment: Deployment | None = None) -> None:
        self.store, self.clock = store, MemoryClock()
        self.options = ControllerOptions(deployment=deployment)
        self.controller = self.started()

    def started(self) -> HistoryController:
        """The loop of a control plane that has just started."""
        cloud, store = FakeCloud(self.clock), self.store
        ports = Ports(
            FakeMachines(cloud), FakeGateways(cloud), FakeVault(cloud), FakeSealer(), FakeRouter(cloud), FakeGate(cloud),
            FakeVolumes(cloud), KeptMeter(), self.clock, SystemIds(),
            store.machines, store.instances, store.accounts, store.platform, FakeRestorePoints(cloud),
            store.restore_points, store.hints,
        )  # fmt: skip
        return HistoryController(ports, store.history, self.options)

    async def happened(self, name: EventName, ago: float, machine: str | None = None) -> None:
        await self.store.platform.add_event(Event(name, self.clock.now() - ago, ONE, MachineId(machine) if machine else None))

    async def minutes(self) -> dict[int, Bucket]:
        return dict(await self.store.history.between(Resolution.MINUTE, 0, self.clock.now() + 60))

    async def total(self, count: Count) -> int:
        return sum(bucket.counts.get(count, 0) for bucket in (await self.minutes()).values())


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await new_store(tmp_path / "platform.sqlite")
    yield World(store)
    await store.aclose()


async def test_what_happened_counts_once_in_its_own_minute(world: World) -> None:
    await world.happened(EventName.INSTANCE_CREATED, 600, "mc-1")
    await world.happened(EventName.INSTANCE_RUNNING, 597)
    for _ in range(2):
        await world.controller.tick()
    await world.started().tick()
    found = await world.minutes()
    then = found[Resolution.MINUTE.start_of(world.clock.now() - 600)]
    assert (then.counts[Count.HITS], await world.total(Count.CREATES)) == (1, 1)
    assert sum(sum(bucket.latency) for bucket in found.values()) == 1
    assert found[Resolution.MINUTE.start_of(world.clock.now() - 597)].quantile(0.5) == 3.0


async def test_what_has_just_happened_waits_until_it_is_settled(world: World) -> None:
    await world.happened(EventName.INSTANCE_CREATED, 0)
    await world.controller.tick()
    assert await world.total(Count.CREATES) == 0
    world.clock.at += 60
    await world.controller.tick()
    assert await world.total(Count.CREATES) == 1


async def test_only_the_first_run_of_an_instance_is_an_assignment(world: World) -> None:
    await world.happened(EventName.INSTANCE_CREATED, 900)
    await world.happened(EventName.INSTANCE_RUNNING, 880)
    await world.controller.tick()
    await world.happened(EventName.INSTANCE_RUNNING, 100)
    await world.controller.tick()
    assert sum(sum(bucket.latency) for bucket in (await world.minutes()).values()) == 1


async def test_many_uncounted_events_are_counted_in_several_goes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "EVENTS_AT_ONCE", 2)
    for ago in (90, 80, 70):
        await world.happened(EventName.GATEWAY_RESTARTED, ago)
    assert await world.controller.tick() == world.options.scan_seconds
    assert await world.controller.tick() is None
    assert await world.total(Count.RESTARTS) == 3


async def test_what_stands_is_sampled_and_costs_only_where_there_are_any(world: World) -> None:
    ids = SystemIds()
    new = NewMachine(ids.machine_id(), ids.instance_id(), ids.volume_id(), "v1", Warmth.HOT)
    await world.store.machines.add([new], 10, world.clock.now())
    await world.controller.tick()
    (free,) = (await world.minutes()).values()
    assert (free.gauges[Gauge.BOOTING].mean, free.gauges[Gauge.WANTED].mean, Gauge.COST in free.gauges) == (1, 2, False)
    billed = World(world.store, Deployment())
    for _ in range(COST_EVERY + 1):
        await billed.controller.tick()
    (priced,) = (await billed.minutes()).values()
    assert priced.gauges[Gauge.COST].samples == COST_EVERY + 1
    assert priced.gauges[Gauge.COST].lowest > 0
