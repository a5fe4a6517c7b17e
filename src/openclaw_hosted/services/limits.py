"""How often something may be tried."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

from openclaw_hosted.domain.errors import LimitReached
from openclaw_hosted.domain.quota import Quota
from openclaw_hosted.ports.clock import Clock

KEYS_KEPT: Final = 10_000
"""The most keys that a limiter remembers; beyond it the one that was counted longest ago is forgotten."""


class Attempts:
    """The attempts of late, by key. Kept in memory: a restart forgets them."""

    def __init__(self, clock: Clock, most: int, window_seconds: float) -> None:
        self._clock = clock
        self._most = most
        self._window = window_seconds
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def recent(self, key: str) -> int:
        """How many were counted within the window, `most` at most."""
        seen = self._seen.get(key)
        if seen is None:
            return 0
        while seen and seen[0] < self._clock.monotonic() - self._window:
            seen.popleft()
        if not seen:
            del self._seen[key]
        return len(seen)

    def resets_in(self, key: str) -> float:
        """After how many seconds the oldest that counts will count no more; 0 where none does."""
        if not self.recent(key):
            return 0.0
        return max(0.0, self._seen[key][0] + self._window - self._clock.monotonic())

    def is_full(self, key: str) -> bool:
        """Whether there were as many as there may be."""
        return self.recent(key) >= self._most

    def add(self, key: str) -> None:
        """Count one."""
        self._seen.setdefault(key, deque(maxlen=self._most)).append(self._clock.monotonic())
        self._seen.move_to_end(key)
        if len(self._seen) > KEYS_KEPT:
            self._seen.popitem(last=False)

    def take_back(self, key: str) -> None:
        """Uncount the newest one."""
        seen = self._seen.get(key)
        if seen:
            seen.pop()
        if seen is not None and not seen:
            del self._seen[key]

    def forget(self, key: str) -> None:
        """Uncount all."""
        self._seen.pop(key, None)


class AttemptLimiter:
    """So many attempts for one key in a window of time, then a pause."""

    def __init__(self, name: str, clock: Clock, attempts: int, window_seconds: float, refusal: str) -> None:
        """`name` tells clients which limit this is."""
        self._name = name
        self._most = attempts
        self._window_seconds = window_seconds
        self._attempts = Attempts(clock, attempts, window_seconds)
        self._refusal = refusal

    def take(self, key: str) -> None:
        """Count one attempt. Raises `LimitReached` when there were too many."""
        if self._attempts.is_full(key):
            raise LimitReached(self._refusal, self.quota(key))
        self._attempts.add(key)

    def quota(self, key: str) -> Quota:
        """What is left for a key."""
        remaining = self._most - self._attempts.recent(key)
        return Quota(self._name, self._most, self._window_seconds, remaining, self._attempts.resets_in(key))
