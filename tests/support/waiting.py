"""Waiting for what another process does."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], object | Awaitable[object]], timeout_seconds: float = 10.0, every: float = 0.02) -> None:
    """Wait until the condition, plain or async, holds."""
    async with asyncio.timeout(timeout_seconds):
        while True:
            answer = condition()
            if await answer if inspect.isawaitable(answer) else answer:
                return
            await asyncio.sleep(every)
