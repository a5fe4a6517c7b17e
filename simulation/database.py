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

from sqlalchemy import Connection, CursorResult, Float, create_engine, delete, event, insert, literal_column
from sqlalchemy.pool import StaticPool
from sqlalchemy.sql.elements import ColumnElement

from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.store import tables
from openclaw_hosted.store.database import Database
from openclaw_hosted.store.platform import to_pool_memory
from openclaw_hosted.store.rows import to_event, to_instance, to_machine, to_restore_point, to_session, to_step, to_user, to_volume
from simulation.link import run_now
from simulation.rows import POOL_ROW, Rows

_VALUES: Final[dict[str, Callable[[Any], Any]]] = {
    "users": to_user,
    "sessions": to_session,
    "machines": to_machine,
    "instances": to_instance,
    "volumes": to_volume,
    "restore_points": to_restore_point,
    "steps": lambda row: (InstanceId(row.instance_id), to_step(row)),
    "events": to_event,
    "pool": to_pool_memory,
}
"""The tables that are watched, in the order in which their rows are handed on, and what a row is to the domain."""


class Inline:
    """A connection that is awaited for nothing, in place of SQLAlchemy's asynchronous one."""

    def __init__(self, connection: Connection) -> None:
        self.begin = connection.begin
        self._connection = connection

    async def execute(self, *arguments: Any) -> CursorResult[Any]:
        """Run a statement."""
        return self._connection.execute(*arguments)


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
        self._connection = self._connect()
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
    async def write(self) -> AsyncIterator[Any]:
        """A transaction: all of it, or on an error nothing."""
        async with self._transaction() as connection:
            yield connection
        self.rows.committed(self._written())

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Any]:
        """For reading."""
        async with self._transaction() as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Any]:
        with self._connection.begin():
            yield self._connection

    def _connect(self) -> Inline:
        engine = create_engine("sqlite://", creator=lambda: self._driver, poolclass=StaticPool)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        connection = engine.connect()
        with connection.begin():
            tables.metadata.create_all(connection)
        self._driver.execute("CREATE TABLE written (name TEXT, key, UNIQUE (name, key) ON CONFLICT IGNORE)")
        for name in _VALUES:
            for verb, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
                note = f"INSERT INTO written VALUES ('{name}', {row}.{_key(name)})"  # noqa: S608 - our own names
                self._driver.execute(f"CREATE TRIGGER {name}_{verb} AFTER {verb} ON {name} BEGIN {note}; END")
        return Inline(connection)

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
