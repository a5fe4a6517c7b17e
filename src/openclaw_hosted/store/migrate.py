"""Bring a database to the schema of this version."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from openclaw_hosted.domain.errors import StateConflict
from openclaw_hosted.store.database import CREATE_LOCK, Database

MIGRATIONS = Path(__file__).parent / "migrations"


async def migrate(url: str) -> None:
    """Upgrade to the newest schema; does nothing where it is there. Raises `StateConflict` for a database of a newer version."""
    database = Database(url)
    try:
        async with database.write() as connection:
            await database.lock(connection, CREATE_LOCK)
            await connection.run_sync(_upgrade)
    finally:
        await database.close()


def newest_schema() -> str:
    """The revision that this version works with."""
    return ScriptDirectory.from_config(_config()).get_current_head() or "none"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise StateConflict(
            f"The database was written by a newer version of OpenClaw Hosted (schema {current}). "
            "Install that version again, or choose another data directory."
        )
    command.upgrade(config, "head")
