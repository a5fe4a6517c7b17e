"""One database, SQLite or Postgres, and transactions on it.

On SQLite all writes go through one connection with `BEGIN IMMEDIATE`, so there is one writer and no 'database is locked'.
"""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

import asyncpg
from sqlalchemy import Float, event, literal_column, text
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.util import LRUCache

from openclaw_hosted.domain.errors import NoRoom, TakesNoWrites, Unavailable
from openclaw_hosted.store.sqlite import connect_inline, run_once_free

FLEET_LOCK = 7_331_001
CREATE_LOCK = 7_331_002
ACCOUNT_LOCK = 7_331_003
PASSING_SQLSTATES = ("08", "25P03", "40", "53", "57P")
"""Lost connections, transactions left open, deadlocks, exhausted resources, a server that stops or starts: undone, ask again."""
DISK_FULL_SQLSTATE = "53100"
READ_ONLY_SQLSTATE = "25006"
CREATES_AT_ONCE = 8
"""How many creates may stand in the queue of SQLite's one writer, where controllers stand as well: those that came before get on."""
COMPILED_STATEMENTS = 1000
"""How many statements for SQLite are kept in the form in which they are sent; there are some 500."""
OPEN_TRANSACTION_SECONDS = 5
"""After this long without a statement Postgres undoes a transaction: a process that was stopped in one must not keep its locks."""


def plain_url(url: str) -> str:
    """`url` without a driver's name, as `psql` and `asyncpg.connect` read it; `ssl` is SQLAlchemy's word for `sslmode`."""
    parsed = make_url(url)
    family = parsed.drivername.split("+")[0]
    query = {("sslmode" if name == "ssl" else name): value for name, value in parsed.query.items()}
    plain = parsed.set(drivername="postgresql" if family == "postgres" else family, query=query)
    return plain.render_as_string(hide_password=False)


def now_of(*, is_sqlite: bool) -> ColumnElement[float]:
    """The database's own clock, in seconds since the epoch."""
    sql = "(julianday('now') - 2440587.5) * 86400.0" if is_sqlite else "extract(epoch from clock_timestamp())::double precision"
    return literal_column(f"({sql})", Float)


class Database:
    """Engines and transactions."""

    def __init__(self, url: str, *, enforce_references: bool = True) -> None:
        """SQLite can rebuild a table that others refer to only while references are not enforced."""
        self.url = plain_url(url)
        self.is_sqlite = self.url.startswith("sqlite")
        if self.is_sqlite:
            self._writer = _sqlite_engine(self.url, "BEGIN IMMEDIATE", pool_size=1, enforce_references=enforce_references)
            self._reader = _sqlite_engine(self.url, None, pool_size=4)
        else:
            self._writer = _postgres_engine(self.url)
            self._reader = self._writer.execution_options(isolation_level="AUTOCOMMIT")
        self._write_lock = asyncio.Lock() if self.is_sqlite else None
        self.creating: AbstractAsyncContextManager[None] = asyncio.Semaphore(CREATES_AT_ONCE) if self.is_sqlite else nullcontext()
        """Held by each create."""

    @property
    def now(self) -> ColumnElement[float]:
        """The database's own clock, in seconds since the epoch."""
        return now_of(is_sqlite=self.is_sqlite)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes; committed at the end, rolled back on any error."""
        with _translated():
            if self._write_lock is None:
                async with self._writer.begin() as connection:
                    yield connection
                return
            async with self._write_lock, self._writer.begin() as connection:
                yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """For reading, without a transaction: each statement sees what is committed by then."""
        with _translated():
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def read_at_one_moment(self) -> AsyncIterator[AsyncConnection]:
        """For reading rows that have to fit each other, all as they were when the first was read."""
        if self.is_sqlite:
            async with self.read() as connection:
                await connection.exec_driver_sql("BEGIN")
                yield connection
            return
        engine = self._writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with _translated():
            async with engine.begin() as connection:
                await connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
                yield connection

    async def lock(self, connection: AsyncConnection, number: int) -> None:
        """Hold an exclusive lock until the end of the transaction; SQLite's writer has it anyway."""
        if not self.is_sqlite:
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({number})")

    async def lock_shared(self, connection: AsyncConnection, number: int, owner: str) -> None:
        """Hold a lock that many may hold while nobody has it to itself, and one that is the owner's alone; until the transaction ends."""
        if not self.is_sqlite:
            locks = "SELECT pg_advisory_xact_lock_shared(:number), pg_advisory_xact_lock(:low, hashtext(:owner))"
            await connection.execute(text(locks), {"number": number, "low": number, "owner": owner})

    async def close(self) -> None:
        """Close all connections."""
        await self._writer.dispose()
        await self._reader.dispose()


class _translated:  # noqa: N801 - reads as a phrase
    """Turns the driver's connection failures into `Unavailable`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if _has_no_room(error):
            raise NoRoom from error
        if _sqlstate(error) == READ_ONLY_SQLSTATE:
            raise TakesNoWrites from error
        if _is_passing(error):
            raise Unavailable("The database does not answer. Try again in a minute.") from error


def _is_passing(error: BaseException | None) -> bool:
    if isinstance(error, OperationalError | sqlite3.OperationalError | OSError | PoolTimeout):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return _sqlstate(error).startswith(PASSING_SQLSTATES)


def _has_no_room(error: BaseException | None) -> bool:
    cause = _cause(error)
    full = isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return full or _sqlstate(error) == DISK_FULL_SQLSTATE or (isinstance(cause, OSError) and cause.errno == errno.ENOSPC)


def _sqlstate(error: BaseException | None) -> str:
    """What Postgres calls an error; empty for any other."""
    state = getattr(_cause(error), "sqlstate", None) if isinstance(error, DBAPIError | asyncpg.PostgresError) else None
    return state if isinstance(state, str) else ""


def _cause(error: BaseException | None) -> BaseException | None:
    """The driver's own error."""
    return error.orig if isinstance(error, DBAPIError) else error


def _postgres_engine(url: str) -> AsyncEngine:
    server_settings = {"idle_in_transaction_session_timeout": f"{OPEN_TRANSACTION_SECONDS}s"}

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(url, server_settings=server_settings)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, pool_size=20, max_overflow=10)

    @event.listens_for(engine.sync_engine, "checkout")
    def _replace_if_closed(connection: Any, _record: Any, _proxy: Any) -> None:
        """The driver knows when the server has ended a connection; asking the server each time would cost three round trips."""
        if connection.driver_connection.is_closed():
            raise DisconnectionError

    return engine


class _SqliteDialect(SQLiteDialect_aiosqlite):
    """Each engine has one of its own. They are equal, since all speak to the same SQLite, so a statement is compiled once for all."""

    supports_statement_cache = True

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))


registry.register("sqlite.shared", __name__, _SqliteDialect.__name__)
_COMPILED = LRUCache[Any, Any](COMPILED_STATEMENTS)


def _sqlite_engine(url: str, begin: str | None, pool_size: int, *, enforce_references: bool = True) -> AsyncEngine:
    path = make_url(url).database or ":memory:"
    engine = create_async_engine(
        "sqlite+shared://",
        async_creator=lambda: connect_inline(path, enforce_references=enforce_references),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=60,
        execution_options={"compiled_cache": _COMPILED},
    )

    if begin is not None:

        @event.listens_for(engine.sync_engine, "begin")
        def _begin(connection: Any) -> None:
            connection.connection.dbapi_connection.run_async(lambda driver: run_once_free(driver, begin))

    return engine
