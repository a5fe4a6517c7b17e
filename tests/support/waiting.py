"""Waiting for what another process does."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")

PATIENCE_MS = 600_000
"""For what a page shows in the end. Long, so that a busy machine fails nothing: how fast it is, is for the benchmarks."""
PATIENCE_SECONDS = 600.0
"""For everything else that has to come in the end."""


def run_apart(work: Coroutine[Any, Any, Result]) -> Result:
    """Run it in a thread of its own: Playwright's synchronous API keeps a loop running in the test's."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def until(
    condition: Callable[[], object | Awaitable[object]], timeout_seconds: float = PATIENCE_SECONDS, every: float = 0.05
) -> None:
    """Wait until the condition, plain or async, holds."""
    async with asyncio.timeout(timeout_seconds):
        while True:
            answer = condition()
            if await answer if inspect.isawaitable(answer) else answer:
                return
            await asyncio.sleep(every)
