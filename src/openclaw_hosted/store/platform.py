"""Events, named leases, and what the pool remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Float, Text, bindparam, delete, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError

from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.lifecycle import Topic
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.orphan import Orphan, OrphanState
from openclaw_hosted.domain.pool import PoolStatus, Shortage
from openclaw_hosted.ports.stores import PRUNED_AT_ONCE, Hints, Lease, PoolMemory
from openclaw_hosted.store import tables
from openclaw_hosted.store.database import Database
from openclaw_hosted.store.hints import hint_all
from openclaw_hosted.store.pruning import pruning
from openclaw_hosted.store.rows import ADD_EVENTS, event_values, to_event
from openclaw_hosted.store.work import is_past

_E = tables.events.c
_L = tables.leases.c
_P = tables.pool.c
_O = tables.orphans.c
_LEASE, _HOLDER = bindparam("lease", type_=Text), bindparam("holder", type_=Text)
_NAMED = select(_L.name).where(_L.name == _LEASE)
_RELEASE = delete(tables.leases).where(_L.name == _LEASE, _L.token == _HOLDER)
POOL_ROW = 1
WRITING = "writing"
"""The named lease that is taken to see whether the database takes writes. It ends at once."""
PROVEN_SECONDS = 10.0
"""For so long a write that was committed proves that the next one will be."""


def _count_shortage(*, is_sqlite: bool) -> Any:
    add = sqlite_insert(tables.shortages) if is_sqlite else postgres_insert(tables.shortages)
    newer = {"times": tables.shortages.c.times + 1, "last_at": add.excluded.last_at, "error": add.excluded.error}
    return add.on_conflict_do_update(index_elements=[tables.shortages.c.zone], set_=newer)


_IN_ZONE = tables.shortages.c.zone == bindparam("in_zone", type_=Text)
_SHORTAGE = select(tables.shortages.c.times).where(_IN_ZONE)
_FAILURES = select(_P.failures_in_row).where(_P.id == POOL_ROW)
_END_SHORTAGE = delete(tables.shortages).where(_IN_ZONE)
_COUNT_SHORTAGE = {is_sqlite: _count_shortage(is_sqlite=is_sqlite) for is_sqlite in (True, False)}


class SqlPlatform:
    """`PlatformStore` on a database."""

    def __init__(self, database: Database, hints: Hints) -> None:
        self._database = database
        self._hints = hints
        now, seconds = database.now, bindparam("seconds", type_=Float)
        self._hold = (
            update(tables.leases)
            .where(_L.name == _LEASE, or_(_L.token == _HOLDER, is_past(_L.expires_at, now, seconds)))
            .values(token=_HOLDER, expires_at=now + seconds)
            .returning(_L.expires_at)
        )
        self._add = insert(tables.leases).values(name=_LEASE, token=_HOLDER, expires_at=now + seconds).returning(_L.expires_at)
        self._proven_until = 0.0

    async def check_writing(self) -> None:
        """Raise `Unavailable`, with the reason, unless a change was committed within `PROVEN_SECONDS`, or one is now."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._proven_until:
            await self.acquire(WRITING, WRITING, 0.0)
            self._proven_until = loop.time() + PROVEN_SECONDS

    async def add_event(self, event: Event) -> None:
        async with self._database.write() as connection:
            await connection.execute(ADD_EVENTS, event_values(event))
        await hint_all(self._hints, {Topic.CHANGES})

    async def events(
        self,
        *,
        instance_id: InstanceId | None = None,
        machine_id: MachineId | None = None,
        before_id: int | None = None,
        limit: int = 100,
    ) -> Sequence[Event]:
        statement = select(tables.events).order_by(_E.id.desc()).limit(limit)
        if instance_id is not None:
            statement = statement.where(_E.instance_id == instance_id)
        if machine_id is not None:
            statement = statement.where(_E.machine_id == machine_id)
        if before_id is not None:
            statement = statement.where(_E.id < before_id)
        async with self._database.read() as connection:
            return [to_event(row) for row in await connection.execute(statement)]

    async def prune(self, *, events_before: float, machines_before: float, steps_kept: int) -> bool:
        rules = pruning(events_before, machines_before, steps_kept)
        async with self._database.write() as connection:
            gone = [(await connection.execute(rule)).rowcount for rule in rules]
        return max(gone) >= PRUNED_AT_ONCE

    async def orphans(self) -> Sequence[Orphan]:
        async with self._database.read() as connection:
            rows = await connection.execute(select(tables.orphans).order_by(_O.since, _O.name))
            return [Orphan(row.name, row.since, OrphanState(row.state)) for row in rows]

    async def keep_orphans(self, orphans: Sequence[Orphan], gone: Collection[str], events: Sequence[Event]) -> None:
        async with self._database.write() as connection:
            if gone:
                await connection.execute(delete(tables.orphans).where(_O.name.in_(sorted(gone))))
            if orphans:
                await connection.execute(insert(tables.orphans), [asdict(orphan) for orphan in orphans])
            if events:
                await connection.execute(ADD_EVENTS, [event_values(event) for event in events])
        await hint_all(self._hints, {Topic.CHANGES})

    async def release_orphan(self, name: str, event: Event) -> None:
        async with self._database.write() as connection:
            released = update(tables.orphans).where(_O.name == name).values(state=OrphanState.RELEASED).returning(_O.name)
            if (await connection.execute(released)).one_or_none() is None:
                raise NotFound(f"Nothing is kept by the name {name[:60]!r}. List what is: openclaw-hosted orphans list")
            await connection.execute(ADD_EVENTS, event_values(event))
        await hint_all(self._hints, {Topic.CHANGES})

    async def acquire(self, name: str, token: str, seconds: float) -> Lease | None:
        values = {"lease": name, "holder": token, "seconds": seconds}
        try:
            async with self._database.write() as connection:
                row = (await connection.execute(self._hold, values)).one_or_none()
                if row is None and (await connection.execute(_NAMED, {"lease": name})).one_or_none() is None:
                    row = (await connection.execute(self._add, values)).one()
        except IntegrityError:
            return None
        return None if row is None else Lease(name, token, row.expires_at)

    async def release(self, lease: Lease) -> None:
        async with self._database.write() as connection:
            await connection.execute(_RELEASE, {"lease": lease.key, "holder": lease.token})

    async def pool_memory(self) -> PoolMemory:
        async with self._database.read() as connection:
            row = (await connection.execute(select(tables.pool).where(_P.id == POOL_ROW))).one()
            shortages = [Shortage(*each) for each in await connection.execute(select(tables.shortages))]
        return replace(to_pool_memory(row), shortages={shortage.zone: shortage for shortage in shortages})

    async def launch_failed(self, now: float, error: str) -> int:
        counted = (
            update(tables.pool)
            .where(_P.id == POOL_ROW)
            .values(failures_in_row=_P.failures_in_row + 1, last_failure_at=now, last_error=error)
            .returning(_P.failures_in_row)
        )
        async with self._database.write() as connection:
            return int((await connection.execute(counted)).scalar_one())

    async def no_capacity(self, zone: str, now: float, error: str) -> None:
        async with self._database.write() as connection:
            counted = {"zone": zone, "times": 1, "last_at": now, "error": error}
            await connection.execute(_COUNT_SHORTAGE[self._database.is_sqlite], counted)
        await hint_all(self._hints, {Topic.POOL, Topic.CHANGES})

    async def capacity_found(self, zone: str) -> None:
        """Each launch says so: looked up first, so that it waits for the writer's turn only where there was a shortage."""
        async with self._database.read() as connection:
            known = (await connection.execute(_SHORTAGE, {"in_zone": zone})).one_or_none()
        if known is not None:
            async with self._database.write() as connection:
                await connection.execute(_END_SHORTAGE, {"in_zone": zone})

    async def launch_succeeded(self) -> None:
        """Looked up first, for the same reason."""
        async with self._database.read() as connection:
            failures = (await connection.execute(_FAILURES)).scalar_one()
        if failures:
            await self._write(failures_in_row=0, last_failure_at=None, last_error=None)

    async def set_pool(
        self, *, paused: bool | None = None, spares: int | None = None, status: PoolStatus | None = None, note: str | None = None
    ) -> None:
        given = {"paused": paused, "spares": spares, "status": status, "note": note}
        values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if note == "":
            values["note"] = None
        if paused is False:
            values |= {"failures_in_row": 0, "last_failure_at": None, "last_error": None}
        if values:
            await self._write(**values)
            if paused is False:
                async with self._database.write() as connection:
                    await connection.execute(delete(tables.shortages))
            await hint_all(self._hints, {Topic.POOL, Topic.CHANGES} if status is None else {Topic.CHANGES})

    async def follow_settings(self) -> None:
        await self._write(spares=None)
        await hint_all(self._hints, {Topic.POOL, Topic.CHANGES})

    async def schema_version(self) -> str:
        async with self._database.read() as connection:
            return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision() or "none")

    async def _write(self, **values: Any) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(tables.pool).where(_P.id == POOL_ROW).values(**values))


def to_pool_memory(row: Any) -> PoolMemory:
    """The row of `pool`."""
    status = PoolStatus(row.status)
    return PoolMemory(row.spares, bool(row.paused), row.failures_in_row, row.last_failure_at, row.last_error, status, row.note)
