"""Spares without the control plane: arrivals from a seed, machines that boot, and how many users find none.

The whole control plane is simulated elsewhere (docs/simulation.md), for some minutes of few users. Here only what decides about spares is
counted, event by event, so that a million users and weeks of them take seconds: who comes when, how long machines boot, which launches
fail. The numbers of spares come from the production code, `domain/adaptive.py`.
"""

from __future__ import annotations

import heapq
import math
import random
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Final

from openclaw_hosted.domain.adaptive import (
    DAY_SECONDS,
    HOUR_SECONDS,
    LOOK_BACK_WEEKS,
    WEEK_SECONDS,
    AdaptivePolicy,
    Record,
    WeekPlan,
    plan_week,
    refill_seconds,
    spares_at,
)
from openclaw_hosted.services.targeting import MOST_ARRIVALS, MOST_RECENT

CREATES_A_WEEK: Final = 0.125
"""Of a user: one instance in eight weeks."""
LEARNED_WEEKS: Final = 4
COUNTED_WEEKS: Final = 4
BOOT_SECONDS: Final = 150.0
"""The median."""
BOOT_SPREAD: Final = 0.25
"""Of the logarithm."""
LOOK_SECONDS: Final = 60.0
"""How often the pool is looked at where nobody comes."""
BY_HOUR: Final = (1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 20, 19, 16, 17, 19, 19, 17, 14, 11, 9, 8, 6, 4, 2)
"""How many come in an hour of a working day, relative to others."""
WEEKEND: Final = 0.35
LAUNCH_DAYS_APART: Final = 14
LAUNCH_DAY_SHARE: Final = 0.2
"""Of a week's users, who come within two hours."""
RETRY_SECONDS: Final = 60.0
FAILED_SHARE: Final = 0.05
OUTAGE_SECONDS: Final = 3600.0
OUTAGE_DAYS_APART: Final = 7


class Weather(StrEnum):
    """What happens beside the rhythm of days and weeks."""

    CALM = "daily rhythm"
    LAUNCH_DAYS = "launch days"
    FAILURES = "failures"


@dataclass(frozen=True, slots=True)
class Past:
    """What is given by a seed. Times are seconds from the first week's beginning."""

    arrivals: Sequence[float]
    outages: Sequence[float]
    """When each hour began in which no machine could be had."""
    failed_share: float
    seed: int


@dataclass(slots=True)
class Outcome:
    """What came of a policy in the weeks that count."""

    arrivals: int = 0
    misses: int = 0
    waited_seconds: float = 0.0
    """By all that missed."""
    spare_seconds: float = 0.0
    """Of machines without a user, which boot or are ready."""

    @property
    def spares(self) -> float:
        """On average."""
        return self.spare_seconds / (COUNTED_WEEKS * WEEK_SECONDS)


def past_of(users: int, weather: Weather, seed: int) -> Past:
    """The same for the same seed."""
    chance = random.Random(f"{users} {weather} {seed}")  # noqa: S311 - the same arrivals each time
    weeks, weekly = LEARNED_WEEKS + COUNTED_WEEKS, users * CREATES_A_WEEK
    rates = [share * (WEEKEND if day in (5, 6) else 1.0) for day in range(7) for share in BY_HOUR]
    found = [
        (week * 168 + hour + chance.random()) * HOUR_SECONDS
        for week in range(weeks)
        for hour, rate in enumerate(rates)
        for _ in range(_poisson(chance, weekly * rate / sum(rates)))
    ]
    if weather is Weather.LAUNCH_DAYS:
        for day in range(7, weeks * 7, LAUNCH_DAYS_APART):
            begins = (day + chance.randrange(7)) * DAY_SECONDS + chance.uniform(9, 18) * HOUR_SECONDS
            found += [begins + 7200 * chance.random() ** 2 for _ in range(_poisson(chance, weekly * LAUNCH_DAY_SHARE))]
    days = range(0, weeks * 7, OUTAGE_DAYS_APART) if weather is Weather.FAILURES else ()
    outages = [(day + 7 * chance.random()) * DAY_SECONDS for day in days]
    return Past(sorted(found), sorted(outages), FAILED_SHARE if weather is Weather.FAILURES else 0.0, seed)


@dataclass(slots=True)
class Pool:
    """Machines that boot or are ready, and users who wait."""

    past: Past
    chance: random.Random
    ready: int = 0
    booting: list[float] = field(default_factory=list)
    """When each is ready; a heap."""
    waiting: deque[float] = field(default_factory=deque)
    boots: list[float] = field(default_factory=list)
    launches: int = 0
    failures: int = 0

    def keep(self, now: float, spares: int) -> None:
        """Launch what is missing, and let go of what is too much, the least advanced first."""
        missing = spares + len(self.waiting) - self.ready - len(self.booting)
        for _ in range(missing):
            heapq.heappush(self.booting, now + self._boot(now))
        if missing < 0:
            kept = max(0, len(self.booting) + missing)
            self.ready += min(0, len(self.booting) + missing)
            self.booting = sorted(self.booting)[:kept]

    def _boot(self, now: float) -> float:
        """How long a launch takes until a machine is there: again after each that failed."""
        at, self.launches = now, self.launches + 1
        while self._fails(at):
            at, self.launches, self.failures = at + RETRY_SECONDS, self.launches + 1, self.failures + 1
        took = BOOT_SECONDS * math.exp(self.chance.gauss(0.0, BOOT_SPREAD))
        self.boots.append(took)
        return at + took - now

    def _fails(self, at: float) -> bool:
        index = bisect_right(self.past.outages, at) - 1
        return (index >= 0 and at < self.past.outages[index] + OUTAGE_SECONDS) or self.chance.random() < self.past.failed_share


def live(past: Past, base: int, policy: AdaptivePolicy | None) -> Outcome:
    """Four weeks in which the pool is watched and learns, with `base` spares, and four that count: with `base` again, or as learned."""
    pool, outcome = Pool(past, random.Random(past.seed)), Outcome()  # noqa: S311
    learned_until = LEARNED_WEEKS * WEEK_SECONDS
    plan: WeekPlan | None = None
    planned_for, last, spares = -1.0, 0.0, base
    for now, is_arrival in _moments(past.arrivals):
        counts = now >= learned_until
        _pass(pool, last, now, outcome if counts else None)
        if policy is not None and counts and now // DAY_SECONDS != planned_for:
            planned_for = now // DAY_SECONDS
            plan = plan_week(_record(past.arrivals, planned_for * DAY_SECONDS, pool), base, policy)
        if is_arrival:
            outcome.arrivals += counts
            if pool.ready:
                pool.ready -= 1
            else:
                pool.waiting.append(now)
                outcome.misses += counts
        if policy is not None and counts and (not is_arrival or len(past.arrivals) < MOST_ARRIVALS):
            end = bisect_right(past.arrivals, now)
            recent = past.arrivals[max(bisect_left(past.arrivals, now - HOUR_SECONDS), end - MOST_RECENT) : end]
            spares = spares_at(now, plan, recent, base, policy)
        pool.keep(now, spares)
        last = now
    return outcome


def watched(past: Past) -> Record:
    """What was recorded in the weeks before those that count, with machines that boot as they do."""
    pool = Pool(past, random.Random(past.seed))  # noqa: S311
    for _ in range(200):
        pool.keep(0.0, len(pool.booting) + 1)
    return _record(past.arrivals, LEARNED_WEEKS * WEEK_SECONDS, pool)


def _moments(arrivals: Sequence[float]) -> Iterator[tuple[float, bool]]:
    """Each arrival, and each look at the pool, in their order."""
    looks = ((number * LOOK_SECONDS, False) for number in range(int((LEARNED_WEEKS + COUNTED_WEEKS) * WEEK_SECONDS / LOOK_SECONDS)))
    return heapq.merge(looks, ((at, True) for at in arrivals))


def _pass(pool: Pool, last: float, now: float, outcome: Outcome | None) -> None:
    """Time goes on: machines become ready, and who waits gets them first."""
    turns = [last]
    held = [pool.ready + len(pool.booting)]
    while pool.booting and pool.booting[0] <= now:
        at = heapq.heappop(pool.booting)
        if pool.waiting:
            waited = at - pool.waiting.popleft()
            if outcome is not None:
                outcome.waited_seconds += waited
        else:
            pool.ready += 1
        turns.append(at)
        held.append(pool.ready + len(pool.booting))
    if outcome is not None:
        outcome.spare_seconds += sum(count * (end - begin) for count, (begin, end) in zip(held, pairwise([*turns, now]), strict=True))


def _record(arrivals: Sequence[float], until: float, pool: Pool) -> Record:
    first = until - LOOK_BACK_WEEKS * WEEK_SECONDS
    begin, end = bisect_left(arrivals, first), bisect_left(arrivals, until)
    by_hour = Counter({int(first + hour * HOUR_SECONDS): 0 for hour in range(LOOK_BACK_WEEKS * 168)})
    by_hour.update(int(at // HOUR_SECONDS * HOUR_SECONDS) for at in arrivals[begin:end])
    refill = refill_seconds(pool.boots[-2000:], pool.launches, pool.failures, BOOT_SECONDS)
    return Record(until, arrivals[max(begin, end - MOST_ARRIVALS) : end], by_hour, refill)


def _poisson(chance: random.Random, expected: float) -> int:
    if expected > 500:
        return max(0, round(chance.gauss(expected, math.sqrt(expected))))
    count, reached, limit = 0, chance.random(), math.exp(-expected)
    while reached > limit:
        count, reached = count + 1, reached * chance.random()
    return count
