"""Fresh SQLite databases, and time that a store counts by its database's clock, moved."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import event

from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.store import Store, migrate, open_store, tables
from tests.support.waiting import run_apart


@cache
def empty_database() -> bytes:
    """A database of the newest schema without a row. Migrated once for all tests of a process."""
    with tempfile.TemporaryDirectory(prefix="och-sqlite-") as folder:
        path = Path(folder) / "platform.sqlite"
        run_apart(migrate(f"sqlite:///{path}"))
        return path.read_bytes()


def new_database(path: Path) -> str:
    """Put a fresh database of the newest schema there; its address."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(empty_database())
    return f"sqlite:///{path}"


async def new_store(path: Path, clock: Clock | None = None) -> Store:
    """The stores of a fresh database there, which counts its leases by this clock."""
    store = await open_store(new_database(path), upgrade=False)
    if clock is not None:
        _count_by(store, clock)
    return store


async def leases_run_out(store: Store) -> None:
    """All that a killed control plane held is free, as it is once its leases have ended."""
    async with store.database.write() as connection:
        for work in (tables.instances, tables.machines, tables.webhooks):
            await connection.execute(work.update().where(work.c.lease_token.is_not(None)).values(lease_expires_at=0))
        await connection.execute(tables.leases.update().values(expires_at=0))


def _count_by(store: Store, clock: Clock) -> None:
    def julian_day(_: str) -> float:
        return clock.now() / 86400.0 + 2440587.5

    def set_clock(connection: Any, _: object) -> None:
        connection.driver_connection._conn.create_function("julianday", 1, julian_day)

    for engine in (store.database._writer, store.database._reader):
        event.listen(engine.sync_engine, "connect", set_clock)
