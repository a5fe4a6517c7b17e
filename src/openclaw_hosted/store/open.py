"""All stores on one database."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, text

from openclaw_hosted.store import tables
from openclaw_hosted.store.accounts import SqlAccounts
from openclaw_hosted.store.adoption import SqlAdoption
from openclaw_hosted.store.alarms import SqlAlarms
from openclaw_hosted.store.console import SqlConsole
from openclaw_hosted.store.database import Database
from openclaw_hosted.store.hints import LocalHints, PostgresHints
from openclaw_hosted.store.history import SqlHistory
from openclaw_hosted.store.instances import SqlInstances
from openclaw_hosted.store.machines import SqlMachines
from openclaw_hosted.store.migrants import SqlMigrations
from openclaw_hosted.store.migrate import migrate
from openclaw_hosted.store.news import SqlNews
from openclaw_hosted.store.platform import SqlPlatform
from openclaw_hosted.store.restore_points import SqlRestorePoints
from openclaw_hosted.store.webhooks import SqlWebhooks


@dataclass(frozen=True, slots=True)
class Store:
    """The stores of one database."""

    database: Database
    machines: SqlMachines
    instances: SqlInstances
    accounts: SqlAccounts
    platform: SqlPlatform
    restore_points: SqlRestorePoints
    adoption: SqlAdoption
    hints: LocalHints
    migrations: SqlMigrations
    webhooks: SqlWebhooks
    alarms: SqlAlarms
    history: SqlHistory
    console: SqlConsole
    news: SqlNews

    async def ping(self) -> None:
        """Raise `Unavailable` where the database does not answer."""
        async with self.database.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def check_writing(self) -> None:
        """Raise `Unavailable`, with the reason, where the database takes no writes. Looks anew every few seconds at most."""
        await self.platform.check_writing()

    async def mark(self) -> str:
        """What tells this platform from others on the same host: a few letters, made with the database."""
        async with self.database.read() as connection:
            return str((await connection.execute(select(tables.identity.c.mark))).scalar_one())

    async def aclose(self) -> None:
        """Close all connections."""
        await self.hints.close()
        await self.database.close()


async def open_store(database_url: str, *, upgrade: bool = True, create: bool = True) -> Store:
    """Open a database, brought to this version's schema first. Raises `StateConflict` for one of a newer version, and `Unavailable` for
    an empty one, unless its tables are to be created."""
    if upgrade:
        await migrate(database_url, create=create)
    database = Database(database_url)
    hints = LocalHints() if database.is_sqlite else PostgresHints(database)
    return Store(
        database,
        SqlMachines(database, hints),
        SqlInstances(database, hints),
        SqlAccounts(database),
        SqlPlatform(database, hints),
        SqlRestorePoints(database, hints),
        SqlAdoption(database, hints),
        hints,
        SqlMigrations(database),
        SqlWebhooks(database),
        SqlAlarms(database, hints),
        SqlHistory(database),
        SqlConsole(database),
        SqlNews(database),
    )
