"""The pool's policy: how many spares there should be, and what to do about the difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from openclaw_hosted.domain.machine import LIVE_STATES, Machine, MachineFailure, MachineState, Warmth
from openclaw_hosted.domain.naming import MachineId


@dataclass(frozen=True, slots=True)
class PoolPolicy:
    """What the operator wants of the pool."""

    spares: int = 2
    """How many ready machines to keep beyond those in use."""
    fleet_cap: int = 50
    """The most machines that may exist at once, whatever their state."""
    image: str = ""
    """The OpenClaw release that spares must carry."""
    warmth: Warmth = Warmth.BOOTED
    """How far spares are brought."""
    ready_timeout_seconds: float = 300.0
    """How long a machine may take from launch to available."""
    max_launches_at_once: int = 4
    """How many machines may be initializing at once, so that a small host is not overrun."""
    spread: bool = True
    """Whether a spare is kept in each zone that holds a volume, where there are as many spares as such zones."""
    starts_compete: bool = False
    """Whether OpenClaws that start at once slow each other down, as on one computer. Then the machines that users wait for go first."""
    failures_until_backoff: int = 1
    failures_until_stop: int = 8
    """After so many failed launches in a row the pool stops and says so, until an operator resumes it."""
    backoff_seconds: float = 5.0
    backoff_cap_seconds: float = 300.0

    def wanted(self, by_operator: int | None) -> int:
        """How many spares there should be, where an operator set a number, or None for these settings: never more than the cap."""
        return min(self.spares if by_operator is None else by_operator, self.fleet_cap)


@dataclass(frozen=True, slots=True)
class Shortage:
    """A zone in which no machine could be had, empty for any; no fault of ours, and over by itself."""

    zone: str
    times: int
    """In a row."""
    last_at: float
    error: str
    """What the provider said last."""


class PoolStatus(StrEnum):
    """What the pool says of itself."""

    READY = "ready"
    FILLING = "filling"
    FAILING = "failing"
    """Launches fail again and again; it tries on, ever more slowly."""
    NO_CAPACITY = "no_capacity"
    """The provider has no machine for us just now; it is asked on, ever more slowly."""
    STOPPED = "stopped"
    """The hard limit of failures is reached; an operator has to resume it."""
    PAUSED = "paused"
    AT_CAP = "at_cap"


@dataclass(frozen=True, slots=True)
class PoolView:
    """What the pool loop saw. `now` and times are seconds since the epoch."""

    now: float
    machines: Sequence[Machine]
    """All that are not terminated, but for `serving`."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """Instances that wait for a machine, by the zone of their volume, empty for anywhere: each is one more launch than N+2 asks for."""
    failures_in_row: int = 0
    last_failure_at: float | None = None
    paused: bool = False
    serving: int = 0
    """Live machines that are not listed, as the pool has nothing to do with them."""
    shortages: Mapping[str, Shortage] = field(default_factory=dict)
    """By zone."""
    leaving: frozenset[str] = frozenset()
    """Zones in which an instance is to leave its machine in good time, once another one is ready there."""
    homes: frozenset[str] = frozenset()
    """Zones that hold a user's volume."""
    placing: int = 0
    """Instances whose machine has been in the making for a short while, so that one which never succeeds is not in the others' way."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Launch `count` machines, in `zone` if it is not empty."""

    count: int
    zone: str = ""
    is_awaited: bool = False
    """Whether users wait for them. OpenClaw is started there once it is known for which instance; before, it would start twice."""


@dataclass(frozen=True, slots=True)
class Condemn:
    """Terminate one machine, for this reason."""

    machine_id: MachineId
    failure: MachineFailure


Action = Launch | Condemn


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What to do now, what to say about it, and when to look again at the latest."""

    actions: tuple[Action, ...]
    status: PoolStatus
    look_again_seconds: float


LOOK_AGAIN_SECONDS = 30.0
LOOK_SOON_SECONDS = 1.0
ANYWHERE = ""


def backoff_seconds(policy: PoolPolicy, failures_in_row: int) -> float:
    """How long to wait after this many failed launches in a row; doubles each time, up to the cap."""
    if failures_in_row < policy.failures_until_backoff:
        return 0.0
    return _doubling(policy, failures_in_row - policy.failures_until_backoff)


def _doubling(policy: PoolPolicy, doublings: int) -> float:
    return float(min(policy.backoff_seconds * 2 ** min(doublings, 30), policy.backoff_cap_seconds))


def plan_pool(view: PoolView, policy: PoolPolicy) -> PoolPlan:
    """Decide what the pool needs: condemn what will not serve, launch what is missing, within cap and back-off."""
    condemned = _unfit(view, policy)
    gone = {action.machine_id for action in condemned}
    live = [m for m in view.machines if m.state in LIVE_STATES]
    available = [m for m in live if m.state is MachineState.AVAILABLE and m.id not in gone]
    initializing = [m for m in live if m.state is MachineState.INITIALIZING and m.id not in gone]

    waiting = sum(view.waiting.values())
    wanted = policy.spares + waiting
    closed = _closed_zones(view, policy)
    wanted_in = _wanted_in(view, policy, initializing, closed)
    lacking = _lacking_by_zone(wanted_in, [*available, *initializing])
    short = wanted - len(available) - len(initializing)
    missing = max(short, sum(lacking.values()))
    awaited = _awaited(wanted_in, [*available, *initializing])
    coming = max(0, sum(m.id in awaited for m in initializing) - waiting)
    surplus = _surplus(
        [m for m in available if m.id not in awaited], [m for m in initializing if m.id not in awaited], count=-short - coming
    )
    if view.paused:
        return PoolPlan((*condemned, *surplus), PoolStatus.PAUSED, LOOK_AGAIN_SECONDS)
    if view.failures_in_row >= policy.failures_until_stop:
        return PoolPlan((*condemned, *surplus), PoolStatus.STOPPED, LOOK_AGAIN_SECONDS)

    room = policy.fleet_cap - len(live) - view.serving
    users_first = policy.starts_compete and waiting > 0
    of_users = {zone: count for zone, count in view.waiting.items() if zone}
    now_lacking = _lacking_by_zone(of_users, [*available, *initializing]) if users_first else lacking
    now_wanted = max(short - policy.spares, sum(now_lacking.values())) if users_first else missing
    slots = _slots(view, policy, len(initializing), min(len(available), waiting))
    wait = _wait_left(view, policy)
    open_zones = {zone: count for zone, count in now_lacking.items() if zone not in closed}
    if wait <= 0 < slots and room <= 0 and not condemned and not surplus and (given := _made_room(view, live, available, open_zones)):
        return PoolPlan(given, PoolStatus.AT_CAP, LOOK_AGAIN_SECONDS)
    anywhere = 0 if ANYWHERE in closed else max(0, now_wanted - sum(now_lacking.values()))
    count = max(0, min(sum(open_zones.values()) + anywhere, room, slots)) if wait <= 0 else 0
    launches = _launches(count, open_zones, is_awaited=users_first)
    again = LOOK_SOON_SECONDS if policy.starts_compete and count < min(missing, room) else LOOK_AGAIN_SECONDS
    return PoolPlan(
        (*condemned, *surplus, *launches),
        _status(view, policy, missing=missing, ready=len(available), room=room),
        wait if wait > 0 else min([again, *closed.values()]),
    )


def _closed_zones(view: PoolView, policy: PoolPolicy) -> Mapping[str, float]:
    """Zones that are left alone for now, since no machine could be had there, and for how many seconds more."""
    left = {
        zone: shortage.last_at + _doubling(policy, shortage.times - 1) - view.now
        for zone, shortage in view.shortages.items()
        if shortage.last_at <= view.now
    }
    return {zone: seconds for zone, seconds in left.items() if seconds > 0}


def _slots(view: PoolView, policy: PoolPolicy, initializing: int, about_to_be_claimed: int) -> int:
    """How many more machines may be started now."""
    free = policy.max_launches_at_once - initializing
    return free - about_to_be_claimed - view.placing if policy.starts_compete else free


def _wanted_in(view: PoolView, policy: PoolPolicy, initializing: Sequence[Machine], closed: Container[str]) -> Counter[str]:
    """How many machines are wanted by zone: one for each volume that waits there for one, and one more where an instance is to leave its
    machine, or may have to, as far as N allows. Machines that may come up in any zone are waited for first."""
    wanted = Counter({zone: count for zone, count in view.waiting.items() if zone})
    spread = policy.spread and len(view.homes) <= policy.spares and all(machine.zone for machine in initializing)
    wanted.update(zone for zone in view.leaving | (view.homes if spread else frozenset()) if zone and zone not in closed)
    return wanted


def _lacking_by_zone(wanted: Mapping[str, int], pooled: Sequence[Machine]) -> dict[str, int]:
    """How many machines are missing by zone, whatever there is elsewhere."""
    there = Counter(machine.zone for machine in pooled)
    return {zone: count - there[zone] for zone, count in wanted.items() if count > there[zone]}


def _awaited(wanted: Mapping[str, int], pooled: Sequence[Machine]) -> set[MachineId]:
    """Machines that are wanted in their zone, which no other can stand in for."""
    left = Counter(wanted)
    awaited = set()
    for machine in pooled:
        if machine.zone and left[machine.zone] > 0:
            left[machine.zone] -= 1
            awaited.add(machine.id)
    return awaited


def _launches(count: int, lacking: Mapping[str, int], *, is_awaited: bool) -> tuple[Launch, ...]:
    """`count` machines: first where volumes wait, the rest anywhere."""
    launches = []
    for zone, needed in sorted(lacking.items()):
        here = min(needed, count)
        launches.append(Launch(here, zone, is_awaited))
        count -= here
    return tuple(launch for launch in (*launches, Launch(count, is_awaited=is_awaited)) if launch.count > 0)


def _unfit(view: PoolView, policy: PoolPolicy) -> list[Condemn]:
    actions = []
    for machine in view.machines:
        late = view.now - machine.created_at > policy.ready_timeout_seconds
        if machine.state is MachineState.INITIALIZING and late:
            actions.append(Condemn(machine.id, MachineFailure.NOT_READY_IN_TIME))
        elif machine.state in (MachineState.AVAILABLE, MachineState.INITIALIZING) and machine.image != policy.image:
            actions.append(Condemn(machine.id, MachineFailure.OLD_IMAGE))
        elif policy.starts_compete and not view.waiting and _is_cold(machine, policy):
            actions.append(Condemn(machine.id, MachineFailure.SURPLUS))
    return actions


def _is_cold(machine: Machine, policy: PoolPolicy) -> bool:
    """Whether it was launched for a user who waits no more, and so is not what a spare should be."""
    return machine.state is MachineState.AVAILABLE and policy.warmth is Warmth.HOT and machine.warmth is not Warmth.HOT


def _surplus(available: Sequence[Machine], initializing: Sequence[Machine], count: int) -> list[Condemn]:
    """The machines to let go of: the least advanced first, then the youngest."""
    if count <= 0:
        return []
    by_youth = sorted(initializing, key=lambda m: -m.created_at) + sorted(available, key=lambda m: -m.created_at)
    return [Condemn(machine.id, MachineFailure.SURPLUS) for machine in by_youth[:count]]


def _made_room(view: PoolView, live: Sequence[Machine], available: Sequence[Machine], open_zones: Mapping[str, int]) -> tuple[Condemn, ...]:
    """A spare that goes for a machine that is needed in a zone where one can be had. None while others are on their way out already: they
    make room as well."""
    urgent = view.waiting.keys() | view.leaving
    needed = sum(count for zone, count in open_zones.items() if zone in urgent)
    if needed <= sum(machine.state is MachineState.TERMINATING for machine in live):
        return ()
    return tuple(_surplus([machine for machine in available if machine.zone not in urgent], (), 1))


def _wait_left(view: PoolView, policy: PoolPolicy) -> float:
    if view.last_failure_at is None or view.last_failure_at > view.now:
        return 0.0
    return view.last_failure_at + backoff_seconds(policy, view.failures_in_row) - view.now


def _status(view: PoolView, policy: PoolPolicy, *, missing: int, ready: int, room: int) -> PoolStatus:
    if view.failures_in_row >= max(2, policy.failures_until_backoff):
        return PoolStatus.FAILING
    if missing > 0 and room <= 0:
        return PoolStatus.AT_CAP
    if ready >= policy.spares + sum(view.waiting.values()):
        return PoolStatus.READY
    return PoolStatus.NO_CAPACITY if view.shortages else PoolStatus.FILLING
