"""How often something may be tried."""

from __future__ import annotations

from collections import deque

from openclaw_hosted.domain.errors import LimitReached
from openclaw_hosted.ports.clock import Clock


class AttemptLimiter:
    """So many attempts for one key in a window of time, then a pause. Kept in memory: a restart forgives."""

    def __init__(self, clock: Clock, attempts: int, window_seconds: float, refusal: str) -> None:
        self._clock = clock
        self._attempts = attempts
        self._window = window_seconds
        self._refusal = refusal
        self._seen: dict[str, deque[float]] = {}

    def check(self, *keys: str) -> None:
        """Raise `LimitReached` when any of the keys was counted too often of late."""
        if any(len(self._recent(key)) >= self._attempts for key in keys):
            raise LimitReached(self._refusal)

    def count(self, *keys: str) -> None:
        """Count one attempt."""
        for key in keys:
            self._seen.setdefault(key, deque(maxlen=self._attempts)).append(self._clock.monotonic())

    def forgive(self, *keys: str) -> None:
        """Forget the attempts."""
        for key in keys:
            self._seen.pop(key, None)

    def _recent(self, key: str) -> deque[float]:
        seen = self._seen.get(key, deque())
        while seen and seen[0] < self._clock.monotonic() - self._window:
            seen.popleft()
        if not seen:
            self._seen.pop(key, None)
        return seen
