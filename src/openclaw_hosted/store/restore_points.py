"""Rows of restore points."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select, update

from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.lifecycle import Topic
from openclaw_hosted.domain.naming import InstanceId, RestorePointId, UserId
from openclaw_hosted.domain.restore_point import PointState, RestorePoint
from openclaw_hosted.ports.stores import Hints
from openclaw_hosted.store import tables
from openclaw_hosted.store.changing import add_points
from openclaw_hosted.store.database import Database
from openclaw_hosted.store.hints import hint_all
from openclaw_hosted.store.rows import ADD_EVENTS, event_values, to_restore_point

_P = tables.restore_points.c
_V = tables.volumes.c
_NEWEST_FIRST = select(tables.restore_points).order_by(_P.made_at.desc(), _P.id)


class SqlRestorePoints:
    """`RestorePointStore` on a database."""

    def __init__(self, database: Database, hints: Hints) -> None:
        self._database = database
        self._hints = hints

    async def get(self, point_id: RestorePointId) -> RestorePoint:
        async with self._database.read() as connection:
            row = (await connection.execute(_NEWEST_FIRST.where(_P.id == point_id))).one_or_none()
        if row is None:
            raise NotFound(f"There is no restore point {str(point_id)[:40]!r}.")
        return to_restore_point(row)

    async def list_for(self, instance_id: InstanceId) -> Sequence[RestorePoint]:
        async with self._database.read() as connection:
            return [to_restore_point(row) for row in await connection.execute(_NEWEST_FIRST.where(_P.instance_id == instance_id))]

    async def list_brought(self, owner_id: UserId) -> Sequence[RestorePoint]:
        async with self._database.read() as connection:
            return [to_restore_point(row) for row in await connection.execute(_NEWEST_FIRST.where(_P.owner_id == owner_id))]

    async def list_all(self) -> Sequence[RestorePoint]:
        async with self._database.read() as connection:
            return [to_restore_point(row) for row in await connection.execute(_NEWEST_FIRST)]

    async def in_use(self) -> frozenset[RestorePointId]:
        async with self._database.read() as connection:
            found = await connection.execute(select(_V.point_id).where(_V.point_id.is_not(None)))
            return frozenset(RestorePointId(row.point_id) for row in found)

    async def add(self, point: RestorePoint) -> None:
        async with self._database.write() as connection:
            await add_points(connection, [point])
        await hint_all(self._hints, {Topic.POINTS})

    async def finish(self, point_id: RestorePointId, size_bytes: int | None, event: Event) -> bool:
        being_made = (_P.id == point_id, _P.state == PointState.MAKING)
        change = update(tables.restore_points).where(*being_made).values(state=PointState.READY, size_bytes=size_bytes).returning(_P.id)
        async with self._database.write() as connection:
            finished = (await connection.execute(change)).one_or_none() is not None
            if finished:
                await connection.execute(ADD_EVENTS, event_values(event))
        await hint_all(self._hints, {Topic.CHANGES})
        return finished

    async def condemn(self, point_id: RestorePointId, *, with_instance: bool = False) -> bool:
        """The row is locked before it is asked who uses it: whoever is about to locks it as well."""
        async with self._database.write() as connection:
            row = (await connection.execute(select(_P.instance_id).where(_P.id == point_id).with_for_update())).one_or_none()
            found = await connection.execute(select(_V.instance_id).where(_V.point_id == point_id))
            used = [each.instance_id for each in found if row is not None and not (with_instance and each.instance_id == row.instance_id)]
            if row is None or used:
                return False
            await connection.execute(update(tables.restore_points).where(_P.id == point_id).values(state=PointState.REMOVING))
        await hint_all(self._hints, {Topic.POINTS, Topic.CHANGES})
        return True

    async def forget(self, point_id: RestorePointId, event: Event) -> bool:
        async with self._database.write() as connection:
            gone = (await connection.execute(delete(tables.restore_points).where(_P.id == point_id).returning(_P.id))).one_or_none()
            if gone is not None:
                await connection.execute(ADD_EVENTS, event_values(event))
        await hint_all(self._hints, {Topic.CHANGES})
        return gone is not None
