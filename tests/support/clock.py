"""Clocks that tests move."""

from __future__ import annotations

import asyncio
import threading
import time

from openclaw_hosted.adapters.system import SystemClock
from tests.support.waiting import PATIENCE_SECONDS

HURRY = 10.0
EPOCH = 1_790_000_000.0
"""When a loop's time was 0."""


class HurriedClock(SystemClock):
    """Pauses, polls, graces and patience take a tenth of their time: for what runs against servers and threads of its own.

    Their time can't be moved. The date stays true, since rows, leases and the lab compare theirs with it.
    """

    def monotonic(self) -> float:
        return super().monotonic() * HURRY

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / HURRY)


class LoopClock:
    """The time of the running loop. In a test with the marker `looptime`, a loop that waits for nothing but time moves it on."""

    def now(self) -> float:
        return EPOCH + self.monotonic()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class MovedTime:
    """Stands in one module for the module `time`: a test moves it, and lets go on what sleeps."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.slept: list[float] = []
        self.sleeps, self.goes_on = threading.Event(), threading.Event()

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.sleeps.set()
        assert self.goes_on.wait(PATIENCE_SECONDS)
