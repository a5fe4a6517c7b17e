"""What a stretch of history knows of durations and of calls. Both add up exactly, in any order."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, NamedTuple

BOUNDS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 1800.0)
"""Upper bounds of the histograms of durations, in seconds; one more slot takes what is longer."""


def slot_of(seconds: float) -> int:
    """The slot of `BOUNDS` that a duration falls into."""
    return bisect_left(BOUNDS, seconds)


def within(slots: Sequence[int], share: float) -> float | None:
    """The bound within which this share of durations ended, in seconds; None without any. `slots` counts them by slot."""
    whole = sum(slots)
    if not whole:
        return None
    return BOUNDS[min(bisect_left(list(accumulate(slots)), share * whole), len(BOUNDS) - 1)]


@dataclass(frozen=True, slots=True)
class Durations:
    """How long something took, each time. `slots` counts by slot of `BOUNDS`."""

    milliseconds: int = 0
    """In all."""
    slots: Mapping[int, int] = field(default_factory=dict)

    def __add__(self, other: Durations) -> Durations:
        return Durations(self.milliseconds + other.milliseconds, dict(Counter(self.slots) + Counter(other.slots)))

    @property
    def count(self) -> int:
        """How often."""
        return sum(self.slots.values())

    @property
    def dense(self) -> tuple[int, ...]:
        """The count of each slot, the one of what is longest included."""
        return tuple(self.slots.get(slot, 0) for slot in range(len(BOUNDS) + 1))

    def within(self, share: float) -> float | None:
        """See the function."""
        return within(self.dense, share)


def lasted(seconds: float) -> Durations:
    """One duration."""
    return Durations(round(seconds * 1000), {slot_of(seconds): 1})


class Calls(NamedTuple):
    """How often a call to the cloud was made, and what came of it. That something is not there, or is there already, is an answer."""

    made: int = 0
    """All, repetitions included."""
    failed: int = 0
    """Refused, or without an answer, but for those that were throttled."""
    throttled: int = 0

    def plus(self, other: Calls) -> Calls:
        """Both together."""
        return Calls(self.made + other.made, self.failed + other.failed, self.throttled + other.throttled)
