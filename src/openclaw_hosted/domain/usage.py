"""What an OpenClaw has used of its model, day by day, as OpenClaw counts it itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

DAYS_SHOWN: Final = 14


@dataclass(frozen=True, slots=True)
class DayOfUse:
    """One day in UTC."""

    date: str
    """Such as `2026-11-30`."""
    tokens: int
    usd: float
    """What OpenClaw estimates from the model's list price; 0 where it knows none."""


def tokens_of(days: Sequence[DayOfUse]) -> int:
    """All tokens together."""
    return sum(day.tokens for day in days)


def usd_of(days: Sequence[DayOfUse]) -> float:
    """All estimates together."""
    return sum(day.usd for day in days)
