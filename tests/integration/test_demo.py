"""The demonstration is a platform as it could be: its rows fit each other, and its history is that of its events."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from demo.filling import fill
from demo.month import Month, Plan
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.history import Count, Resolution, together
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.listing import InstanceSearch, MachineSearch
from openclaw_hosted.domain.machine import MachineState
from tests.support.store import new_store

NOW = 1_790_000_000.0


@pytest.fixture(scope="module")
def month() -> Month:
    return Month(Plan(NOW, users=40, days=6, sample_seconds=600.0)).live()


def test_each_instance_that_runs_has_a_machine_of_its_own(month: Month) -> None:
    running = [instance for instance in month.instances.values() if instance.phase is Phase.RUNNING]
    machines = [month.machines[instance.machine_id] for instance in running if instance.machine_id is not None]
    assert len(machines) == len(running) == len({machine.id for machine in machines}) > 20
    assert {machine.state for machine in machines} == {MachineState.ASSIGNED}
    assert [machine.instance_id for machine in machines] == [instance.id for instance in running]


def test_both_incidents_left_their_traces(month: Month) -> None:
    names = Counter(event.name for event in month.events)
    assert names[EventName.POOL_PAUSED] == names[EventName.POOL_RESUMED] == 1
    assert names[EventName.GATEWAY_RESTARTED] >= 40
    assert [event.detail["to"] for event in month.events if event.name is EventName.POOL_STATUS_CHANGED] == [
        "no_capacity", "ready", "failing", "ready",
    ]  # fmt: skip
    assert all(event.at <= NOW for event in month.events)


def test_two_months_of_one_seed_are_the_same() -> None:
    first, second = (Month(Plan(NOW, users=10, days=2, seed=3)).live() for _ in range(2))
    assert first.events == second.events
    assert first.history == second.history


async def test_a_month_fills_a_database_and_is_counted_in_full(month: Month, tmp_path: Path) -> None:
    store = await new_store(tmp_path / "platform.sqlite")
    try:
        await fill(store, month)
        instances = await store.console.instances(InstanceSearch(), 10)
        assert instances.total == len(month.instances)
        live = sum(machine.state is not MachineState.TERMINATED for machine in month.machines.values())
        assert (await store.console.machines(MachineSearch(), 1)).total == live
        days = together((await store.history.between(Resolution.DAY, 0, NOW + 1)).values())
        assert days.counts[Count.CREATES] == days.counts[Count.HITS] + days.counts.get(Count.MISSES, 0) == len(month.instances)
        _, uncounted = await store.history.uncounted(10)
        assert uncounted == []
    finally:
        await store.aclose()
