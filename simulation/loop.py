"""An event loop whose time is virtual: it jumps to the next timer instead of waiting, and runs everything in one fixed order.

No threads, no sockets, no signals. What belongs to a process of the simulation runs in a context that names it, so that the loop can
hold back all of it while that process is stopped, as SIGSTOP does.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVarTuple

MANY_CANCELLED = 200
Arguments = TypeVarTuple("Arguments")


@dataclass(eq=False)
class Process:
    """A process of the simulation, as far as the loop knows it."""

    number: int
    is_stopped: bool = False
    held_back: list[asyncio.Handle] = field(default_factory=list)


PROCESS: contextvars.ContextVar[Process] = contextvars.ContextVar("process")


class Stalled(Exception):
    """Nothing is left to run, and nothing will ever be."""


class NumberedTask(asyncio.Task[Any]):
    """A task whose hash is its number, so that sets of tasks are iterated in the same order in each process."""

    def __init__(self, number: int, coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **options: Any) -> None:
        self.number = number
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self.number


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs what is ready in the order in which it became so; when nothing is, time goes on to the next timer."""

    _ready: deque[asyncio.Handle]
    _stopping: bool

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._tasks_made = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timers_made = 0
        self._timers_cancelled = 0
        self.set_task_factory(self._new_task)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def call_soon(
        self, callback: Callable[[*Arguments], object], *args: *Arguments, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Run it after all that is ready now."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Arguments], object], *args: *Arguments, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Run it so many seconds from now."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Arguments], object], *args: *Arguments, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Run it then; of several at one moment, the one that was asked for first."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers_made += 1
        heapq.heappush(self._timers, (when, self._timers_made, timer))
        return timer

    def _timer_handle_cancelled(self, _: asyncio.TimerHandle) -> None:
        self._timers_cancelled += 1

    def _new_task(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        self._tasks_made += 1
        return NumberedTask(self._tasks_made, coro, loop=loop, **options)

    def _run_once(self) -> None:
        if self._timers_cancelled > MANY_CANCELLED:
            self._timers = [entry for entry in self._timers if not entry[2].cancelled()]
            heapq.heapify(self._timers)
            self._timers_cancelled = 0
        timers, ready = self._timers, self._ready
        if not ready and not self._stopping:
            if not timers:
                raise Stalled("Nothing is left to run.")
            self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle.cancelled():
                continue
            process = handle._context.get(PROCESS)  # type: ignore[attr-defined]
            if process is not None and process.is_stopped:
                process.held_back.append(handle)
            else:
                handle._run()

    def resume(self, process: Process) -> None:
        """Let a stopped process go on with all that became ready meanwhile."""
        process.is_stopped = False
        self._ready.extend(process.held_back)
        process.held_back.clear()


def run(work: Coroutine[Any, Any, None], loop: VirtualLoop) -> None:
    """Run it to its end, and close the loop. Garbage is not collected meanwhile: it would come at another moment each time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()
        if was_enabled:
            gc.enable()
