"""The database as one SQLite file, whichever it is, and such a file back into SQLite or Postgres."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final

from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from openclaw_hosted.domain.errors import NotFound, StateConflict, Unavailable
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.domain.volume import VolumeState
from openclaw_hosted.ports.backups import DatabaseSnapshot
from openclaw_hosted.store import tables
from openclaw_hosted.store.database import Database
from openclaw_hosted.store.migrate import migrate, newest_schema
from openclaw_hosted.store.words import one_of

ROWS_AT_ONCE: Final = 500
BUSY_SECONDS: Final = 30.0
_V = tables.volumes.c
SQLITE, POSTGRES = "sqlite", "postgresql"


async def snapshot(url: str, target: Path) -> DatabaseSnapshot:
    """Write what the database holds at one moment to `target`, a new file. It may be in use.

    Raises `NotFound` where there is no database, `StateConflict` for a Postgres whose schema is not of this version.
    """
    source = Database(url)
    try:
        if source.is_sqlite:
            await asyncio.to_thread(_copy_file, _file_of(source.url), target)
        else:
            await _dump(source, target)
    finally:
        await source.close()
    return await asyncio.to_thread(_look, target, SQLITE if source.is_sqlite else POSTGRES)


async def upgrade_file(path: Path) -> None:
    """Bring a snapshot to the schema of this version, and forget who was working on what, and restore points, which it does
    not hold. Raises `StateConflict` for a newer one."""
    url = _url_of(path)
    await migrate(url)
    database = Database(url)
    try:
        async with database.write() as connection:
            await connection.execute(tables.leases.delete())
            await connection.execute(tables.restore_points.delete())
            for wanted, state in ((_V.mark == _V.instance_id, VolumeState.WANTED), (_V.mark != "", VolumeState.MADE)):
                settled = update(tables.volumes).where(one_of(_V.state, (VolumeState.RESTORING, VolumeState.MOVING)), wanted)
                await connection.execute(settled.values(state=state, point_id=None, mark=""))
            for table in (tables.machines, tables.instances, tables.webhooks):
                await connection.execute(update(table).values(lease_token=None, lease_expires_at=0.0, next_attempt_at=0.0))
    finally:
        await database.close()
    await asyncio.to_thread(_fold_log, path)


@asynccontextmanager
async def loading(path: Path, url: str) -> AsyncIterator[None]:
    """Put an upgraded snapshot into an empty database; nothing of it stays unless the block ends well.

    Raises `StateConflict` for a database that is not empty.
    """
    await migrate(url)
    source, target = Database(_url_of(path)), Database(url)
    try:
        async with source.read() as reading, target.write() as writing:
            await _check_empty(writing)
            await _copy_rows(reading, writing)
            if not target.is_sqlite:
                await _advance_sequences(writing)
            yield
    finally:
        await source.close()
        await target.close()


async def check_empty(url: str) -> None:
    """Raise `StateConflict` for a database with rows of a platform in it; changes nothing."""
    database = Database(url)
    try:
        async with database.read() as connection:
            if await connection.run_sync(lambda sync: sync.dialect.has_table(sync, tables.users.name)):
                await _check_empty(connection)
    finally:
        await database.close()


async def _dump(source: Database, target: Path) -> None:
    """All rows in one read-only transaction, so that they fit each other."""
    await migrate(_url_of(target))
    copy = Database(_url_of(target))
    try:
        async with source.read_at_one_moment() as reading:
            schema = await reading.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
            if schema != newest_schema():
                raise StateConflict(
                    f"The database has schema {schema}, this version {newest_schema()}. Start the platform once, then repeat."
                )
            async with copy.write() as writing:
                await _copy_rows(reading, writing)
    finally:
        await copy.close()
    await asyncio.to_thread(_fold_log, target)


async def _copy_rows(reading: AsyncConnection, writing: AsyncConnection) -> None:
    """Every table, those first that others refer to; what migrations put into the target is replaced."""
    for table in reversed(tables.metadata.sorted_tables):
        await writing.execute(table.delete())
    for table in tables.metadata.sorted_tables:
        rows = await reading.stream(select(table))
        async for batch in rows.mappings().partitions(ROWS_AT_ONCE):
            await writing.execute(insert(table), [_values(row) for row in batch])


def _values(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}


async def _advance_sequences(connection: AsyncConnection) -> None:
    """Ids that Postgres gives out next come after those that were loaded."""
    for table in (tables.events, tables.steps, tables.deliveries):
        last = (await connection.execute(select(func.max(table.c.id)))).scalar()
        if last is not None:
            await connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), :last)"), {"last": last})


async def _check_empty(connection: AsyncConnection) -> None:
    for table in (tables.users, tables.instances, tables.machines):
        if (await connection.execute(select(func.count()).select_from(table))).scalar_one():
            raise StateConflict("The database is not empty: a platform uses it already. Give an empty one in DATABASE_URL.")


def _copy_file(source: Path, target: Path) -> None:
    """What was deleted does not come along, as it would with a copy of the file."""
    if not source.is_file():
        raise NotFound(f"There is no database at {source}. Is this the data directory, and is DATABASE_URL set as for the platform?")
    try:
        with closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as live:
            live.execute("VACUUM INTO ?", (str(target),))
        _fold_log(target)
    except sqlite3.Error as error:
        raise Unavailable(f"The database can't be copied: {error}.") from None


def _fold_log(path: Path) -> None:
    """One file, without a write-ahead log beside it."""
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    path.chmod(0o600)


def _look(path: Path, source: str) -> DatabaseSnapshot:
    with closing(sqlite3.connect(path)) as connection:
        (schema,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        instances = frozenset(InstanceId(row[0]) for row in connection.execute("SELECT id FROM instances"))
    return DatabaseSnapshot(str(schema), source, instances)


def _url_of(path: Path) -> str:
    return f"sqlite:///{path.absolute()}"


def _file_of(url: str) -> Path:
    return Path(make_url(url).database or "").absolute()
