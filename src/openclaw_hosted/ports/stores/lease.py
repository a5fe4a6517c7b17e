"""What a worker holds while it works on a row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """A row held by one worker until `expires_at` (the store's clock)."""

    key: str
    token: str
    expires_at: float
