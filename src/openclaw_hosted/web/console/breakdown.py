"""What the overview says of a whole stretch of time: how long each step took, and which calls to the cloud fared how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from openclaw_hosted.domain.history import Bucket, together
from openclaw_hosted.domain.instance import StepName
from openclaw_hosted.domain.measures import Calls
from openclaw_hosted.domain.words import STEP_WORDS
from openclaw_hosted.web.console.plots import HALF, MOST

BAR: Final = 100
"""How long the longest bar is."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """How long a step took, in seconds, and as bars."""

    name: StepName
    label: str
    count: int
    half: float
    most: float
    half_bar: float
    most_bar: float


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Steps in their order, and calls with those in trouble first, then the most frequent."""

    steps: Sequence[StepRow]
    calls: Sequence[tuple[str, Calls]]


def breakdown_of(series: Sequence[tuple[int, Bucket]]) -> Breakdown:
    """Of all of it."""
    whole = together(bucket for _, bucket in series)
    known = [(step, took.count, took.within(HALF) or 0.0, took.within(MOST) or 0.0) for step, took in whole.steps.items() if took.count]
    longest = max((most for _, _, _, most in known), default=0.0) or 1.0
    rows = {
        step: StepRow(step, STEP_WORDS[step], count, half, most, round(BAR * half / longest, 1), round(BAR * most / longest, 1))
        for step, count, half, most in known
    }
    calls = sorted(whole.calls.items(), key=lambda call: (-call[1].failed - call[1].throttled, -call[1].made, call[0]))
    return Breakdown([rows[step] for step in StepName if step in rows], calls)
