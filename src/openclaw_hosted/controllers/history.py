"""History: keeps how the platform did, for operators' plots.

Once a minute it samples what stands, counts the events since the last time, each in the minute in which it happened, and adds both to the
buckets. How far it has counted stands in the database beside them, in one transaction: each event counts once, also after a restart. It
changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.domain.cost import HOURS_PER_MONTH, count_holdings, estimate
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.history import Bucket, Gauge, counted, rolled_up, sampled
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.ports.pool_target import wanted_spares
from openclaw_hosted.ports.stores import HistoryStore

EVENTS_AT_ONCE = 5000
SETTLED_SECONDS = 15.0
"""An event this old is not followed by one with a lower id: the transactions that were open then have ended."""
COST_EVERY = 15
"""Costs are estimated from all rows, and change slowly: only each so many samples."""


class HistoryController:
    """One tick: sample, count, add."""

    def __init__(self, ports: Ports, history: HistoryStore, options: ControllerOptions) -> None:
        self._ports = ports
        self._history = history
        self._options = options
        self._samples = 0
        self._cost: float | None = None

    async def tick(self) -> float | None:
        """Add once; returns after how many seconds to come again, where more is left to count."""
        now = self._ports.clock.now()
        after, events = await self._history.uncounted(EVENTS_AT_ONCE)
        settled = list(takewhile(lambda event: not now - SETTLED_SECONDS < event.at <= now, events))
        parts = [*self._parts(settled, await self._runs(settled)), (now, sampled(await self._gauges()))]
        newest = settled[-1].id if settled else None
        await self._history.add(rolled_up(parts), counted=newest or after, after=after, now=now)
        return self._options.scan_seconds if len(settled) == EVENTS_AT_ONCE else None

    def _parts(self, events: Sequence[Event], runs: Mapping[InstanceId, tuple[float, float]]) -> Iterator[tuple[float, Bucket]]:
        for event in events:
            created, ran = runs.get(event.instance_id, (0.0, 0.0)) if event.instance_id is not None else (0.0, 0.0)
            is_first = event.name is EventName.INSTANCE_RUNNING and event.at == ran
            yield event.at, counted(event, max(0.0, ran - created) if is_first else None)

    async def _runs(self, events: Sequence[Event]) -> Mapping[InstanceId, tuple[float, float]]:
        ran = [event.instance_id for event in events if event.name is EventName.INSTANCE_RUNNING and event.instance_id is not None]
        return await self._history.first_runs(ran)

    async def _gauges(self) -> Mapping[Gauge, float]:
        standing, memory = await self._history.standing(), await self._ports.platform_store.pool_memory()
        machines, instances = standing.machines, standing.instances
        gauges: dict[Gauge, float] = {
            Gauge.READY: machines.get(MachineState.AVAILABLE, 0),
            Gauge.WANTED: await wanted_spares(self._options.policy, memory, self._ports.target),
            Gauge.BOOTING: machines.get(MachineState.INITIALIZING, 0),
            Gauge.MACHINES: sum(machines.values()),
            Gauge.RUNNING: instances.get(Phase.RUNNING, 0) + instances.get(Phase.UPDATING, 0),
            Gauge.FAILED: instances.get(Phase.FAILED, 0),
            Gauge.WAITING: standing.waiting,
        }
        cost = await self._hourly_cost()
        return gauges if cost is None else {**gauges, Gauge.COST: cost}

    async def _hourly_cost(self) -> float | None:
        if self._options.deployment is None:
            return None
        if self._samples % COST_EVERY == 0:
            ports = self._ports
            kept, points = await ports.instance_store.kept_phases(), await ports.point_store.list_all()
            holdings = count_holdings(await ports.machine_store.list_live(), kept, points)
            self._cost = estimate(holdings, self._options.deployment).total_usd / HOURS_PER_MONTH
        self._samples += 1
        return self._cost
