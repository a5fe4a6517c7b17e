"""SQLite without threads.

aiosqlite runs each call of its driver on a thread of the connection, four calls for a statement, and the hops cost ten times what SQLite
itself does. A statement on a local file takes microseconds, so it runs right here; a transaction can't be cancelled inside a statement
then. Only a connection or a transaction may have to wait for another process, and that is awaited.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Generator
from typing import Any, Final

import aiosqlite

BUSY_SECONDS: Final = 15.0
"""How long a transaction waits for another process's."""
PAUSE_SECONDS: Final = 0.005


class InlineConnection(aiosqlite.Connection):
    """aiosqlite's connection on the thread of its loop."""

    def __await__(self) -> Generator[Any, None, InlineConnection]:
        self._connection = self._connector()
        yield from ()
        return self

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    def stop(self) -> None:
        """Close it, where that was not done."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


async def connect_inline(path: str, *, enforce_references: bool = True) -> InlineConnection:
    """A connection that commits only when told, with the write-ahead log in use."""
    made = InlineConnection(lambda: sqlite3.connect(path, isolation_level=None, timeout=0, cached_statements=512), iter_chunk_size=64)
    await made
    await run_once_free(made, "PRAGMA journal_mode=WAL")
    for pragma in ("synchronous=NORMAL", f"foreign_keys={'ON' if enforce_references else 'OFF'}"):
        await made.execute(f"PRAGMA {pragma}")
    return made


async def run_once_free(connection: aiosqlite.Connection, statement: str) -> None:
    """Run what may have to wait for another process. Raises `sqlite3.OperationalError` where it takes too long."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor = await connection.execute(statement)
        except sqlite3.OperationalError as error:
            if not str(error).startswith("database is locked") or time.monotonic() > deadline:
                raise
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            await cursor.close()
            return
