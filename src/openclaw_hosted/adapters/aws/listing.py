"""One listing for all that ask at the same time: looking at each thing by itself costs a call each, and listings grow with the fleet.

One that takes long serves longer, so that looking takes a small share of the time however large the fleet is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from openclaw_hosted.ports.clock import Clock

Item = TypeVar("Item")
RESTS: Final = 5.0
"""How long what was seen serves at least, as a multiple of the time that the look took."""


class SharedListing(Generic[Item]):
    """What `look` last answered. Whoever asks while it is on its way waits, and shares the one that begins then."""

    def __init__(self, look: Callable[[], Awaitable[Sequence[Item]]], clock: Clock) -> None:
        self._look = look
        self._clock = clock
        self._looking = asyncio.Lock()
        self._seen: Sequence[Item] = ()
        self._began_at: float | None = None
        self._took = 0.0
        self._forgotten_at: float | None = None

    async def get(self, newer_than: float) -> Sequence[Item]:
        """As it was at most `newer_than` seconds ago, or a little more where a look takes long, and not before `forget`; with 0 as it is
        now, whatever others forget meanwhile."""
        asked_at = self._clock.monotonic()
        async with self._looking:
            if not self._serves(asked_at, newer_than):
                began_at = self._clock.monotonic()
                self._seen = await self._look()
                self._began_at, self._took = began_at, self._clock.monotonic() - began_at
            return self._seen

    def forget(self) -> None:
        """Something was changed: what was seen before serves nobody any more."""
        self._forgotten_at = self._clock.monotonic()

    def _serves(self, asked_at: float, newer_than: float) -> bool:
        age = max(newer_than, RESTS * self._took) if newer_than else 0.0
        if self._began_at is None or self._began_at <= asked_at - age:
            return False
        return newer_than == 0 or self._forgotten_at is None or self._began_at > self._forgotten_at
