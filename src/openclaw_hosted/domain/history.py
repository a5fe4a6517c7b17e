"""How the platform did over time: what happened is counted, what stands is sampled, and both roll up exactly from minutes to days.

A bucket holds sums, counts and extremes only, and histograms of fixed bounds. So two buckets make one without loss, in any order, and a
day that was put together from minutes says what one that was watched all day would say.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Any, Final

from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import StepName
from openclaw_hosted.domain.machine import MachineFailure
from openclaw_hosted.domain.measures import BOUNDS, Calls, Durations, slot_of, within
from openclaw_hosted.domain.notice import NoticeKind

DAY_SECONDS: Final = 86_400


class Resolution(IntEnum):
    """How long a bucket is, in seconds."""

    MINUTE = 60
    HOUR = 3600
    DAY = DAY_SECONDS
    EVER = 0
    """One bucket of all that was counted since there is a history, without what is sampled: what counters show that never fall."""

    def start_of(self, at: float) -> int:
        """When the bucket began that `at` falls into, in seconds since the epoch; days are those of UTC."""
        return int(at // self) * self if self else 0


KEPT_SECONDS: Final[Mapping[Resolution, int]] = {
    Resolution.MINUTE: 2 * DAY_SECONDS,
    Resolution.HOUR: 100 * DAY_SECONDS,
    Resolution.DAY: 3 * 366 * DAY_SECONDS,
}
"""2,880 minutes, 2,400 hours and 1,098 days at most, however large the fleet is. The bucket of `EVER` stays."""


class Gauge(StrEnum):
    """What stands at a moment, and is sampled once a minute."""

    READY = "ready"
    """Spares."""
    WANTED = "wanted"
    """Spares that there should be."""
    BOOTING = "booting"
    """Machines that get ready."""
    RUNNING = "running"
    """Instances."""
    FAILED = "failed"
    """Instances that were given up."""
    WAITING = "waiting"
    """Instances without a machine."""
    MACHINES = "machines"
    """All that are billed."""
    COST = "cost"
    """US dollars an hour, where machines cost anything."""


class Count(StrEnum):
    """What happens, and is counted."""

    CREATES = "creates"
    HITS = "hits"
    """Creates that got a spare at once."""
    MISSES = "misses"
    LAUNCHES = "launches"
    LAUNCH_FAILURES = "launch_failures"
    INTERRUPTIONS = "interruptions"
    """Machines that their provider took away, said beforehand or not."""
    REPLACEMENTS = "replacements"
    """Instances that had to go to another machine."""
    RESTARTS = "restarts"
    """Gateways that came up anew by themselves."""
    FAILURES = "failures"
    """Instances that were given up."""


NO_LATENCY: Final = (0,) * (len(BOUNDS) + 1)


@dataclass(frozen=True, slots=True)
class Level:
    """A gauge's samples within a bucket."""

    samples: int
    total: float
    lowest: float
    highest: float

    @property
    def mean(self) -> float:
        """Of the samples."""
        return self.total / self.samples

    def __add__(self, other: Level) -> Level:
        return Level(
            self.samples + other.samples,
            self.total + other.total,
            min(self.lowest, other.lowest),
            max(self.highest, other.highest),
        )


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is known of one stretch of time. `latency` counts assignments by slot of `BOUNDS`."""

    gauges: Mapping[Gauge, Level] = field(default_factory=dict)
    counts: Mapping[Count, int] = field(default_factory=dict)
    latency: tuple[int, ...] = NO_LATENCY
    steps: Mapping[StepName, Durations] = field(default_factory=dict)
    """How long steps took that succeeded."""
    calls: Mapping[str, Calls] = field(default_factory=dict)
    """To the cloud, by service and operation, such as `ec2:CreateFleet`."""

    def __add__(self, other: Bucket) -> Bucket:
        return together((self, other))

    def quantile(self, share: float) -> float | None:
        """The time within which this share of assignments ended, in seconds, as an upper bound; None without any."""
        return within(self.latency, share)


EMPTY: Final = Bucket()
Place = tuple[Resolution, int]
"""A resolution, and when a bucket of it began."""


def spent(hours: Mapping[int, Bucket], now: float) -> float:
    """US dollars, from hourly buckets: an hour of which something is known counts whole, the present one until now."""
    known = ((start, bucket.gauges[Gauge.COST].mean) for start, bucket in hours.items() if Gauge.COST in bucket.gauges)
    return sum(usd_per_hour * min(1.0, max(0.0, (now - start) / Resolution.HOUR)) for start, usd_per_hour in known)


def sampled(gauges: Mapping[Gauge, float]) -> Bucket:
    """One sample of each gauge."""
    return Bucket({gauge: Level(1, value, value, value) for gauge, value in gauges.items()})


def counted(event: Event, assignment_seconds: float | None = None) -> Bucket:
    """What an event adds; for an instance that ran for the first time, with how long that took."""
    latency = list(NO_LATENCY)
    if assignment_seconds is not None:
        latency[slot_of(assignment_seconds)] = 1
    return Bucket(counts=dict.fromkeys(_counts_of(event), 1), latency=tuple(latency))


def rolled_up(parts: Iterable[tuple[float, Bucket]]) -> dict[Place, Bucket]:
    """What each bucket of each resolution gains by these parts, each with the time that it is of."""
    gained: dict[Place, Bucket] = {}
    for at, part in parts:
        for resolution in Resolution:
            place = (resolution, resolution.start_of(at))
            gained[place] = gained.get(place, EMPTY) + (part if resolution else replace(part, gauges={}))
    return gained


def regrouped(buckets: Mapping[int, Bucket], first: int, seconds: int, length: int) -> list[tuple[int, Bucket]]:
    """`length` stretches of `seconds` from `first`, each of the buckets that began in it; empty ones where nothing is known."""
    inside: dict[int, list[Bucket]] = {}
    for start, bucket in buckets.items():
        inside.setdefault((start - first) // seconds, []).append(bucket)
    return [(first + number * seconds, together(inside.get(number, ()))) for number in range(length)]


def together(buckets: Iterable[Bucket]) -> Bucket:
    """All in one."""
    gauges: dict[Gauge, Level] = {}
    counts: Counter[Count] = Counter()
    latency = list(NO_LATENCY)
    steps: dict[StepName, tuple[int, Counter[int]]] = {}
    calls: dict[str, Calls] = {}
    for bucket in buckets:
        for gauge, level in bucket.gauges.items():
            gauges[gauge] = gauges[gauge] + level if gauge in gauges else level
        counts.update(bucket.counts)
        if bucket.latency is not NO_LATENCY:
            latency = [a + b for a, b in zip(latency, bucket.latency, strict=True)]
        for step, took in bucket.steps.items():
            before, slots = steps.get(step, (0, Counter()))
            slots.update(took.slots)
            steps[step] = before + took.milliseconds, slots
        for name, made in bucket.calls.items():
            calls[name] = calls[name].plus(made) if name in calls else made
    took_in_all = {step: Durations(whole, dict(slots)) for step, (whole, slots) in steps.items()}
    return Bucket(gauges, dict(counts), tuple(latency), took_in_all, calls)


_GAUGES: Final[Mapping[str, Gauge]] = {gauge.value: gauge for gauge in Gauge}
_COUNTS: Final[Mapping[str, Count]] = {count.value: count for count in Count}
_STEPS: Final[Mapping[str, StepName]] = {step.value: step for step in StepName}


def encode_bucket(bucket: Bucket) -> str:
    """As compact JSON; a few hundred bytes, and up to some thousand where many kinds of calls are made."""
    body: dict[str, Any] = {
        "g": {gauge: [level.samples, level.total, level.lowest, level.highest] for gauge, level in bucket.gauges.items()},
        "c": dict(bucket.counts),
        "l": {str(slot): count for slot, count in enumerate(bucket.latency) if count},
    }
    if bucket.steps:
        body["s"] = {step: [took.milliseconds, took.slots] for step, took in bucket.steps.items()}
    if bucket.calls:
        body["a"] = {name: [made.made, made.failed, made.throttled] for name, made in bucket.calls.items()}
    return json.dumps(body, separators=(",", ":"))


def decode_bucket(text: str) -> Bucket:
    """The inverse of `encode_bucket`; what a later version has beside that is left out."""
    body = json.loads(text)
    latency = list(NO_LATENCY)
    for slot, count in body["l"].items():
        latency[int(slot)] = count
    steps = {
        _STEPS[name]: Durations(whole, {int(slot): count for slot, count in slots.items()})
        for name, (whole, slots) in body.get("s", {}).items()
        if name in _STEPS
    }
    return Bucket(
        {_GAUGES[name]: Level(*level) for name, level in body["g"].items() if name in _GAUGES},
        {_COUNTS[name]: count for name, count in body["c"].items() if name in _COUNTS},
        tuple(latency),
        steps,
        {name: Calls._make(made) for name, made in body.get("a", {}).items()},
    )


_TAKEN_AWAY: Final = frozenset({NoticeKind.INTERRUPTION, NoticeKind.ENDED})
_PLAIN: Final[Mapping[EventName, Sequence[Count]]] = {
    EventName.MACHINE_LAUNCHED: (Count.LAUNCHES,),
    EventName.MACHINE_LAUNCH_FAILED: (Count.LAUNCH_FAILURES,),
    EventName.INSTANCE_MACHINE_LOST: (Count.REPLACEMENTS,),
    EventName.INSTANCE_MOVING: (Count.REPLACEMENTS,),
    EventName.INSTANCE_FAILED: (Count.FAILURES,),
    EventName.GATEWAY_RESTARTED: (Count.RESTARTS,),
}

_BY_REASON: Final[Mapping[str, Sequence[Count]]] = {
    MachineFailure.NOT_READY_IN_TIME: (Count.LAUNCH_FAILURES,),
    MachineFailure.DIED: (Count.INTERRUPTIONS,),
}


def _counts_of(event: Event) -> Sequence[Count]:
    if event.name is EventName.INSTANCE_CREATED:
        return (Count.CREATES, Count.HITS if event.machine_id else Count.MISSES)
    if event.name is EventName.MACHINE_NOTICED:
        return (Count.INTERRUPTIONS,) if event.detail.get("kind") in _TAKEN_AWAY else ()
    if event.name is EventName.MACHINE_CONDEMNED:
        return _BY_REASON.get(str(event.detail.get("reason")), ())
    return _PLAIN.get(event.name, ())
