"""How loops run: leases, hints, back-off, shutdown. The only place that knows.

A loop is woken by a hint or by the periodic scan, rereads everything, and acts. Work under a row's lease is cancelled once the lease
can't be renewed, so that two workers never act on one row for longer than a lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, Protocol, TypeVar

import structlog

from openclaw_hosted.controllers.ports import ControllerOptions
from openclaw_hosted.domain.errors import LeaseLost, OpenClawHostedError, ProviderAway
from openclaw_hosted.domain.foreign import plain_text
from openclaw_hosted.ports.clock import Clock, Ids
from openclaw_hosted.ports.stores import Hints, Lease, PlatformStore

log = structlog.get_logger("controllers")
RESTS = 4.0
"""How long a periodic loop rests after a tick, as a multiple of the time that the tick took."""
Row = TypeVar("Row")
Row_co = TypeVar("Row_co", covariant=True)


class WorkStore(Protocol[Row_co]):
    """The part of a store that hands out rows with work."""

    async def lease_due(self, limit: int, seconds: float) -> Sequence[tuple[Row_co, Lease]]:
        """Rows with work, leased."""
        ...

    async def renew(self, lease: Lease, seconds: float) -> Lease:
        """Hold one longer."""
        ...

    async def put_off(self, lease: Lease, seconds: float, error: str | None, *, counts: bool = True) -> None:
        """Give one back for a while."""
        ...


class Waiting(Exception):
    """There is nothing to do for this row now; look again in `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"waiting {seconds} s")
        self.seconds = seconds


def retry_seconds(attempts: int, jitter: float, options: ControllerOptions) -> float:
    """How long to wait after so many attempts: doubling, capped, with up to a quarter of jitter. `jitter` is from 0 to 1."""
    pause = min(options.retry_base_seconds * 2 ** min(attempts, 20), options.retry_cap_seconds)
    return float(pause * (1 + jitter / 4))


class RowWorkers(Generic[Row]):
    """Works on the rows of one store, several at once."""

    def __init__(
        self,
        name: str,
        topic: str,
        store: WorkStore[Row],
        handle: Callable[[Row, Lease], Awaitable[None]],
        give_up: Callable[[Row, Lease, str], Awaitable[None]],
        attempts_of: Callable[[Row], int],
        hints: Hints,
        ids: Ids,
        options: ControllerOptions,
    ) -> None:
        self._name = name
        self._topic = topic
        self._store = store
        self._handle = handle
        self._give_up = give_up
        self._attempts_of = attempts_of
        self._hints = hints
        self._ids = ids
        self._options = options
        self._busy: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled; work under way is cancelled too, and its rows are taken up again when their leases end."""
        try:
            while True:
                if not await self._take_due():
                    await self._hints.wait(self._topic, self._options.scan_seconds)
        finally:
            await _cancel(self._busy)

    async def _take_due(self) -> bool:
        """Take on what there is room for; whether there may be more. With no room, waits for some first."""
        room = self._options.workers - len(self._busy)
        if room <= 0:
            await asyncio.wait(self._busy, timeout=self._options.scan_seconds, return_when=asyncio.FIRST_COMPLETED)
            return True
        try:
            due = await self._store.lease_due(room, self._options.lease_seconds)
        except Exception as error:  # noqa: BLE001 - the other loops go on, and this one looks again
            log.warning("store does not answer", loop=self._name, error=describe(error))
            return False
        for row, lease in due:
            task = asyncio.create_task(self._work(row, lease), name=f"{self._name}:{lease.key}")
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)
        return len(due) == room

    async def _work(self, row: Row, lease: Lease) -> None:
        work = asyncio.ensure_future(self._handle(row, lease))
        renewals = asyncio.create_task(self._keep(lease, work))
        try:
            await work
        except asyncio.CancelledError:
            if not work.cancelled() or _is_cancelled():
                raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the row comes again
            await self._ended_early(row, lease, error)
        finally:
            renewals.cancel()
            work.cancel()

    async def _ended_early(self, row: Row, lease: Lease, error: Exception) -> None:
        reasons = leaves(error)
        if any(isinstance(reason, LeaseLost) for reason in reasons):
            log.debug("lease lost", loop=self._name, row=lease.key)
            return
        waiting = [reason.seconds for reason in reasons if isinstance(reason, Waiting)]
        if len(waiting) == len(reasons):
            await self._quietly(self._store.put_off(lease, max(waiting), None))
        elif any(isinstance(reason, ProviderAway) for reason in reasons):
            await self._quietly(self._store.put_off(lease, self._options.away_seconds, describe(error), counts=False))
        else:
            await self._failed(row, lease, error)

    async def _failed(self, row: Row, lease: Lease, error: Exception) -> None:
        attempts = self._attempts_of(row) + 1
        message = describe(error)
        log.warning("attempt failed", loop=self._name, row=lease.key, attempt=attempts, error=message)
        if attempts >= self._options.attempts_limit:
            await self._quietly(self._give_up(row, lease, message))
        else:
            pause = retry_seconds(attempts - 1, self._ids.jitter(), self._options)
            await self._quietly(self._store.put_off(lease, pause, message))

    async def _keep(self, lease: Lease, work: asyncio.Future[None]) -> None:
        """Renew the lease until it is lost, or has run out while the store did not answer."""
        loop, seconds = asyncio.get_running_loop(), self._options.lease_seconds
        held_until = loop.time() + seconds
        while True:
            await asyncio.sleep(min(seconds / 3, held_until - loop.time()))
            try:
                async with asyncio.timeout_at(held_until):
                    began = loop.time()
                    await self._store.renew(lease, seconds)
                    held_until = began + seconds
            except LeaseLost:
                work.cancel()
                return
            except (OpenClawHostedError, TimeoutError) as error:
                log.warning("lease not renewed", loop=self._name, row=lease.key, error=describe(error))
            if loop.time() >= held_until:
                work.cancel()
                return

    async def _quietly(self, call: Awaitable[None]) -> None:
        try:
            await call
        except OpenClawHostedError as error:
            log.debug("result dropped", loop=self._name, error=describe(error))
        except Exception as error:  # noqa: BLE001 - the row comes again when its lease ends
            log.warning("result dropped", loop=self._name, error=describe(error))


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
                    log.warning("tick failed", loop=self._name, error=describe(error))
                await self._clock.sleep(min(self._seconds, RESTS * (self._clock.monotonic() - began)))
                await self._hints.wait(self._name, pause)
        finally:
            if lease is not None:
                await self._give_back(lease)

    async def _give_back(self, lease: Lease) -> None:
        try:
            await asyncio.shield(self._platform.release(lease))
        except OpenClawHostedError:
            log.debug("lease not given back", loop=self._name)


def describe(error: BaseException) -> str:
    """An error in one line for people; a stranger's error by its kind alone, since its text may hold anything."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(sorted({describe(leaf) for leaf in leaves(error)}))
    if isinstance(error, TimeoutError):
        return "It took too long."
    return plain_text(str(error)) if isinstance(error, OpenClawHostedError) else f"Unexpected {type(error).__name__}."


def leaves(error: BaseException) -> list[BaseException]:
    """The exceptions in a group, however nested; of any other, itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


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
