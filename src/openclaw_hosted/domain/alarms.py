"""What is worth waking somebody for: one table of alarms, and how each begins, ends and is told.

An alarm is a condition over a gauge that held for a while. It ends once the condition has not held for `WELL_SECONDS`, so that what comes
and goes is one alarm. Each channel hears once that it began, and once that it ended. terraform/monitoring.tf has CloudWatch judge those
with a `metric` alike, for when the platform itself is down; docs/runbooks has a page for each.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from openclaw_hosted.domain.metering import Metric

WELL_SECONDS: Final = 300.0
WORTH_TELLING_SECONDS: Final = 3600.0
"""How long after its end an alarm is still told to a channel that heard nothing of it."""


class AlarmGauge(StrEnum):
    """What conditions are over. A gauge without a value can't be told just now, and changes no alarm."""

    SPARES = "ready spares"
    LAUNCH_FAILURES = "failed launches within five minutes"
    CRASH_LOOPS = "gateways in a crash loop"
    HANGS = "gateways that hung within ten minutes"
    FAILED = "failed instances"
    CROWDING = "volumes that fill a disk which others need"
    COST = "US dollars a month, estimated"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One kind. `threshold` of None stands for what the operator sets."""

    name: str
    what: str
    """What is so while it is on, in a sentence."""
    gauge: AlarmGauge | None
    """None for one that only CloudWatch can judge."""
    threshold: float | None
    below: bool = False
    """Whether it is on below the threshold, and not from it up."""
    for_seconds: float = 0.0
    metric: str | None = None
    """What CloudWatch has an alarm on, with the same name; None where only the platform judges."""

    @property
    def runbook(self) -> str:
        """Its page, from the root of the project."""
        return f"docs/runbooks/{self.name}.md"


POOL_DEPLETED: Final = Alarm(
    "pool-depleted", "No spare is ready: new users wait.", AlarmGauge.SPARES, None, below=True, for_seconds=300, metric=Metric.AVAILABLE
)
LAUNCH_FAILURES: Final = Alarm(
    "launch-failures", "Machines do not launch, or do not become ready.", AlarmGauge.LAUNCH_FAILURES, None, metric=Metric.LAUNCH_FAILURES
)
OVER_BUDGET: Final = Alarm("over-budget", "What exists costs more in a month than the budget.", AlarmGauge.COST, None)
ALARMS: Final[Sequence[Alarm]] = (
    POOL_DEPLETED,
    LAUNCH_FAILURES,
    Alarm("crash-loops", "A user's OpenClaw ends again and again.", AlarmGauge.CRASH_LOOPS, 1, for_seconds=180, metric=Metric.CRASH_LOOPS),
    Alarm("notices-unread", "Notices of interruptions are not read.", None, 120, for_seconds=180, metric="ApproximateAgeOfOldestMessage"),
    Alarm("gateway-hangs", "A gateway ran on without an answer, and was ended by force.", AlarmGauge.HANGS, 1),
    Alarm("instances-failed", "An instance has failed, and its user is waiting.", AlarmGauge.FAILED, 1),
    Alarm("disk-full", "The disk that instances share is nearly full.", AlarmGauge.CROWDING, 1),
    OVER_BUDGET,
)


@dataclass(frozen=True, slots=True)
class Measured:
    """A gauge now, and which things it counts, as far as that helps."""

    value: float
    about: str = ""


Measures = Mapping[AlarmGauge, Measured]


class Told(StrEnum):
    """What a channel heard of an alarm."""

    BEGAN = "began"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class AlarmState:
    """How an alarm is. Times are seconds since the epoch; `began_at` and `ended_at` are of the newest time that it was on."""

    name: str
    bad_since: float | None = None
    """Since when the condition has held; None while it does not."""
    well_since: float | None = None
    began_at: float | None = None
    ended_at: float | None = None
    value: float | None = None
    about: str = ""
    told: Mapping[str, Told] = field(default_factory=dict)
    """By channel, of the newest time that it was on."""

    @property
    def is_on(self) -> bool:
        """Whether it is on now."""
        return self.began_at is not None and self.ended_at is None


@dataclass(frozen=True, slots=True)
class Limits:
    """What operators set about alarms."""

    spares: int = 2
    """How many there are to be; where there are to be none, that there are none is no alarm."""
    budget_usd: float | None = None
    """For a month; None for none."""
    launch_failures: int = 3
    """How many within five minutes are an alarm."""
    budget_stops: bool = False
    """Whether nobody can create an instance while the budget is reached."""

    def of(self, alarm: Alarm) -> float | None:
        """From where on an alarm is on, or below where; None where it never is."""
        if alarm is POOL_DEPLETED:
            return min(1, self.spares) or None
        if alarm is LAUNCH_FAILURES:
            return self.launch_failures
        return self.budget_usd if alarm is OVER_BUDGET else alarm.threshold


def judge(alarm: Alarm, limit: float | None, measured: Measured | None, state: AlarmState, now: float) -> AlarmState:
    """How an alarm is after a look. Without a measure, or a limit, it is as before; one that is on without a limit ends."""
    if limit is None:
        return replace(state, bad_since=None, well_since=now, ended_at=now) if state.is_on else state
    if measured is None:
        return state
    is_bad = measured.value < limit if alarm.below else measured.value >= limit
    if not is_bad:
        return _well(state, measured, now)
    since = now if state.bad_since is None else state.bad_since
    bad = replace(state, bad_since=since, well_since=None, value=measured.value, about=measured.about)
    if state.is_on or now - since < alarm.for_seconds:
        return bad
    return replace(bad, began_at=now, ended_at=None, told={})


def _well(state: AlarmState, measured: Measured, now: float) -> AlarmState:
    if not state.is_on:
        return replace(state, bad_since=None, well_since=None, value=measured.value, about="")
    since = now if state.well_since is None else state.well_since
    ended_at = now if now - since >= WELL_SECONDS else None
    return replace(state, bad_since=None, well_since=since, ended_at=ended_at, value=measured.value)


@dataclass(frozen=True, slots=True)
class AlarmNews:
    """What a channel is to tell. `subject` and `text` are plain; `happened` is for programs."""

    alarm: str
    happened: Told
    subject: str
    text: str
    state: AlarmState | None = None
    """None for a test."""


def due(state: AlarmState, channel: str, now: float) -> Told | None:
    """What a channel has to tell of an alarm, and has not. Of one that was over before it could be told, that it ended."""
    told = state.told.get(channel)
    if state.is_on:
        return Told.BEGAN if told is None else None
    if state.ended_at is None or told is Told.ENDED:
        return None
    heard = told is Told.BEGAN or now - state.ended_at < WORTH_TELLING_SECONDS
    return Told.ENDED if heard else None


def news(alarm: Alarm, state: AlarmState, happened: Told, platform: str, at: Mapping[str, str]) -> AlarmNews:
    """An alarm in words. `at` has its moments in words, by the names `began` and `ended`."""
    subject = f"{alarm.name} {'has ended' if happened is Told.ENDED else 'began'} on {platform}"
    when = f"Since {at['began']}." if happened is Told.BEGAN else f"From {at['began']} to {at['ended']}."
    lines = [
        alarm.what if happened is Told.BEGAN else f"This is over: {alarm.what}",
        when,
        measured(alarm, state),
        f"What to do: {alarm.runbook}" if happened is Told.BEGAN else "",
    ]
    return AlarmNews(alarm.name, happened, subject, "\n".join(line for line in lines if line), state)


def measured(alarm: Alarm, state: AlarmState) -> str:
    """What was measured last, in a sentence; empty where nothing is known."""
    if state.value is None or alarm.gauge is None:
        return ""
    return f"Now: {state.value:g} {alarm.gauge}{f' ({state.about})' if state.about else ''}."


def alarm_named(name: str) -> Alarm | None:
    """The one of that name, if there is one."""
    return next((alarm for alarm in ALARMS if alarm.name == name), None)


def on_now(states: Collection[AlarmState]) -> Sequence[AlarmState]:
    """Those that are on, the longest first."""
    return sorted((state for state in states if state.is_on), key=lambda state: state.began_at or 0.0)
