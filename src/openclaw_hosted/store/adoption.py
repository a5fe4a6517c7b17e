"""An adoption: rows made of what was found at the provider, in a database that has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.adoption import UNDER_WAY
from openclaw_hosted.domain.errors import StateConflict
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.lifecycle import Changed, Topic, stand_in_email
from openclaw_hosted.domain.orphan import Orphan
from openclaw_hosted.ports.stores import Hints
from openclaw_hosted.store import tables
from openclaw_hosted.store.changing import add_events, add_points
from openclaw_hosted.store.database import ACCOUNT_LOCK, CREATE_LOCK, Database
from openclaw_hosted.store.hints import hint_all
from openclaw_hosted.store.rows import ADD_EVENTS, event_values, instance_values, machine_values

_MARK = tables.identity.c.mark
NOT_EMPTY = (
    "This database is not empty (instances: {instances}, machines: {machines}), so nothing is adopted into it. "
    "Give an empty one in DATABASE_URL, or, where it is the platform's own, start the platform."
)


class SqlAdoption:
    """`AdoptionStore` on a database."""

    def __init__(self, database: Database, hints: Hints) -> None:
        self._database = database
        self._hints = hints

    async def check_empty(self, mark: str) -> None:
        async with self._database.read() as connection:
            await _check_empty(connection, mark)

    async def begin(self, mark: str) -> None:
        async with self._database.write() as connection:
            await self._database.lock(connection, CREATE_LOCK)
            await _check_empty(connection, mark)
            await connection.execute(update(tables.identity).values(mark=f"{UNDER_WAY}{mark}"))

    async def add(self, changed: Changed, owner: User | None = None) -> None:
        async with self._database.write() as connection:
            await self._database.lock(connection, ACCOUNT_LOCK)
            if owner is not None:
                await _add_owner(connection, owner)
            is_new = await _add_rows(connection, changed)
            if is_new:
                await add_events(connection, changed)
        await hint_all(self._hints, frozenset(Topic))

    async def hold_back(self, orphans: Sequence[Orphan], event: Event) -> None:
        async with self._database.write() as connection:
            known = set((await connection.execute(select(tables.orphans.c.name))).scalars())
            if new := [asdict(orphan) for orphan in orphans if orphan.name not in known]:
                await connection.execute(insert(tables.orphans), new)
                await connection.execute(ADD_EVENTS, event_values(event))

    async def finish(self, mark: str) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(tables.identity).values(mark=mark))


async def _check_empty(connection: AsyncConnection, mark: str) -> None:
    if (await connection.execute(select(_MARK))).scalar_one() == f"{UNDER_WAY}{mark}":
        return
    counts = [(await connection.execute(select(func.count()).select_from(table))).scalar_one() for table in _TABLES]
    if any(counts):
        raise StateConflict(NOT_EMPTY.format(instances=counts[0], machines=counts[1]))


_TABLES = (tables.instances, tables.machines)


async def _add_owner(connection: AsyncConnection, owner: User) -> None:
    users = tables.users.c
    if (await connection.execute(select(users.id).where(users.id == owner.id))).one_or_none() is not None:
        return
    taken = (await connection.execute(select(users.id).where(users.email == owner.email))).one_or_none() is not None
    added = replace(owner, email=stand_in_email(owner.id)) if taken else owner
    await connection.execute(insert(tables.users).values(asdict(added)))


async def _add_rows(connection: AsyncConnection, changed: Changed) -> bool:
    """Add those that are not there yet; whether any was new."""
    instance, machine, volume = changed.instance, changed.machine, changed.volume
    is_new = machine is not None and await _add(connection, tables.machines, machine.id, machine_values(machine))
    if instance is not None and await _add(connection, tables.instances, instance.id, instance_values(instance)):
        assert volume is not None
        await connection.execute(insert(tables.volumes).values(instance_id=volume.instance_id, state=volume.state, zone=volume.zone))
        is_new = True
    await add_points(connection, changed.points)
    return is_new


async def _add(connection: AsyncConnection, table: Any, key: str, values: dict[str, Any]) -> bool:
    if (await connection.execute(select(table.c.id).where(table.c.id == key))).one_or_none() is not None:
        return False
    await connection.execute(insert(table).values(values))
    return True
