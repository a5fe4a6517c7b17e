"""Cancelling work at each of its awaits in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from itertools import count
from typing import Any


async def cancelled_at(work: Coroutine[Any, Any, Any], number: int, *, answered: bool) -> bool:
    """Run it as a task, cancelled when it waits for the `number`th time, from 0: before what it waits for comes, or once it has.

    Whether it waited so often; where it did not, it ran to its end.
    """
    attempt = _Attempt(work, number, answered=answered)
    await asyncio.gather(attempt, return_exceptions=True)
    return attempt.was_cancelled


class _Attempt:
    def __init__(self, work: Coroutine[Any, Any, Any], number: int, *, answered: bool) -> None:
        self._work, self._number, self._answered = work, number, answered
        self.was_cancelled = False

    def __await__(self) -> Generator[Any, None, Any]:
        go_on = partial(self._work.send, None)
        for waited in count():
            try:
                awaited = go_on()
            except StopIteration as done:
                return done.value
            cancels = waited == self._number
            self.was_cancelled = self.was_cancelled or cancels
            if cancels and not self._answered and (task := asyncio.current_task()) is not None:
                task.cancel()
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 - handed on to the work
                go_on = partial(self._work.throw, error)
            else:
                go_on = partial(self._work.throw, asyncio.CancelledError()) if cancels else partial(self._work.send, None)
        return None
