"""How many spares each hour of the week needs, learned from what was recorded, and when to keep more all the same.

A spare that is taken is replaced `refill_seconds` later. So an arrival finds a spare exactly if fewer than all were taken in the
`refill_seconds` before it: an arrival's *demand* is one more than the arrivals in that time, and it is served at once by any number of
spares that is no lower.

**Never worse than N+2** means three things. In what was recorded, each arrival that N spares would have served at once, the week's plan
serves at once. Fewer than N are kept only while nobody has come for an hour, in an hour of the week in which, with the hours beside it,
nobody ever needed more; whoever needs more all the same raises the plan from the next day on. And a plan is not made, so that N stays,
before two weeks are known.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

HOUR_SECONDS: Final = 3600.0
DAY_SECONDS: Final = 86_400.0
WEEK_HOURS: Final = 168
MONDAY_HOUR: Final = 4 * 24
WEEK_SECONDS: Final = WEEK_HOURS * HOUR_SECONDS
LOOK_BACK_WEEKS: Final = 4
LEAST_WEEKS: Final = 2
LEAST_ARRIVALS: Final = 20
HABIT_WEEKS: Final = 2
"""In how many weeks a demand has to come back before the plan follows it beyond what chance explains."""
DIP_HOURS: Final = 2
"""Fewer spares for no longer than this save nothing: they are launched again at once."""
RUSH_SECONDS: Final = 900.0
RUSH_ARRIVALS: Final = 3
"""So many within `RUSH_SECONDS` are a rush, which is provided for while it lasts and for an hour after."""
BOOT_QUANTILE: Final = 0.9
LONGEST_REFILL_SECONDS: Final = HOUR_SECONDS
MOST_FAILED_SHARE: Final = 0.9


@dataclass(frozen=True, slots=True)
class AdaptivePolicy:
    """What the operator wants of it."""

    missed_share: float = 0.01
    """The share of arrivals that may find no spare."""
    most: int = 20
    """The most spares that it keeps of itself; more only if N is higher."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of the past. Times are seconds since the epoch."""

    until: float
    """When it ends."""
    arrivals: Sequence[float]
    """The newest, in their order: whoever took a spare, or would have."""
    by_hour: Mapping[int, int]
    """How many arrived in the hour that began then. Hours without a bucket are not in it; they are known to be empty from the first on."""
    refill_seconds: float
    """From when a spare is taken until another one is ready."""


@dataclass(frozen=True, slots=True)
class WeekPlan:
    """Spares by hour of the week, which begins as the epoch did: on a Thursday, at midnight UTC."""

    hours: tuple[int, ...]
    refill_seconds: float

    def at(self, moment: float) -> int:
        """How many there should be then, as far as the week says."""
        return self.hours[_slot(moment)]

    @property
    def from_monday(self) -> tuple[int, ...]:
        """The hours from Monday, midnight UTC."""
        return self.hours[MONDAY_HOUR:] + self.hours[:MONDAY_HOUR]

    @property
    def mean(self) -> float:
        """Of the week."""
        return sum(self.hours) / len(self.hours)


def refill_seconds(boots: Sequence[float], launches: int, failures: int, otherwise: float) -> float:
    """How long a spare is missing: nine of ten machines came up within it; longer by the share of launches that failed, as each is done
    again. `otherwise` where no machine was seen to come up. An hour at most."""
    ordered = sorted(boots)
    boot = ordered[math.ceil(BOOT_QUANTILE * len(ordered)) - 1] if ordered else otherwise
    failed = min(MOST_FAILED_SHARE, failures / launches) if launches else 0.0
    return min(LONGEST_REFILL_SECONDS, boot / (1 - failed))


def demands(arrivals: Sequence[float], refill: float) -> list[int]:
    """How many spares each arrival (in their order) needed to be served at once."""
    return [index - bisect_right(arrivals, at - refill, 0, index) + 1 for index, at in enumerate(arrivals)]


def needed_for(expected: float, missed_share: float) -> int:
    """How many spares are needed if so many arrivals are expected within a refill, and this share may miss: Poisson's law."""
    term = reached = math.exp(-min(expected, 700.0))
    spares = 1
    while 1 - reached > missed_share and spares < WEEK_SECONDS:
        term *= expected / spares
        reached += term
        spares += 1
    return spares


def plan_week(record: Record, base: int, policy: AdaptivePolicy) -> WeekPlan | None:
    """The cheapest week that keeps misses at the share that is wished for, and serves at once all that `base` spares would have; None while
    too little is known, and for no spares at all."""
    first = min(record.by_hour, default=record.until)
    weeks = (record.until - first) / WEEK_SECONDS
    if base <= 0 or weeks < LEAST_WEEKS or sum(record.by_hour.values()) < LEAST_ARRIVALS:
        return None
    most = max(base, policy.most)
    needed = demands(record.arrivals, record.refill_seconds)
    hours = [max(1, chance) for chance in _by_chance(record, weeks, policy.missed_share)]
    for at, demand in zip(record.arrivals, needed, strict=True):
        if demand <= base:
            for slot in _around(_slot(at)):
                hours[slot] = max(hours[slot], demand)
    hours = [min(most, hour) for hour in hours]
    _follow_habits(hours, record.arrivals, needed, most, policy.missed_share)
    led = [max(hour, hours[(slot + 1) % WEEK_HOURS]) for slot, hour in enumerate(hours)]
    return WeekPlan(_without_dips(led), record.refill_seconds)


def spares_at(now: float, plan: WeekPlan | None, recent: Sequence[float], base: int, policy: AdaptivePolicy) -> int:
    """How many spares there should be: the plan's; N where there is none, and after an arrival within the last hour; and what a rush within
    that hour needs. `recent` are the arrivals of the last hour, in their order. The fleet's cap is the pool's to keep."""
    if plan is None or base <= 0:
        return base
    recent = [at for at in recent if now - HOUR_SECONDS < at <= now]
    wanted = max(plan.at(now), base) if recent else plan.at(now)
    return max(wanted, min(max(base, policy.most), _for_rush(recent, plan.refill_seconds, policy)))


def _for_rush(recent: Sequence[float], refill: float, policy: AdaptivePolicy) -> int:
    densest = max(demands(recent, RUSH_SECONDS), default=0)
    return needed_for(densest / RUSH_SECONDS * refill, policy.missed_share) if densest >= RUSH_ARRIVALS else 0


def _by_chance(record: Record, weeks: float, missed_share: float) -> list[int]:
    """What each hour needs if people come independently of each other: as often as in that hour so far, and no less than in the three
    hours around it with one more, as an hour in which nobody came yet is no hour in which nobody ever will."""
    counts: Counter[int] = Counter()
    for start, count in record.by_hour.items():
        counts[_slot(start)] += count
    rates = [max(counts[slot] / weeks, (sum(counts[each] for each in _around(slot)) + 1) / (3 * weeks)) for slot in range(WEEK_HOURS)]
    return [needed_for(rate / HOUR_SECONDS * record.refill_seconds, missed_share) for rate in rates]


def _follow_habits(hours: list[int], arrivals: Sequence[float], needed: Sequence[int], most: int, missed_share: float) -> None:
    """Raise the hours in which a spare more would have served the most, until few enough were missed: only up to what was needed in that
    hour in two weeks at least. What came once is met when it comes."""
    missed: dict[int, list[int]] = defaultdict(list)
    weeks: dict[tuple[int, int], set[int]] = defaultdict(set)
    for at, demand in zip(arrivals, needed, strict=True):
        slot = _slot(at)
        if hours[slot] < demand <= most:
            missed[slot].append(demand)
            weeks[slot, demand].add(int(at // WEEK_SECONDS))
    steps = [step for slot, found in missed.items() for step in _steps(slot, hours[slot], sorted(found), weeks)]
    left = sum(demand > hours[_slot(at)] for at, demand in zip(arrivals, needed, strict=True)) - int(missed_share * len(arrivals))
    for _, slot, level, served in sorted(steps, key=lambda step: (-step[0], step[1], step[2])):
        if left <= 0:
            break
        hours[slot] = max(hours[slot], level)
        left -= served


def _steps(slot: int, now: int, found: Sequence[int], weeks: Mapping[tuple[int, int], set[int]]) -> list[tuple[float, int, int, int]]:
    """Ways to raise an hour: how many are served for each spare more, the hour, its new number, and how many more are served."""
    steps, served, before = [], 0, now
    for level in sorted(set(found)):
        reached = bisect_right(found, level) - served
        higher = set[int]().union(*(weeks[slot, each] for each in set(found) if each >= level))
        if len(higher) < HABIT_WEEKS:
            break
        steps.append((reached / (level - before), slot, level, reached))
        served, before = served + reached, level
    return steps


def _without_dips(hours: Sequence[int]) -> tuple[int, ...]:
    """The hours without those that lie lower than both sides for `DIP_HOURS` at most."""
    span = range(DIP_HOURS + 1)
    raised = [max(hours[(slot + each) % WEEK_HOURS] for each in span) for slot in range(WEEK_HOURS)]
    return tuple(min(raised[(slot - each) % WEEK_HOURS] for each in span) for slot in range(WEEK_HOURS))


def _around(slot: int) -> tuple[int, int, int]:
    return (slot - 1) % WEEK_HOURS, slot, (slot + 1) % WEEK_HOURS


def _slot(moment: float) -> int:
    return int(moment // HOUR_SECONDS) % WEEK_HOURS
