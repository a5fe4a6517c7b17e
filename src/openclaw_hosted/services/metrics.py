"""What Prometheus reads of the platform, made from rows whenever it asks: it is the same in each process, and outlives a restart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from openclaw_hosted.domain.actor import Actor, require_admin
from openclaw_hosted.domain.alarms import ALARMS
from openclaw_hosted.domain.cost import Deployment, count_holdings, estimate
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.exposition import Exposed, Sample, quantile
from openclaw_hosted.domain.history import EMPTY, Resolution
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import LIVE_STATES, Machine, MachineState
from openclaw_hosted.domain.metering import LOOP_SECONDS, MeterView, Metric, take_readings
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.domain.pool import PoolPolicy, PoolStatus
from openclaw_hosted.ports.alarms import AlarmStore
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.pool_target import PoolTarget, wanted_spares
from openclaw_hosted.ports.stores import HistoryStore, InstanceStore, MachineStore, PlatformStore, RestorePointStore

EVENTS_READ: Final = 500
"""The newest, of which latencies and restarts are taken: a bound, whatever happens."""
QUANTILES: Final = (0.5, 0.95)


@dataclass(frozen=True, slots=True)
class MetricsService:
    """For admins only."""

    _machines: MachineStore
    _instances: InstanceStore
    _platform: PlatformStore
    _points: RestorePointStore
    _alarms: AlarmStore
    _history: HistoryStore
    _policy: PoolPolicy
    _clock: Clock
    _deployment: Deployment | None = None
    """None where machines cost nothing."""
    _target: PoolTarget | None = None

    async def samples(self, actor: Actor) -> Sequence[Sample]:
        """All of now."""
        require_admin(actor)
        machines, kept = await self._machines.list_live(), await self._instances.kept_phases()
        memory, events = await self._platform.pool_memory(), await self._platform.events(limit=EVENTS_READ)
        recent = [event for event in events if event.at > self._clock.now() - LOOP_SECONDS]
        view = MeterView(machines, await self._instances.list_placed(), fresh=(), recent=recent, assignment_seconds=())
        readings = {reading.metric: reading.values[0] for reading in take_readings(view)}
        states = Counter(machine.state for machine in machines)
        phases = Counter(kept.values())
        on = {state.name for state in await self._alarms.list() if state.is_on}
        return [
            *(Sample(Exposed.MACHINES, states[state], {"state": state}) for state in MachineState if state in LIVE_STATES),
            *(Sample(Exposed.INSTANCES, phases[phase], {"phase": phase}) for phase in Phase if phase is not Phase.PURGED),
            Sample(Exposed.WAITING, sum((await self._instances.count_waiting()).values())),
            Sample(Exposed.SPARES_WANTED, await wanted_spares(self._policy, memory, self._target)),
            Sample(Exposed.FLEET_CAP, self._policy.fleet_cap),
            *(Sample(Exposed.POOL_STATUS, status is memory.status, {"status": status}) for status in PoolStatus),
            Sample(Exposed.LAUNCH_FAILURES_IN_ROW, memory.failures_in_row),
            *_latencies(events),
            Sample(Exposed.GATEWAYS, readings[Metric.HEALTHY], {"health": "healthy"}),
            Sample(Exposed.GATEWAYS, readings[Metric.UNHEALTHY], {"health": "unhealthy"}),
            Sample(Exposed.CRASH_LOOPS, readings[Metric.CRASH_LOOPS]),
            *(Sample(Exposed.ALARM, alarm.name in on, {"alarm": alarm.name}) for alarm in ALARMS if alarm.gauge is not None),
            *await self._cost(machines, kept),
            *await self._counted(),
        ]

    async def _counted(self) -> Sequence[Sample]:
        """What every process of the platform counted of itself; it adds them up once a minute."""
        ever = (await self._history.between(Resolution.EVER, 0, 1)).get(0, EMPTY)
        calls = sorted(ever.calls.items())
        return [
            *(Sample(Exposed.STEP, took, {"step": step}) for step, took in sorted(ever.steps.items())),
            *(Sample(Exposed.CALLS, made.made, {"call": name}) for name, made in calls),
            *(Sample(Exposed.CALL_ERRORS, made.failed, {"call": name}) for name, made in calls),
            *(Sample(Exposed.CALL_THROTTLES, made.throttled, {"call": name}) for name, made in calls),
        ]

    async def _cost(self, machines: Sequence[Machine], kept: Mapping[InstanceId, Phase]) -> Sequence[Sample]:
        if self._deployment is None:
            return ()
        holdings = count_holdings(machines, kept, await self._points.list_all())
        return (Sample(Exposed.COST, round(estimate(holdings, self._deployment).total_usd, 2)),)


def _latencies(events: Sequence[Event]) -> Sequence[Sample]:
    """Of the instances whose creation and first run are both among these events."""
    created = {event.instance_id: event.at for event in events if event.name is EventName.INSTANCE_CREATED}
    ran: dict[InstanceId | None, float] = {}
    for event in events:
        if event.name is EventName.INSTANCE_RUNNING and event.instance_id in created:
            ran[event.instance_id] = min(event.at, ran.get(event.instance_id, event.at))
    seconds = [max(0.0, at - created[instance_id]) for instance_id, at in ran.items()]
    return [Sample(Exposed.ASSIGNMENT, quantile(seconds, share), {"quantile": f"{share:g}"}) for share in QUANTILES] if seconds else []
