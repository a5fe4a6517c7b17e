"""The operator's console: is all well, how did it go, and who and what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final

from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.actor import Actor, require_admin
from openclaw_hosted.domain.alarms import OVER_BUDGET, AlarmState
from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.findings import Finding, Looped, Severity, State, findings, verdict
from openclaw_hosted.domain.history import Bucket, Resolution, regrouped, spent
from openclaw_hosted.domain.instance import Instance, Phase, Step
from openclaw_hosted.domain.listing import EventSearch, InstanceSearch, MachineSearch, Page, UserSearch
from openclaw_hosted.domain.machine import Machine, MachineState
from openclaw_hosted.domain.machine_hours import month_of
from openclaw_hosted.domain.metering import LOOP_RESTARTS, LOOP_SECONDS
from openclaw_hosted.domain.naming import InstanceId, MachineId, is_instance_id
from openclaw_hosted.domain.observation import Observation
from openclaw_hosted.domain.orphan import OrphanState
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.domain.volume import Volume
from openclaw_hosted.ports.alarms import AlarmStore
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.pool_target import PoolTarget, wanted_spares
from openclaw_hosted.ports.stores import HistoryStore, InstanceStore, MachineStore, NewsStore, PlatformStore, PoolMemory, Standing
from openclaw_hosted.ports.stores.console import ConsoleStore, CountedUser, OwnedInstance

NAMED: Final = 10
"""How many of those that wait or were given up are named; the list has all."""
EVENTS_SHOWN: Final = 100
"""Of one machine or instance; the list of events has all."""


class Range(Enum):
    """How far back plots go: a name, the length of a stretch in seconds, how many there are, and of which buckets they are made."""

    HOUR = ("1h", 60, 60, Resolution.MINUTE)
    DAY = ("24h", 900, 96, Resolution.MINUTE)
    WEEK = ("7d", 3600, 168, Resolution.HOUR)
    QUARTER = ("90d", 86_400, 90, Resolution.DAY)

    def __init__(self, label: str, seconds: int, length: int, made_of: Resolution) -> None:
        self.label = label
        self.seconds = seconds
        self.length = length
        self.made_of = made_of


@dataclass(frozen=True, slots=True)
class MonthCost:
    """US dollars of the present month (UTC): what was spent as far as the platform kept it, the budget, and what exists costs a month."""

    spent_usd: float
    budget_usd: float
    usd_per_month: float | None
    """None before the first look."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The platform now. `severity` is None where all is well."""

    at: float
    severity: Severity | None
    sentence: str
    findings: Sequence[Finding]
    memory: PoolMemory
    standing: Standing
    wanted: int
    """Spares."""
    waiting: Sequence[OwnedInstance]
    failed: Sequence[OwnedInstance]
    cost: MonthCost | None
    """None without a budget."""


@dataclass(frozen=True, slots=True)
class MachineView:
    """A machine as an operator sees it, with its newest events first."""

    machine: Machine
    instance: Instance | None
    owner: str
    seen: Observation | None
    events: Page[Event]
    people: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InstanceView:
    """An instance as an operator sees it: never what is said in it, nor its keys."""

    instance: Instance
    owner: str
    steps: Sequence[Step]
    volume: Volume
    events: Page[Event]
    people: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ConsoleService:
    """For admins only."""

    _console: ConsoleStore
    _history: HistoryStore
    _machines: MachineStore
    _instances: InstanceStore
    _platform: PlatformStore
    _alarms: AlarmStore
    _clock: Clock
    _policy: PoolPolicy
    _news: NewsStore
    _budget_usd: float | None = None
    _target: PoolTarget | None = None

    async def overview(self, actor: Actor, filled: Sequence[str] = ()) -> Overview:
        """Is all well? `filled` are volumes that fill the disk, which is looked at elsewhere."""
        require_admin(actor)
        now = self._clock.now()
        memory, standing = await self._platform.pool_memory(), await self._history.standing()
        waiting, failed = await self._console.waiting(NAMED), await self._console.failed(NAMED)
        backup = await self._console.newest((EventName.BACKUP_MADE, EventName.BACKUP_FAILED))
        orphans, alarms = await self._platform.orphans(), await self._alarms.list()
        state = State(
            status=memory.status,
            paused=memory.paused,
            failures_in_row=memory.failures_in_row,
            error=memory.last_error or "",
            note=memory.note or "",
            ready=standing.machines.get(MachineState.AVAILABLE, 0),
            wanted=await wanted_spares(self._policy, memory, self._target),
            booting=standing.machines.get(MachineState.INITIALIZING, 0),
            fleet_cap=self._policy.fleet_cap,
            waiting=standing.waiting,
            longest_wait_seconds=now - waiting[0].instance.phase_changed_at if waiting else 0.0,
            running=standing.instances.get(Phase.RUNNING, 0),
            failed=standing.instances.get(Phase.FAILED, 0),
            loops=await self._loops(now),
            filled=filled,
            refused=sorted(await self._news.refusals()),
            held_back=sum(orphan.state is OrphanState.HELD_BACK for orphan in orphans),
            backup_error=str(backup.detail.get("error", "")) if backup and backup.name is EventName.BACKUP_FAILED else None,
            alarms=alarms,
        )
        found = findings(state)
        severity, sentence = verdict(state, found)
        cost = await self._cost(alarms, now)
        return Overview(now, severity, sentence, found, memory, standing, state.wanted, waiting, failed, cost)

    async def series(self, actor: Actor, back: Range) -> Sequence[tuple[int, Bucket]]:
        """How it went: each stretch of time with what is known of it, oldest first; the newest is not over yet."""
        require_admin(actor)
        newest = int(self._clock.now() // back.seconds) * back.seconds
        first = newest - (back.length - 1) * back.seconds
        buckets = await self._history.between(back.made_of, first, newest + back.seconds)
        return regrouped(buckets, first, back.seconds, back.length)

    async def machines(self, actor: Actor, search: MachineSearch, limit: int, after: str | None = None) -> Page[Machine]:
        """A page of machines. Raises `InvalidInput` for an `after` of no page; so do the others."""
        require_admin(actor)
        return await self._console.machines(search, limit, after)

    async def instances(self, actor: Actor, search: InstanceSearch, limit: int, after: str | None = None) -> Page[OwnedInstance]:
        """A page of all users' instances."""
        require_admin(actor)
        return await self._console.instances(search, limit, after)

    async def users(self, actor: Actor, search: UserSearch, limit: int, after: str | None = None) -> Page[CountedUser]:
        """A page of accounts."""
        require_admin(actor)
        return await self._console.users(search, limit, after)

    async def events(
        self, actor: Actor, search: EventSearch, limit: int, after: str | None = None
    ) -> tuple[Page[Event], Mapping[str, str]]:
        """A page of events, and the addresses of whom they name."""
        require_admin(actor)
        page = await self._console.events(search, limit, after)
        return page, await self._people(page)

    async def machine(self, actor: Actor, machine_id: str) -> MachineView:
        """One machine with its life. Raises `NotFound`."""
        require_admin(actor)
        machine = await self._machines.get(MachineId(machine_id))
        instance = await self._instances.get(machine.instance_id) if machine.instance_id else None
        owner = (await self._console.emails([instance.owner_id])).get(instance.owner_id, "") if instance else ""
        events = await self._console.events(EventSearch(machine_id=machine.id), EVENTS_SHOWN)
        seen = await self._console.observation(machine.id)
        return MachineView(machine, instance, owner, seen, events, await self._people(events))

    async def instance(self, actor: Actor, instance_id: str) -> InstanceView:
        """One instance with its life, purged ones included. Raises `NotFound`."""
        require_admin(actor)
        known = _known(instance_id)
        instance = await self._instances.get(known)
        owner = (await self._console.emails([instance.owner_id])).get(instance.owner_id, "")
        events = await self._console.events(EventSearch(instance_id=known), EVENTS_SHOWN)
        steps, volume = await self._instances.steps(known), await self._instances.volume(known)
        return InstanceView(instance, owner, steps, volume, events, await self._people(events))

    async def retry(self, actor: Actor, instance_id: str) -> Instance:
        """Have an instance that was given up, or runs badly, tried again. Raises `NotFound`; `StateConflict` where it is deleted."""
        require_admin(actor)
        return await self._instances.update(_known(instance_id), partial(lifecycle.ask_restart, actor=actor, now=self._clock.now()))

    async def hold(self, actor: Actor, instance_id: str) -> Instance:
        """Stop trying to place an instance, until somebody has it retried. Raises `NotFound`; `StateConflict` where nothing is tried."""
        require_admin(actor)
        return await self._instances.update(_known(instance_id), partial(lifecycle.hold, actor=actor, now=self._clock.now()))

    async def _cost(self, alarms: Sequence[AlarmState], now: float) -> MonthCost | None:
        if self._budget_usd is None:
            return None
        hours = await self._history.between(Resolution.HOUR, int(month_of(None, now).since), int(now) + 1)
        estimated = next((state.value for state in alarms if state.name == OVER_BUDGET.name), None)
        return MonthCost(spent(hours, now), self._budget_usd, estimated)

    async def _loops(self, now: float) -> Sequence[Looped]:
        restarts = await self._console.restarts(now - LOOP_SECONDS)
        often = [(machine, times, owner) for machine, (times, owner) in restarts.items() if times >= LOOP_RESTARTS]
        return [Looped(machine, owner, times) for machine, times, owner in sorted(often, key=lambda each: -each[1])]

    async def _people(self, page: Page[Event]) -> Mapping[str, str]:
        named = {event.user_id for event in page.items} | {event.actor.id for event in page.items if event.actor}
        return await self._console.emails({str(each) for each in named if each})


def _known(instance_id: str) -> InstanceId:
    if not is_instance_id(instance_id):
        raise NotFound(f"There is no instance {instance_id[:40]!r}.")
    return InstanceId(instance_id)
