"""From a symptom to its cause: what was seen of an instance or a spare, judged step by step.

Whoever looks fills `Facts`; `diagnose` judges them. What could not be looked at is `Unknown`, and its steps are skipped: doubt is never
taken for a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from openclaw_hosted.domain.causes import ADVICE, Advice, LikelyCause
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.key_refusal import REFUSED
from openclaw_hosted.domain.loglines import LogWish, chosen
from openclaw_hosted.domain.machine import LIVE_STATES, Machine, MachineState
from openclaw_hosted.domain.naming import MachineId
from openclaw_hosted.domain.pool import PoolStatus

CLOCK_SLACK_SECONDS: Final = 60.0
STARTING_SECONDS: Final = 150.0
"""How long a start of OpenClaw may take before it is said to hang."""
LOGS_SECONDS: Final = 3600.0
"""How old a line of the log may be that says what is wrong now."""
SETTINGS_REFUSED_CODE: Final = 78
KILLED_CODES: Final = frozenset({137, -9})
_DISK: Final = re.compile(r"ENOSPC|no space left on device|disk quota exceeded|database or disk is full", re.IGNORECASE)
_MEMORY: Final = re.compile(r"heap out of memory|out of memory|ENOMEM|cannot allocate memory|oom[- ]?kill", re.IGNORECASE)


class Outcome(StrEnum):
    """What came of a step."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class Step(StrEnum):
    """The steps, in the order in which they are told."""

    CAPACITY = "capacity"
    CLOCK = "clock"
    MACHINE = "machine"
    DISK = "disk"
    MEMORY = "memory"
    PROCESS = "process"
    GATEWAY = "gateway"
    ROUTE = "route"
    ADDRESS = "address"
    TARGET = "target"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Unknown:
    """What could not be seen, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class GatewaySeen:
    """What a gateway said of itself."""

    running: bool
    ready: bool
    stopping: bool = False
    serves: str | None = None
    started_at: float | None = None
    restarts: int = 0
    exit_code: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class MachineSeen:
    """What the provider says of a machine: `health` as it calls it, `up` for one that runs; None for one that is gone."""

    health: str | None
    launched_at: float | None = None


@dataclass(frozen=True, slots=True)
class PoolSeen:
    """What the pool says of itself."""

    status: PoolStatus
    said: str | None = None


@dataclass(frozen=True, slots=True)
class RouteSeen:
    """Where an address leads: to no machine for None."""

    machine_id: MachineId | None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was seen at `now`. `instance` is None for a spare, `machine` for an instance that has none."""

    now: float
    instance: Instance | None
    machine: Machine | None
    pool: PoolSeen
    store_clock: float | Unknown = Unknown("not asked")
    """What the database's clock says."""
    provider: MachineSeen | Unknown = Unknown("there is no machine")
    gateway: GatewaySeen | Unknown = Unknown("there is no machine")
    log: Sequence[str] | Unknown = Unknown("there is no machine")
    """The newest lines, oldest first."""
    crowded: str | Unknown | None = None
    """What its volume holds of a disk that is nearly full, in words; None where there is room."""
    route: RouteSeen | Unknown = Unknown("there is no machine")
    resolves: bool | Unknown = Unknown("not asked")
    """Whether the host name of its address is known."""
    probe: str | Unknown | None = Unknown("there is no machine")
    """What a request to its address met that did not reach its gateway; None for one that did."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One step. `cause` is what a failed one points to."""

    step: Step
    outcome: Outcome
    reason: str
    cause: LikelyCause | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found. `cause` and `advice` are None where nothing is wrong that can be seen from here."""

    subject: str
    state: str
    """What its row says, with the last error where it was given up."""
    findings: tuple[Finding, ...]
    cause: LikelyCause | None
    advice: Advice | None


def diagnose(subject: str, facts: Facts) -> Diagnosis:
    """Judge all steps; of several causes the one is likely from which the others follow."""
    findings = tuple(judge(step, facts) for step, judge in _JUDGES.items())
    causes = [finding.cause for finding in findings if finding.cause is not None]
    cause = min(causes, key=lambda each: each.rank, default=None)
    return Diagnosis(subject, _state(facts), findings, cause, None if cause is None else ADVICE[cause])


def _state(facts: Facts) -> str:
    if facts.instance is None:
        return "unknown" if facts.machine is None else str(facts.machine.state)
    error = facts.instance.last_error if facts.instance.phase is Phase.FAILED else None
    return f"{facts.instance.phase}: {error}" if error else str(facts.instance.phase)


def _ok(step: Step, reason: str) -> Finding:
    return Finding(step, Outcome.OK, reason)


def _bad(step: Step, reason: str, cause: LikelyCause) -> Finding:
    return Finding(step, Outcome.FAILED, reason, cause)


def _skip(step: Step, reason: str) -> Finding:
    return Finding(step, Outcome.SKIPPED, reason)


_SHORT_OF_MACHINES: Final[Mapping[PoolStatus, LikelyCause]] = {
    PoolStatus.PAUSED: LikelyCause.POOL_PAUSED,
    PoolStatus.NO_CAPACITY: LikelyCause.NO_CAPACITY,
    PoolStatus.AT_CAP: LikelyCause.FLEET_CAP,
    PoolStatus.FAILING: LikelyCause.LAUNCHES_FAIL,
    PoolStatus.STOPPED: LikelyCause.LAUNCHES_FAIL,
}


def _capacity(step: Step, facts: Facts) -> Finding:
    instance, pool = facts.instance, facts.pool
    if instance is not None and instance.phase in (Phase.DELETED, Phase.DELETING, Phase.PURGED):
        return _bad(step, f"it is {instance.phase}", LikelyCause.DELETED)
    if facts.machine is not None and facts.machine.state in LIVE_STATES:
        return _ok(step, "it has a machine")
    said = f"; the pool says: {pool.said}" if pool.said else ""
    cause = _SHORT_OF_MACHINES.get(pool.status, LikelyCause.WAITS_FOR_MACHINE)
    return _bad(step, f"it waits for a machine, and the pool is {pool.status}{said}", cause)


def _clock(step: Step, facts: Facts) -> Finding:
    gateway, provider = facts.gateway, facts.provider
    later = {
        "OpenClaw was started": gateway.started_at if isinstance(gateway, GatewaySeen) else None,
        "the machine was launched": provider.launched_at if isinstance(provider, MachineSeen) else None,
    }
    for what, at in later.items():
        if at is not None and at - facts.now > CLOCK_SLACK_SECONDS:
            return _bad(step, f"{what} {at - facts.now:.0f} s in the future", LikelyCause.CLOCK_WRONG)
    if isinstance(facts.store_clock, Unknown):
        return _skip(step, facts.store_clock.why)
    apart = abs(facts.store_clock - facts.now)
    if apart > CLOCK_SLACK_SECONDS:
        return _bad(step, f"the database's clock and the control plane's are {apart:.0f} s apart", LikelyCause.CLOCK_WRONG)
    return _ok(step, "the clocks agree")


def _machine(step: Step, facts: Facts) -> Finding:
    machine, seen = facts.machine, facts.provider
    if machine is None:
        return _skip(step, "it has none")
    if machine.state is MachineState.TERMINATED:
        return _bad(step, f"{machine.id} has ended", LikelyCause.MACHINE_GONE)
    if isinstance(seen, Unknown):
        return _skip(step, seen.why)
    if seen.health is None:
        return _bad(step, f"the provider does not list {machine.id} any more", LikelyCause.MACHINE_GONE)
    if seen.health == "booting":
        return _bad(step, f"{machine.id} is booting", LikelyCause.MACHINE_BOOTING)
    if seen.health != "up":
        return _bad(step, f"{machine.id} is {seen.health.replace('_', ' ')}", LikelyCause.MACHINE_STOPPED)
    return _ok(step, f"{machine.id} is up")


def _disk(step: Step, facts: Facts) -> Finding:
    if isinstance(facts.crowded, str):
        return _bad(step, facts.crowded, LikelyCause.DISK_FULL)
    if found := _said(facts, _DISK):
        return _bad(step, found, LikelyCause.DISK_FULL)
    if isinstance(facts.crowded, Unknown):
        return _skip(step, facts.crowded.why)
    return _ok(step, "there is room")


def _memory(step: Step, facts: Facts) -> Finding:
    gateway = facts.gateway
    if found := _said(facts, _MEMORY):
        return _bad(step, found, LikelyCause.OUT_OF_MEMORY)
    if isinstance(gateway, Unknown):
        return _skip(step, gateway.why)
    if not gateway.running and gateway.exit_code in KILLED_CODES:
        return _bad(
            step, f"OpenClaw was killed (exit code {gateway.exit_code}), as the kernel does when memory is full", LikelyCause.OUT_OF_MEMORY
        )
    return _ok(step, "nothing says that memory ran out")


def _process(step: Step, facts: Facts) -> Finding:
    gateway = facts.gateway
    if isinstance(gateway, Unknown):
        return _skip(step, gateway.why)
    if gateway.running:
        return _ok(step, f"OpenClaw runs; it was restarted {gateway.restarts} times")
    if gateway.exit_code == SETTINGS_REFUSED_CODE:
        return _bad(step, gateway.problem or "OpenClaw refused its settings", LikelyCause.SETTINGS_REFUSED)
    code = "" if gateway.exit_code is None else f" (exit code {gateway.exit_code})"
    return _bad(step, gateway.problem or f"OpenClaw does not run{code}", LikelyCause.GATEWAY_ENDED)


def _gateway(step: Step, facts: Facts) -> Finding:
    gateway, expected = facts.gateway, _expected(facts)
    if isinstance(gateway, Unknown):
        return _skip(step, gateway.why)
    if not gateway.running:
        return _skip(step, "OpenClaw does not run")
    if gateway.ready and gateway.serves not in (None, expected):
        return _bad(step, f"it answers as {gateway.serves}, and not as {expected}", LikelyCause.WRONG_GATEWAY)
    if gateway.ready:
        return _ok(step, "it answers as itself")
    age = None if gateway.started_at is None else facts.now - gateway.started_at
    if gateway.stopping or (age is not None and age < STARTING_SECONDS):
        return _bad(step, "it is starting" if not gateway.stopping else "it finishes its turn, then restarts", LikelyCause.GATEWAY_STARTING)
    return _bad(step, gateway.problem or "it runs and does not answer", LikelyCause.GATEWAY_HANGS)


def _route(step: Step, facts: Facts) -> Finding:
    if facts.instance is None or facts.machine is None:
        return _skip(step, "nobody's address leads to it" if facts.instance is None else "it has no machine")
    if isinstance(facts.route, Unknown):
        return _skip(step, facts.route.why)
    if facts.route.machine_id is None:
        return _bad(step, "its address leads nowhere", LikelyCause.ROUTE_MISSING)
    if facts.route.machine_id != facts.machine.id:
        return _bad(step, f"its address leads to {facts.route.machine_id}", LikelyCause.ROUTE_ELSEWHERE)
    return _ok(step, f"its address leads to {facts.machine.id}")


def _address(step: Step, facts: Facts) -> Finding:
    if isinstance(facts.resolves, Unknown):
        return _skip(step, facts.resolves.why)
    return _ok(step, "its host name is known") if facts.resolves else _bad(step, "its host name is not known", LikelyCause.NAME_UNKNOWN)


def _target(step: Step, facts: Facts) -> Finding:
    if facts.instance is None:
        return _skip(step, "nobody's address leads to it")
    if isinstance(facts.probe, Unknown):
        return _skip(step, facts.probe.why)
    if facts.probe is None:
        return _ok(step, "a request to its address reaches it")
    return _bad(step, facts.probe, LikelyCause.TARGET_UNREACHED)


def _key(step: Step, facts: Facts) -> Finding:
    if facts.instance is None:
        return _skip(step, "a spare has no key")
    if isinstance(facts.log, Unknown):
        return _skip(step, facts.log.why)
    if found := _said(facts, REFUSED):
        return _bad(step, found, LikelyCause.KEY_REFUSED)
    return _ok(step, "its log tells of no refused key")


_JUDGES: Final[Mapping[Step, Callable[[Step, Facts], Finding]]] = {
    Step.CAPACITY: _capacity,
    Step.CLOCK: _clock,
    Step.MACHINE: _machine,
    Step.DISK: _disk,
    Step.MEMORY: _memory,
    Step.PROCESS: _process,
    Step.GATEWAY: _gateway,
    Step.ROUTE: _route,
    Step.ADDRESS: _address,
    Step.TARGET: _target,
    Step.KEY: _key,
}


def _expected(facts: Facts) -> str | None:
    if facts.instance is not None:
        return facts.instance.id
    return None if facts.machine is None else facts.machine.reserved_instance_id


def _said(facts: Facts, sign: re.Pattern[str]) -> str | None:
    """The newest word of this kind, and no more of what stands beside it, which may be a user's: what OpenClaw said as it ended, or wrote
    since its settings are in force."""
    gateway = facts.gateway
    if isinstance(gateway, GatewaySeen) and not gateway.ready and gateway.problem and (found := sign.search(gateway.problem)):
        return f"OpenClaw said: {found[0]}"
    if isinstance(facts.log, Unknown):
        return None
    since = max(facts.now - LOGS_SECONDS, facts.instance.phase_changed_at if facts.instance is not None else 0.0)
    for line in reversed(chosen(facts.log, LogWish(since=since))):
        if found := sign.search(line.text):
            return f"its log says: {found[0]}"
    return None
