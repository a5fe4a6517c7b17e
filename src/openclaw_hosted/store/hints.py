"""Hints within this process, and on Postgres between replicas by LISTEN and NOTIFY."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import asyncpg
from sqlalchemy import text

from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.lifecycle import Topic
from openclaw_hosted.ports.stores import Hints
from openclaw_hosted.store.database import Database

CHANNEL = "openclaw_hosted"
RECONNECT_SECONDS = 2.0
_NOTIFY = text("SELECT pg_notify(:channel, payload) FROM unnest(CAST(:payloads AS text[])) AS payload")


async def hint_all(hints: Hints, topics: Iterable[Topic]) -> None:
    """Wake all of these, in a fixed order."""
    for topic in sorted(topics):
        await hints.hint(topic)


class LocalHints:
    """`Hints` within one process. Each waiter hears of every hint given since its last wait."""

    def __init__(self) -> None:
        self._given: Counter[str] = Counter()
        self._heard: dict[tuple[str, int], int] = {}
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)

    async def hint(self, topic: str) -> None:
        self._given[topic] += 1
        for waiter in self._waiting.pop(topic, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, topic: str, timeout_seconds: float) -> bool:
        waiter = (topic, id(asyncio.current_task()))
        seen = self._heard.get(waiter, self._given[topic])
        if self._given[topic] == seen:
            await self._next(topic, timeout_seconds)
        self._remember(waiter)
        return self._heard[waiter] > seen

    async def close(self) -> None:
        """Nothing is held."""

    async def _next(self, topic: str, timeout_seconds: float) -> None:
        given = asyncio.get_running_loop().create_future()
        self._waiting[topic].add(given)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await given
        finally:
            self._waiting[topic].discard(given)

    def _remember(self, waiter: tuple[str, int]) -> None:
        if waiter not in self._heard and (task := asyncio.current_task()) is not None:
            task.add_done_callback(lambda _: self._heard.pop(waiter, None))
        self._heard[waiter] = self._given[waiter[0]]


class PostgresHints(LocalHints):
    """`Hints` for all replicas on one Postgres. While it does not answer, hints reach this process only."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self._sender = secrets.token_hex(8)
        self._unsent: set[str] = set()
        self._notifier: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = asyncio.create_task(self._listen())

    async def hint(self, topic: str) -> None:
        await super().hint(topic)
        self._unsent.add(topic)
        if self._notifier is None or self._notifier.done():
            self._notifier = asyncio.create_task(self._notify())

    async def _notify(self) -> None:
        """Tell the others of all topics that came up, in as few statements as it takes."""
        while self._unsent:
            payloads = [f"{self._sender} {topic}" for topic in sorted(self._unsent)]
            self._unsent.clear()
            with contextlib.suppress(Unavailable):
                async with self._database.read() as connection:
                    await connection.execute(_NOTIFY, {"channel": CHANNEL, "payloads": payloads})

    async def close(self) -> None:
        for task in (self._listener, self._notifier):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self._listen_once(self._database.url)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen_once(self, url: str) -> None:
        connection = await asyncpg.connect(url)
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        try:
            await connection.add_listener(CHANNEL, self._heard_from_elsewhere)
            await ended.wait()
        finally:
            await connection.close(timeout=2)

    def _heard_from_elsewhere(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        sender, _, topic = payload.partition(" ")
        if sender == self._sender:
            return
        task = asyncio.get_running_loop().create_task(super().hint(topic))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
