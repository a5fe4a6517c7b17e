"""Renews all leases that a process holds on rows of a kind, in one call, and ends work whose lease is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from openclaw_hosted.controllers.describing import describe
from openclaw_hosted.domain.errors import OpenClawHostedError
from openclaw_hosted.ports.stores import Lease

log = structlog.get_logger("controllers")
BEATS = 3
"""How often a lease is renewed while it would last."""


class LeaseStore(Protocol):
    """The part of a store that keeps leases."""

    async def renew(self, leases: Sequence[Lease], seconds: float) -> Collection[str]:
        """Hold them longer; the keys of those that are still held."""
        ...


@dataclass(slots=True)
class _Held:
    lease: Lease
    work: asyncio.Future[Any]
    until: float
    """When it runs out, by the loop's time, for all that this process knows."""


class Heartbeat:
    """The leases of one kind of row. Work ends when its lease is lost, or has run out while the store did not answer."""

    def __init__(self, name: str, store: LeaseStore, seconds: float) -> None:
        self._name = name
        self._store = store
        self._seconds = seconds
        self._held: dict[tuple[str, str], _Held] = {}
        self._some = asyncio.Event()

    @contextmanager
    def holding(self, lease: Lease, work: asyncio.Future[Any]) -> Iterator[None]:
        """Keep the lease, which was just taken, for the length of the block; `work` is cancelled where that fails."""
        self._held[_key(lease)] = _Held(lease, work, asyncio.get_running_loop().time() + self._seconds)
        self._some.set()
        try:
            yield
        finally:
            self._held.pop(_key(lease), None)

    async def run(self) -> None:
        """Beat until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._held:
                self._some.clear()
                await self._some.wait()
            ends = min(held.until for held in self._held.values())
            await asyncio.sleep(min(self._seconds / BEATS, max(0.0, ends - loop.time())))
            if self._held:
                await self._beat(list(self._held.values()))

    async def _beat(self, held: Sequence[_Held]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout_at(min(each.until for each in held)):
                kept = await self._store.renew([each.lease for each in held], self._seconds)
        except (OpenClawHostedError, TimeoutError) as error:
            log.warning("leases not renewed", rows=len(held), error=describe(error))
        else:
            for each in held:
                each.until = began + (self._seconds if each.lease.key in kept else 0.0)
        for each in held:
            if loop.time() >= each.until:
                self._held.pop(_key(each.lease), None)
                each.work.cancel()


def _key(lease: Lease) -> tuple[str, str]:
    return lease.key, lease.token
