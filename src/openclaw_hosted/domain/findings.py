"""Is all well? What an operator has to know of now, in the order in which it hurts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from openclaw_hosted.domain.alarms import AlarmState, alarm_named, measured, on_now
from openclaw_hosted.domain.pool import PoolStatus

NAMED: Final = 3
"""How many instances a finding names."""
LONG_WAIT_SECONDS: Final = 300.0
"""A machine takes two to four minutes on AWS: who waits longer is not just unlucky."""


class Severity(StrEnum):
    """How much it hurts."""

    BAD = "bad"
    """Somebody's OpenClaw does not work, or will not once they ask."""
    WARN = "warn"
    """Nobody notices yet."""


class FindingKind(StrEnum):
    """What can be wrong."""

    POOL_STOPPED = "pool_stopped"
    POOL_FAILING = "pool_failing"
    NO_CAPACITY = "no_capacity"
    AT_CAP = "at_cap"
    POOL_PAUSED = "pool_paused"
    NO_SPARES = "no_spares"
    USERS_WAIT = "users_wait"
    INSTANCES_FAILED = "instances_failed"
    CRASH_LOOP = "crash_loop"
    KEYS_REFUSED = "keys_refused"
    DISK_FILLED = "disk_filled"
    ORPHANS_HELD_BACK = "orphans_held_back"
    BACKUP_FAILED = "backup_failed"
    ALARM = "alarm"
    """An alarm that is on, of something else or of what is over just now."""


ALARMS_OF: Final[Mapping[FindingKind, Sequence[str]]] = {
    FindingKind.POOL_STOPPED: ("launch-failures", "pool-depleted"),
    FindingKind.POOL_FAILING: ("launch-failures", "pool-depleted"),
    FindingKind.NO_CAPACITY: ("pool-depleted",),
    FindingKind.AT_CAP: ("pool-depleted",),
    FindingKind.POOL_PAUSED: ("pool-depleted",),
    FindingKind.NO_SPARES: ("pool-depleted",),
    FindingKind.INSTANCES_FAILED: ("instances-failed",),
    FindingKind.CRASH_LOOP: ("crash-loops",),
    FindingKind.DISK_FILLED: ("disk-full",),
}
"""Which alarms are about the same thing, by name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `about` is the id of what it is about, if that is one thing."""

    kind: FindingKind
    severity: Severity
    text: str
    about: str = ""
    alarms: Sequence[AlarmState] = ()
    """Those that are on about it."""


@dataclass(frozen=True, slots=True)
class Looped:
    """A gateway in a crash loop."""

    machine_id: str
    instance_id: str | None
    restarts: int


@dataclass(frozen=True, slots=True)
class State:
    """What findings are made from."""

    status: PoolStatus
    paused: bool
    failures_in_row: int
    error: str
    note: str
    ready: int
    wanted: int
    booting: int
    fleet_cap: int
    waiting: int
    longest_wait_seconds: float
    running: int
    failed: int
    loops: Sequence[Looped] = ()
    filled: Sequence[str] = ()
    """Instances or volumes that hold most of a full disk."""
    refused: Sequence[str] = ()
    """Instances that run, and whose key their model's provider refuses."""
    held_back: int = 0
    backup_error: str | None = None
    """Why the newest backup failed, if it did."""
    alarms: Sequence[AlarmState] = ()


def findings(state: State) -> list[Finding]:
    """All that is wrong, the worst first."""
    found = _with_alarms([*_pool(state), *_users(state), *_store(state)], on_now(state.alarms))
    return sorted(found, key=lambda each: each.severity is not Severity.BAD)


def verdict(state: State, found: Sequence[Finding]) -> tuple[Severity | None, str]:
    """How the platform does, in one sentence; None where all is well."""
    bad = [each for each in found if each.severity is Severity.BAD]
    if bad:
        return Severity.BAD, f"Not all is well: {_number(len(bad), 'thing')} {'needs' if len(bad) == 1 else 'need'} you now."
    if found:
        return Severity.WARN, f"Everybody's OpenClaw works, but look at {_number(len(found), 'thing')}."
    spares = "no spare is asked for" if not state.wanted else f"{state.ready} of {_number(state.wanted, 'spare')} are ready"
    return None, f"All is well: {_number(state.running, 'instance')} run{'s' if state.running == 1 else ''}, {spares}, and nobody waits."


def _pool(state: State) -> list[Finding]:
    hurts = Severity.BAD if state.waiting or (state.wanted and not state.ready) else Severity.WARN
    reason = f" {state.error}" if state.error else ""
    match state.status:
        case PoolStatus.STOPPED:
            text = f"The pool has stopped: {_number(state.failures_in_row, 'launch', 'launches')} failed in a row.{reason}"
            return [Finding(FindingKind.POOL_STOPPED, Severity.BAD, text)]
        case PoolStatus.FAILING:
            text = f"{_number(state.failures_in_row, 'launch', 'launches')} failed in a row, and the pool tries ever more slowly.{reason}"
            return [Finding(FindingKind.POOL_FAILING, hurts, text)]
        case PoolStatus.NO_CAPACITY:
            return [Finding(FindingKind.NO_CAPACITY, hurts, state.note or "The provider has no machine for us just now.")]
        case PoolStatus.AT_CAP:
            text = f"The fleet has reached its cap of {_number(state.fleet_cap, 'machine')}, and more are needed."
            return [Finding(FindingKind.AT_CAP, hurts, text)]
        case _ if state.paused:
            return [Finding(FindingKind.POOL_PAUSED, hurts, "An operator paused the pool: it launches no machines.")]
        case _ if state.wanted and not state.ready:
            coming = f"{state.booting} on the way" if state.booting else "none on the way"
            return [Finding(FindingKind.NO_SPARES, Severity.WARN, f"No spare is ready, and {coming}: the next user has to wait.")]
    return []


def _users(state: State) -> list[Finding]:
    found = []
    if state.waiting:
        long = state.longest_wait_seconds >= LONG_WAIT_SECONDS
        text = f"{_number(state.waiting, 'instance')} {'waits' if state.waiting == 1 else 'wait'} for a machine."
        found.append(Finding(FindingKind.USERS_WAIT, Severity.BAD if long else Severity.WARN, text))
    if state.failed:
        text = f"{_number(state.failed, 'instance')} {'has' if state.failed == 1 else 'have'} failed."
        found.append(Finding(FindingKind.INSTANCES_FAILED, Severity.BAD, text))
    if state.refused:
        named = ", ".join(state.refused[:NAMED]) + (" and others" if len(state.refused) > NAMED else "")
        whose = "the key of an instance" if len(state.refused) == 1 else f"the keys of {len(state.refused):,} instances"
        text = f"Providers of models refuse {whose}: {named}. Their users have been told on their pages."
        found.append(Finding(FindingKind.KEYS_REFUSED, Severity.WARN, text))
    for loop in state.loops:
        whose = f"OpenClaw of {loop.instance_id}" if loop.instance_id else f"The spare {loop.machine_id}"
        text = f"{whose} has restarted {loop.restarts} times within ten minutes."
        found.append(Finding(FindingKind.CRASH_LOOP, Severity.BAD if loop.instance_id else Severity.WARN, text, loop.machine_id))
    return found


def _store(state: State) -> list[Finding]:
    found = [Finding(FindingKind.DISK_FILLED, Severity.BAD, f"{each} fills the disk that all share.", each) for each in state.filled]
    if state.held_back:
        text = f"{_number(state.held_back, 'thing')} at the provider came up without an owner, all at once. Is this the right database?"
        found.append(Finding(FindingKind.ORPHANS_HELD_BACK, Severity.BAD, text))
    if state.backup_error is not None:
        found.append(Finding(FindingKind.BACKUP_FAILED, Severity.WARN, f"The newest backup failed. {state.backup_error}".strip()))
    return found


def _with_alarms(found: Sequence[Finding], on: Sequence[AlarmState]) -> list[Finding]:
    """One entry for what is found and alarmed about; what somebody is woken for hurts. Alarms about nothing that is found come after."""
    joined = []
    for each in found:
        about = [state for state in on if state.name in ALARMS_OF.get(each.kind, ())]
        joined.append(replace(each, severity=Severity.BAD, alarms=about) if about else each)
    named = {state.name for each in joined for state in each.alarms}
    for state in on:
        alarm = alarm_named(state.name)
        if state.name not in named and alarm is not None:
            what = alarm.what if state.well_since is None else f"This may be over: {alarm.what}"
            text = f"{what} {measured(alarm, state)}".strip()
            joined.append(Finding(FindingKind.ALARM, Severity.WARN, text, alarms=[state]))
    return joined


def _number(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
