"""How the platform did over time: a row a bucket, whatever the size of the fleet."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.history import EMPTY, KEPT_SECONDS, Bucket, Place, Resolution, decode_bucket, encode_bucket
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.ports.stores.history import Moment, Standing
from openclaw_hosted.store import tables
from openclaw_hosted.store.database import Database
from openclaw_hosted.store.instance_reads import WAITING
from openclaw_hosted.store.machines import BY_STATE
from openclaw_hosted.store.rows import to_event

_H, _C, _E = tables.history.c, tables.history_cursor.c, tables.events.c
_I = tables.instances.c
CURSOR = 1
_INSTANCES = select(_I.phase, func.count()).where(_I.phase != Phase.PURGED).group_by(_I.phase)
_WAITING = select(func.count()).select_from(tables.instances).where(WAITING)
_COUNTED = select(_C.event_id).where(_C.id == CURSOR)


def _put(*, is_sqlite: bool) -> Any:
    add = sqlite_insert(tables.history) if is_sqlite else postgres_insert(tables.history)
    return add.on_conflict_do_update(index_elements=[_H.resolution, _H.start], set_={"data": add.excluded.data})


_PUT = {is_sqlite: _put(is_sqlite=is_sqlite) for is_sqlite in (True, False)}


class SqlHistory:
    """`HistoryStore` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def standing(self) -> Standing:
        async with self._database.read() as connection:
            machines = {state: int(count) for state, count in await connection.execute(BY_STATE)}
            instances = {phase: int(count) for phase, count in await connection.execute(_INSTANCES)}
            return Standing(machines, instances, int((await connection.execute(_WAITING)).scalar_one()))

    async def uncounted(self, limit: int) -> tuple[int, Sequence[Event]]:
        async with self._database.read() as connection:
            counted = int((await connection.execute(_COUNTED)).scalar_one())
            rows = await connection.execute(select(tables.events).where(_E.id > counted).order_by(_E.id).limit(limit))
            return counted, [to_event(row) for row in rows]

    async def first_runs(self, instance_ids: Sequence[InstanceId]) -> Mapping[InstanceId, tuple[float, float]]:
        if not instance_ids:
            return {}
        names = (EventName.INSTANCE_CREATED, EventName.INSTANCE_RUNNING)
        firsts = (
            select(_E.instance_id, _E.name, func.min(_E.at))
            .where(_E.instance_id.in_(sorted(set(instance_ids))), _E.name.in_(names))
            .group_by(_E.instance_id, _E.name)
        )
        async with self._database.read() as connection:
            found = {(row[0], row[1]): float(row[2]) for row in await connection.execute(firsts)}
        return {
            each: (found[each, names[0]], found[each, names[1]])
            for each in instance_ids
            if (each, names[0]) in found and (each, names[1]) in found
        }

    async def add(self, gained: Mapping[Place, Bucket], *, counted: int, after: int, now: float) -> bool:
        cursor = update(tables.history_cursor).where(_C.id == CURSOR, _C.event_id == after).values(event_id=counted)
        async with self._database.write() as connection:
            if not (await connection.execute(cursor)).rowcount:
                return False
            await self._merge(connection, gained, now)
            await connection.execute(delete(tables.history).where(_is_old(now)))
        return True

    async def add_tallied(self, gained: Mapping[Place, Bucket], now: float) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(tables.history_cursor).where(_C.id == CURSOR).values(event_id=_C.event_id))
            await self._merge(connection, gained, now)

    async def _merge(self, connection: AsyncConnection, gained: Mapping[Place, Bucket], now: float) -> None:
        gained = {place: bucket for place, bucket in gained.items() if not _is_past(place, now)}
        if not gained:
            return
        places = [(int(resolution), start) for resolution, start in gained]
        known = select(tables.history).where(tuple_(_H.resolution, _H.start).in_(places))
        before = {(row.resolution, row.start): decode_bucket(row.data) for row in await connection.execute(known)}
        rows = [
            {"resolution": resolution, "start": start, "data": encode_bucket(before.get((resolution, start), EMPTY) + gained[place])}
            for place, (resolution, start) in zip(gained, places, strict=True)
        ]
        await connection.execute(_PUT[self._database.is_sqlite], rows)

    async def between(self, resolution: Resolution, first: float, end: float) -> Mapping[int, Bucket]:
        rows = select(_H.start, _H.data).where(_H.resolution == int(resolution), _H.start >= int(first), _H.start < end).order_by(_H.start)
        async with self._database.read() as connection:
            return {int(start): decode_bucket(data) for start, data in await connection.execute(rows)}

    async def moments(self, names: Collection[EventName], since: float, limit: int) -> Sequence[Moment]:
        newest = select(_E.name, _E.at, _E.machine_id).where(_E.name.in_(sorted(names)), _E.at > since).order_by(_E.id.desc()).limit(limit)
        async with self._database.read() as connection:
            found = [
                Moment(EventName(row.name), row.at, row.machine_id and MachineId(row.machine_id))
                for row in await connection.execute(newest)
            ]
        return sorted(found, key=lambda moment: moment.at)


def _is_past(place: Place, now: float) -> bool:
    resolution, start = place
    return resolution in KEPT_SECONDS and start < now - KEPT_SECONDS[resolution]


def _is_old(now: float) -> Any:
    return or_(*(and_(_H.resolution == int(each), _H.start < int(now - kept)) for each, kept in KEPT_SECONDS.items()))
