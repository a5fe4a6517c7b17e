"""Users on their way out of an older system."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import delete, insert, select, update

from openclaw_hosted.domain.errors import LeaseLost
from openclaw_hosted.domain.migration import Migration, MigrationState, MigrationStep, Note
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.ports.stores import Lease
from openclaw_hosted.store import tables
from openclaw_hosted.store.database import Database

_M = tables.migrations.c
_L = tables.leases.c


class SqlMigrations:
    """`MigrationStore` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[Migration]:
        async with self._database.read() as connection:
            return [_read(row) for row in await connection.execute(select(tables.migrations).order_by(_M.user))]

    async def get(self, user: str) -> Migration | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(tables.migrations).where(_M.user == user))).one_or_none()
            return None if row is None else _read(row)

    async def put(self, migration: Migration, lease: Lease) -> None:
        held = update(tables.leases).where(_L.name == lease.key, _L.token == lease.token).values(token=lease.token).returning(_L.name)
        async with self._database.write() as connection:
            if (await connection.execute(held)).one_or_none() is None:
                raise LeaseLost("Another run of the migration took over.")
            await connection.execute(delete(tables.migrations).where(_M.user == migration.user))
            await connection.execute(insert(tables.migrations), [_values(migration)])


def _values(migration: Migration) -> dict[str, Any]:
    return {**asdict(replace(migration, notes=())), "notes": json.dumps([asdict(note) for note in migration.notes])}


def _read(row: Any) -> Migration:
    notes = tuple(Note(**{**note, "step": MigrationStep(note["step"])}) for note in json.loads(row.notes))
    return Migration(
        row.user,
        row.ref,
        MigrationState(row.state),
        None if row.step is None else MigrationStep(row.step),
        row.attempt,
        row.email,
        None if row.owner_id is None else UserId(row.owner_id),
        None if row.instance_id is None else InstanceId(row.instance_id),
        row.desired,
        row.route,
        row.changed_at,
        row.held_at,
        row.switched_at,
        row.error,
        notes,
    )
