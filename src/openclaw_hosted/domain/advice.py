"""How many spares would have been enough: recorded arrivals, replayed against other numbers of spares, by day and by night.

A spare that is taken is replaced by a machine that is ready `boot_seconds` later. An arrival that finds none ready is a miss: its user
waits for the next one that is.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

HOUR_SECONDS: Final = 3600.0
DAY_HOURS: Final = 24
DAYTIME_HOURS: Final = 12
MOST_SPARES: Final = 10
MISSED_SHARE: Final = 0.01
LEAST_ARRIVALS: Final = 20
"""Fewer say nothing."""


class Scheduled(Protocol):
    """Says how many spares there should be, hour by hour."""

    def at(self, moment: float) -> int:
        """How many there should be at that time, in seconds since the epoch."""
        ...


@dataclass(frozen=True, slots=True)
class Schedule:
    """`by_day` spares for twelve hours from `day_begins`, an hour of the day in UTC; `by_night` for the others."""

    by_day: int
    by_night: int
    day_begins: int = 0

    def at(self, moment: float) -> int:
        """How many there should be at that time, in seconds since the epoch."""
        return self.by_day if (_hour(moment) - self.day_begins) % DAY_HOURS < DAYTIME_HOURS else self.by_night

    @property
    def mean(self) -> float:
        """How many there should be on average, which is what is paid for."""
        return (self.by_day + self.by_night) / 2


@dataclass(frozen=True, slots=True)
class Replay:
    """What a schedule would have meant."""

    schedule: Schedule
    misses: int


@dataclass(frozen=True, slots=True)
class Advice:
    """What was seen, and the cheapest schedule that would have missed no more than the present one, nor more than is wished for."""

    arrivals: int
    boot_seconds: float
    now: Replay
    best: Replay

    @property
    def spares_saved(self) -> float:
        """On average; negative where more are advised."""
        return self.now.schedule.mean - self.best.schedule.mean


def replay(arrivals: Sequence[float], schedule: Scheduled, boot_seconds: float) -> int:
    """How many of these arrivals (in seconds since the epoch, in their order) would have found no spare."""
    return sum(missed(arrivals, schedule, boot_seconds))


def missed(arrivals: Sequence[float], schedule: Scheduled, boot_seconds: float) -> Iterator[bool]:
    """Of each arrival, in their order, whether it would have found no spare."""
    if not arrivals:
        return
    target = schedule.at(arrivals[0])
    ready = [arrivals[0]] * target
    moment = arrivals[0]
    for arrival in arrivals:
        while (turn := _next_hour(moment)) <= arrival:
            target, moment = _resized(ready, target, schedule.at(turn), turn, boot_seconds), turn
        moment = arrival
        yield not ready or ready[0] > arrival
        if ready:
            heapq.heapreplace(ready, arrival + boot_seconds)


def advise(arrivals: Sequence[float], spares: int, boot_seconds: float, missed_share: float = MISSED_SHARE) -> Advice | None:
    """The cheapest schedule with at most this share of misses, and never more of them than `spares` at all times would have had; where no
    schedule is that good, the one with the fewest. None for fewer than `LEAST_ARRIVALS`."""
    if len(arrivals) < LEAST_ARRIVALS:
        return None
    always = Schedule(spares, spares)
    now = Replay(always, replay(arrivals, always, boot_seconds))
    found = [now, *(Replay(schedule, replay(arrivals, schedule, boot_seconds)) for schedule in _schedules(_busiest(arrivals), spares))]
    limit = min(now.misses, int(missed_share * len(arrivals)))
    good = [each for each in found if each.misses <= limit]
    if good:
        best = min(good, key=lambda each: (each.schedule.mean, each.misses))
    else:
        best = min(found, key=lambda each: (each.misses, each.schedule.mean))
    return Advice(len(arrivals), boot_seconds, now, best)


def _schedules(begins: int, spares: int) -> Sequence[Schedule]:
    """One spare at least: that nobody came at night for a week does not mean that nobody will."""
    most = range(1, max(MOST_SPARES, spares) + 1)
    return [Schedule(day, night, begins) for day in most for night in range(1, day + 1)]


def _busiest(arrivals: Sequence[float]) -> int:
    """When the twelve hours of a day begin in which most arrive."""
    hours = Counter(_hour(arrival) for arrival in arrivals)
    return max(range(DAY_HOURS), key=lambda begins: sum(hours[(begins + each) % DAY_HOURS] for each in range(DAYTIME_HOURS)))


def _resized(ready: list[float], before: int, after: int, moment: float, boot_seconds: float) -> int:
    """The pool with another target: missing machines are launched, and the least advanced ones let go of."""
    for _ in range(after - before):
        heapq.heappush(ready, moment + boot_seconds)
    if after < before:
        ready[:] = sorted(ready)[: max(0, len(ready) - (before - after))]
    return after


def _hour(moment: float) -> int:
    return int(moment // HOUR_SECONDS) % DAY_HOURS


def _next_hour(moment: float) -> float:
    return (moment // HOUR_SECONDS + 1) * HOUR_SECONDS
