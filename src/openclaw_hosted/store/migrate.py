"""Bring a database to the schema of this version."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from openclaw_hosted.domain.errors import StateConflict, Unavailable
from openclaw_hosted.store.database import CREATE_LOCK, Database

MIGRATIONS = Path(__file__).parent / "migrations"
NOTHING_THERE = "There is no platform in the database of DATABASE_URL. Start one: openclaw-hosted up"


async def migrate(url: str, *, create: bool = True, revision: str = "head") -> None:
    """Upgrade to the newest schema, or to an earlier `revision`; does nothing where it is there.

    Raises `StateConflict` for a database of a newer version, and `Unavailable` for one without tables, unless it is to `create` them.
    """
    if not create and _is_missing_file(url):
        raise Unavailable(NOTHING_THERE)
    database = Database(url, enforce_references=False)
    try:
        async with database.write() as connection:
            await database.lock(connection, CREATE_LOCK)
            changed = await connection.run_sync(_upgrade, create=create, revision=revision)
            if changed and database.is_sqlite:
                await _check_references(connection)
    finally:
        await database.close()


async def _check_references(connection: AsyncConnection) -> None:
    broken = (await connection.exec_driver_sql("PRAGMA foreign_key_check")).mappings().first()
    if broken is not None:
        raise StateConflict(f"The database is damaged: a row of {broken['table']} refers to one of {broken['parent']} that is not there.")


def newest_schema() -> str:
    """The revision that this version works with."""
    return ScriptDirectory.from_config(_config()).get_current_head() or "none"


def _is_missing_file(url: str) -> bool:
    parsed = make_url(url)
    return parsed.drivername.startswith("sqlite") and not Path(parsed.database or "").is_file()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection, *, create: bool, revision: str = "head") -> bool:
    """Whether there was anything to do."""
    config = _config()
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise StateConflict(
            f"The database was written by a newer version of OpenClaw Hosted (schema {current}). "
            "Install that version again, or choose another data directory."
        )
    if current is None and not create:
        raise Unavailable(NOTHING_THERE)
    command.upgrade(config, revision)
    return current != MigrationContext.configure(connection).get_current_revision()
