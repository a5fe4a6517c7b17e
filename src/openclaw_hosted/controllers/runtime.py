"""How loops run: leases, hints, back-off, shutdown. The only place that knows.

A loop is woken by a hint or by the periodic scan, rereads everything, and acts. Work under a row's lease is cancelled once the lease
can't be renewed, so that two workers never act on one row for longer than a lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, Protocol, TypeVar

import structlog

from openclaw_hosted.controllers.context import ControllerOptions
from openclaw_hosted.controllers.describing import describe, leaves
from openclaw_hosted.controllers.heartbeat import Heartbeat, LeaseStore
from openclaw_hosted.controllers.naming_lines import lines_about_row, lines_of_loop
from openclaw_hosted.domain.errors import LeaseLost, OpenClawHostedError, ProviderAway
from openclaw_hosted.domain.lifecycle import Topic
from openclaw_hosted.ports.clock import Clock, Ids
from openclaw_hosted.ports.stores import Hints, Lease, PlatformStore

log = structlog.get_logger("controllers")
RESTS = 4.0
"""How long a periodic loop rests after a tick, as a multiple of the time that the tick took."""


class HasAttempts(Protocol):
    """A row that counts failed attempts."""

    @property
    def attempts(self) -> int:
        """How many in a row."""
        ...


Row = TypeVar("Row", bound=HasAttempts)
Row_co = TypeVar("Row_co", bound=HasAttempts, covariant=True)
Row_contra = TypeVar("Row_contra", bound=HasAttempts, contravariant=True)


class WorkStore(LeaseStore, Protocol[Row_co]):
    """The part of a store that hands out rows with work."""

    async def lease_due(self, limit: int, seconds: float) -> Sequence[tuple[Row_co, Lease]]:
        """Rows with work, leased."""
        ...

    async def reschedule(self, lease: Lease, seconds: float, error: str | None, *, counts: bool = True) -> None:
        """Give one back for a while."""
        ...


class Controller(Protocol[Row_contra]):
    """Works on one leased row of a kind."""

    async def handle(self, row: Row_contra, lease: Lease) -> None:
        """Take it as far as it goes now."""
        ...

    async def fail(self, row: Row_contra, lease: Lease, error: str) -> None:
        """It has failed too often."""
        ...


class Requeue(Exception):
    """There is nothing to do for this row now; look again after so many seconds."""

    def __init__(self, after_seconds: float, reason: str | None = None) -> None:
        """`reason` is shown to the row's user meanwhile."""
        super().__init__(reason or f"look again after {after_seconds} s")
        self.after_seconds = after_seconds
        self.reason = reason


def retry_seconds(attempts: int, jitter: float, options: ControllerOptions) -> float:
    """How long to wait after so many attempts: doubling, capped, with up to a quarter of jitter. `jitter` is from 0 to 1."""
    pause = min(options.retry_base_seconds * 2 ** min(attempts, 20), options.retry_cap_seconds)
    return float(pause * (1 + jitter / 4))


class RowWorkers(Generic[Row]):
    """Works on the rows of one store, several at once."""

    def __init__(
        self, topic: Topic, store: WorkStore[Row], controller: Controller[Row], hints: Hints, ids: Ids, options: ControllerOptions
    ) -> None:
        self._topic = topic
        self._store = store
        self._controller = controller
        self._hints = hints
        self._ids = ids
        self._options = options
        self._heartbeat = Heartbeat(topic, store, options.lease_seconds)
        self._busy: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled; work under way is cancelled too, and its rows are taken up again when their leases end."""
        with lines_of_loop(self._topic):
            await self._run()

    async def _run(self) -> None:
        beating = asyncio.create_task(self._heartbeat.run(), name=f"{self._topic}: leases")
        try:
            while True:
                if not await self._take_due():
                    await self._hints.wait(self._topic, self._options.scan_seconds)
        finally:
            await _cancel({beating, *self._busy})

    async def _take_due(self) -> bool:
        """Take on what there is room for; whether there may be more. With no room, waits for some first."""
        room = self._options.workers - len(self._busy)
        if room <= 0:
            await asyncio.wait(self._busy, timeout=self._options.scan_seconds, return_when=asyncio.FIRST_COMPLETED)
            return True
        try:
            due = await self._store.lease_due(room, self._options.lease_seconds)
        except Exception as error:  # noqa: BLE001 - the other loops go on, and this one looks again
            log.warning("store does not answer", error=describe(error))
            return False
        for row, lease in due:
            task = asyncio.create_task(self._work(row, lease), name=f"{self._topic}:{lease.key}")
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)
        return len(due) == room

    async def _work(self, row: Row, lease: Lease) -> None:
        with lines_about_row(row):
            await self._work_on(row, lease)

    async def _work_on(self, row: Row, lease: Lease) -> None:
        work = asyncio.ensure_future(self._controller.handle(row, lease))
        try:
            with self._heartbeat.holding(lease, work):
                await work
        except asyncio.CancelledError:
            if not work.cancelled() or _is_cancelled():
                raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the row comes again
            await self._ended_early(row, lease, error)
        finally:
            work.cancel()

    async def _ended_early(self, row: Row, lease: Lease, error: Exception) -> None:
        reasons = leaves(error)
        if any(isinstance(reason, LeaseLost) for reason in reasons):
            log.debug("lease lost", row=lease.key)
            return
        requeues = [reason for reason in reasons if isinstance(reason, Requeue)]
        if len(requeues) == len(reasons):
            longest = max(requeues, key=lambda requeue: requeue.after_seconds)
            await self._quietly(self._store.reschedule(lease, longest.after_seconds, longest.reason, counts=False))
        elif any(isinstance(reason, ProviderAway) for reason in reasons):
            await self._quietly(self._store.reschedule(lease, self._options.away_seconds, describe(error), counts=False))
        else:
            await self._failed(row, lease, error)

    async def _failed(self, row: Row, lease: Lease, error: Exception) -> None:
        attempts = row.attempts + 1
        message = describe(error)
        log.warning("attempt failed", row=lease.key, attempt=attempts, error=message)
        if attempts >= self._options.attempts_limit:
            await self._quietly(self._controller.fail(row, lease, message))
        else:
            pause = retry_seconds(attempts - 1, self._ids.jitter(), self._options)
            await self._quietly(self._store.reschedule(lease, pause, message))

    async def _quietly(self, call: Awaitable[None]) -> None:
        try:
            await call
        except OpenClawHostedError as error:
            log.debug("result dropped", error=describe(error))
        except Exception as error:  # noqa: BLE001 - the row comes again when its lease ends
            log.warning("result dropped", error=describe(error))


class PeriodicLoop:
    """Calls `tick` on each hint and at the latest after `seconds`; alone among the replicas while it holds its named lease.

    However many hints there are, it rests for longer than it worked, so that a large fleet leaves time for everything else.
    """

    def __init__(
        self,
        name: str,
        tick: Callable[[], Awaitable[float | None]],
        platform: PlatformStore,
        hints: Hints,
        ids: Ids,
        clock: Clock,
        options: ControllerOptions,
        seconds: float,
    ) -> None:
        self._name = name
        self._tick = tick
        self._platform = platform
        self._hints = hints
        self._token = ids.token()
        self._clock = clock
        self._options = options
        self._seconds = seconds

    async def run(self) -> None:
        """Tick until cancelled, then give the lease back."""
        with lines_of_loop(self._name):
            await self._run()

    async def _run(self) -> None:
        lease: Lease | None = None
        try:
            while True:
                pause, began = self._seconds, self._clock.monotonic()
                try:
                    lease = await self._platform.acquire(self._name, self._token, self._options.lease_seconds)
                    if lease is not None:
                        async with asyncio.timeout(self._options.lease_seconds * 0.8):
                            pause = min(pause, await self._tick() or pause)
                except Exception as error:  # noqa: BLE001 - the next tick starts afresh
                    log.warning("tick failed", error=describe(error))
                await self._clock.sleep(min(self._seconds, RESTS * (self._clock.monotonic() - began)))
                await self._hints.wait(self._name, pause)
        finally:
            if lease is not None:
                await self._give_back(lease)

    async def _give_back(self, lease: Lease) -> None:
        try:
            await asyncio.shield(self._platform.release(lease))
        except OpenClawHostedError:
            log.debug("lease not given back")


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def run_together(*loops: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run loops side by side until cancelled."""
    async with asyncio.TaskGroup() as group:
        for loop in loops:
            group.create_task(loop())
