"""How often something may be done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """So many times within a window, and how many are left. `resets_seconds` says when the next one that was used counts no more."""

    name: str
    most: int
    window_seconds: float
    remaining: int
    resets_seconds: float
