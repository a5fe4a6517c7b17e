"""Tallying: writes into the history what this process counted of itself, once a minute and at its end.

Each process does it for itself. What can't be written is kept for the next time, as far as the tally's bound goes. A process that dies
takes the last minute with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from openclaw_hosted.controllers.describing import describe
from openclaw_hosted.domain.history import rolled_up
from openclaw_hosted.domain.tally import Tally
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.stores import HistoryStore

log = structlog.get_logger("tallying")
EVERY_SECONDS: Final = 60.0


class Tallying:
    """Writes what one tally has."""

    def __init__(self, tally: Tally, history: HistoryStore, clock: Clock) -> None:
        self._tally = tally
        self._history = history
        self._clock = clock

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write for the length of the block, and at its end."""
        task = asyncio.create_task(self._run(), name="tallying")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.write()

    async def write(self) -> None:
        """Write once. Raises nothing: counting is no reason to stop."""
        parts = self._tally.take()
        if not parts:
            return
        try:
            await self._history.add_tallied(rolled_up(parts), self._clock.now())
        except asyncio.CancelledError:
            self._tally.give_back(parts)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the next time may do better
            self._tally.give_back(parts)
            log.warning("tally not written", error=describe(error))

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(EVERY_SECONDS)
            await self.write()
