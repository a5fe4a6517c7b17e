"""The production store on SQLite in memory, by the world's clock.

One connection does everything, and no statement waits for anything, so a call has its whole effect at one moment. Triggers note which
rows a transaction wrote; once it is committed, they are read again and handed on as domain values.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext
from functools import cache
from types import SimpleNamespace
from typing import Any, Final

from sqlalchemy import Float, delete, event, insert, literal_column
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import StaticPool
from sqlalchemy.sql.elements import ColumnElement

from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.store import tables
from openclaw_hosted.store.database import Database
from openclaw_hosted.store.platform import to_pool_memory
from openclaw_hosted.store.rows import to_event, to_instance, to_machine, to_session, to_step, to_user, to_volume
from openclaw_hosted.store.sqlite import InlineConnection
from simulation.link import run_now
from simulation.rows import POOL_ROW, Rows

_VALUES: Final[dict[str, Callable[[Any], Any]]] = {
    "users": to_user,
    "sessions": to_session,
    "machines": to_machine,
    "instances": to_instance,
    "volumes": to_volume,
    "steps": lambda row: (InstanceId(row.instance_id), to_step(row)),
    "events": to_event,
    "pool": to_pool_memory,
}
"""The tables that are watched, in the order in which their rows are handed on, and what a row is to the domain."""


class SimulatedDatabase(Database):
    """`Database` without files, threads or waiting. There is one in each process; each run empties it."""

    def __init__(self) -> None:
        self.url, self.is_sqlite, self.creating = "sqlite:///:memory:", True, nullcontext()
        self._clock: Callable[[], float] = lambda: 0.0
        self._driver = sqlite3.connect(":memory:", isolation_level=None, cached_statements=512)
        self._driver.create_function("simulated_now", 0, lambda: self._clock())  # noqa: PLW0108 - each run has its own
        self._driver.execute("PRAGMA foreign_keys=ON")
        self._watched = self._driver.cursor()
        self._watched.row_factory = _named
        self._connection = run_now(self._connect())
        self.rows = Rows()

    @property
    def now(self) -> ColumnElement[float]:
        """The world's clock."""
        return literal_column("simulated_now()", Float)

    def begin_anew(self, clock: Callable[[], float]) -> Rows:
        """Empty it, and count by this clock from now on. Returns the rows, which follow each transaction."""
        self._clock, self.rows = clock, Rows()
        run_now(self._empty())
        return self.rows

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: all of it, or on an error nothing."""
        async with self._transaction() as connection:
            yield connection
        self.rows.committed(self._written())

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """For reading."""
        async with self._transaction() as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        transaction = await self._connection.begin()
        try:
            yield self._connection
        except BaseException:
            await transaction.rollback()
            raise
        await transaction.commit()

    async def _connect(self) -> AsyncConnection:
        async def connection() -> InlineConnection:
            return await InlineConnection(lambda: self._driver, iter_chunk_size=64)

        engine = create_async_engine("sqlite+aiosqlite://", async_creator=connection, poolclass=StaticPool)

        @event.listens_for(engine.sync_engine, "begin")
        def _begin(connection: Any) -> None:
            connection.connection.dbapi_connection.run_async(lambda driver: driver.execute("BEGIN"))

        made = await engine.connect()
        async with made.begin():
            await made.run_sync(tables.metadata.create_all)
        self._driver.execute("CREATE TABLE written (name TEXT, key, UNIQUE (name, key) ON CONFLICT IGNORE)")
        for name in _VALUES:
            for verb, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
                note = f"INSERT INTO written VALUES ('{name}', {row}.{_key(name)})"  # noqa: S608 - our own names
                self._driver.execute(f"CREATE TRIGGER {name}_{verb} AFTER {verb} ON {name} BEGIN {note}; END")
        return made

    async def _empty(self) -> None:
        async with self.write() as connection:
            for table in reversed(tables.metadata.sorted_tables):
                await connection.execute(delete(table))
            await connection.execute(insert(tables.pool).values(id=POOL_ROW))

    def _written(self) -> Iterator[tuple[str, Any, Any]]:
        """Table, key and value of each row that the last transaction wrote."""
        written = self._driver.execute("SELECT name, key FROM written ORDER BY rowid").fetchall()
        self._driver.execute("DELETE FROM written")
        for name, value_of in _VALUES.items():
            for key in (key for written_name, key in written if written_name == name):
                row = self._watched.execute(f"SELECT * FROM {name} WHERE {_key(name)} = ?", (key,)).fetchone()  # noqa: S608 - our own names
                yield name, key, None if row is None else value_of(row)


@cache
def of_this_process() -> SimulatedDatabase:
    """The one of this process: its statements are put together once."""
    return SimulatedDatabase()


def _key(name: str) -> str:
    (column,) = tables.metadata.tables[name].primary_key
    return str(column.name)


def _named(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> SimpleNamespace:
    return SimpleNamespace(**{column[0]: value for column, value in zip(cursor.description, values, strict=True)})
