"""Rows of instances, read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Float, Integer, Select, Text, and_, bindparam, case, func, or_, select, union

from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.instance import LIVE_PHASES, Instance, Phase, Step, StepName
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.domain.volume import Volume, VolumeState
from openclaw_hosted.domain.waiting import Happening
from openclaw_hosted.store import tables
from openclaw_hosted.store.database import Database
from openclaw_hosted.store.rows import to_instance, to_step, to_volume
from openclaw_hosted.store.words import one_of, word

_I, _E = tables.instances.c, tables.events.c
WANTING_PHASES = frozenset({Phase.PENDING, Phase.RESTORING, Phase.REPLACING})
WAITING = and_(one_of(_I.phase, WANTING_PHASES), _I.machine_id.is_(None))
"""Wants a machine and has none."""
LIVE = one_of(_I.phase, LIVE_PHASES)
BY_ID = select(tables.instances).where(_I.id == bindparam("instance_id", type_=Text))
_V = tables.volumes.c
_MACHINE_ZONE = case((_V.state == word(VolumeState.RESTORING), ""), else_=_V.zone)
"""`Volume.machine_zone`."""
_COUNT_WAITING = (
    select(_MACHINE_ZONE, func.count()).select_from(tables.instances.join(tables.volumes)).where(WAITING).group_by(_MACHINE_ZONE)
)
_HOMES = (
    select(_V.zone)
    .distinct()
    .select_from(tables.instances.join(tables.volumes))
    .where(LIVE, _V.state == word(VolumeState.MADE), _V.zone != "")
)
VOLUME = select(tables.volumes).where(_V.instance_id == bindparam("instance_id", type_=Text))
_COUNT_PLACING = (
    select(func.count())
    .select_from(tables.instances)
    .where(
        or_(_I.phase == word(Phase.PLACING), and_(one_of(_I.phase, (Phase.REPLACING, Phase.RESTORING)), _I.machine_id.is_not(None))),
        _I.phase_changed_at >= bindparam("since", type_=Float),
    )
)
_NEWEST_FIRST = select(tables.instances).order_by(_I.created_at.desc(), _I.id)
_LIST_PLACED = _NEWEST_FIRST.where(_I.machine_id.is_not(None))
_LIST_OWNED = _NEWEST_FIRST.where(_I.owner_id == bindparam("owner_id", type_=Text), _I.phase != word(Phase.PURGED))
_LIST_PURGED = _NEWEST_FIRST.where(
    _I.owner_id == bindparam("owner_id", type_=Text), _I.phase == word(Phase.PURGED), _I.phase_changed_at >= bindparam("since", type_=Float)
)
_LIST_ALL = _NEWEST_FIRST.where(_I.phase != word(Phase.PURGED))
_STEPS = select(tables.steps).where(tables.steps.c.instance_id == bindparam("instance_id", type_=Text)).order_by(tables.steps.c.id)
_SEALED = select(_I.sealed_revision, _I.sealed_credentials).where(_I.id == bindparam("instance_id", type_=Text))
STEPS_LOOKED_AT = 5000
EVENTS_LOOKED_AT = 5000
_CLAIM, _PROBE = tables.steps.alias("claim"), tables.steps.alias("probe")
_RECENT_WAITS = (
    select(_PROBE.c.ended_at - _CLAIM.c.started_at)
    .join(_PROBE, and_(_PROBE.c.instance_id == _CLAIM.c.instance_id, _PROBE.c.generation == _CLAIM.c.generation))
    .where(
        _CLAIM.c.id > select(func.max(tables.steps.c.id)).scalar_subquery() - STEPS_LOOKED_AT,
        _CLAIM.c.name == StepName.MACHINE,
        _CLAIM.c.ended_at > _CLAIM.c.started_at,
        _PROBE.c.name == StepName.PROBE,
        _PROBE.c.ended_at.is_not(None),
        _PROBE.c.error.is_(None),
    )
    .order_by(_CLAIM.c.started_at.desc(), _PROBE.c.ended_at)
    .limit(bindparam("limit", type_=Integer))
)


class InstanceReads:
    """The part of `InstanceStore` that changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, instance_id: InstanceId) -> Instance:
        async with self._database.read() as connection:
            row = (await connection.execute(BY_ID, {"instance_id": instance_id})).one_or_none()
        if row is None:
            raise NotFound(f"There is no instance {str(instance_id)[:40]!r}.")
        return to_instance(row)

    async def volume(self, instance_id: InstanceId) -> Volume:
        async with self._database.read() as connection:
            return to_volume((await connection.execute(VOLUME, {"instance_id": instance_id})).one())

    async def list_for(self, owner_id: UserId) -> Sequence[Instance]:
        return await self._select(_LIST_OWNED, owner_id=owner_id)

    async def list_purged(self, owner_id: UserId, since: float) -> Sequence[Instance]:
        async with self._database.read() as connection:
            found = await connection.execute(_LIST_PURGED, {"owner_id": owner_id, "since": since})
            return [to_instance(row) for row in found]

    async def list_all(self) -> Sequence[Instance]:
        return await self._select(_LIST_ALL)

    async def list_page(
        self, limit: int, *, owner_id: UserId | None = None, phase: Phase | None = None, after: InstanceId | None = None
    ) -> Sequence[Instance]:
        page = _NEWEST_FIRST.where(_I.phase != word(Phase.PURGED)).limit(limit)
        if owner_id is not None:
            page = page.where(_I.owner_id == owner_id)
        if phase is not None:
            page = page.where(_I.phase == phase)
        if after is not None:
            made_at = select(_I.created_at).where(_I.id == after).scalar_subquery()
            page = page.where(or_(_I.created_at < made_at, and_(_I.created_at == made_at, _I.id > after)))
        return await self._select(page)

    async def list_placed(self) -> Sequence[Instance]:
        return await self._select(_LIST_PLACED)

    async def count_waiting(self) -> Mapping[str, int]:
        async with self._database.read() as connection:
            rows = await connection.execute(_COUNT_WAITING)
            return {zone: int(count) for zone, count in rows}

    async def homes(self) -> frozenset[str]:
        async with self._database.read() as connection:
            return frozenset(row.zone for row in await connection.execute(_HOMES))

    async def routed_ids(self) -> Sequence[InstanceId]:
        pooled = one_of(tables.machines.c.state, (MachineState.AVAILABLE, MachineState.INITIALIZING))
        reserved = select(tables.machines.c.reserved_instance_id).where(pooled)
        async with self._database.read() as connection:
            return [InstanceId(row[0]) for row in await connection.execute(union(select(_I.id).where(LIVE), reserved))]

    async def count_placing(self, since: float = 0.0) -> int:
        async with self._database.read() as connection:
            return int((await connection.execute(_COUNT_PLACING, {"since": since})).scalar_one())

    async def recent_waits(self, limit: int) -> Sequence[float]:
        async with self._database.read() as connection:
            return [float(seconds) for (seconds,) in await connection.execute(_RECENT_WAITS, {"limit": limit})]

    async def recent_happenings(self, names: Collection[EventName], limit: int) -> Sequence[Happening]:
        newest = select(_E.instance_id, _E.name, _E.at).where(_E.name.in_(names), _E.instance_id.is_not(None)).order_by(_E.id.desc())
        oldest_looked_at = select(func.max(_E.id)).scalar_subquery() - EVENTS_LOOKED_AT
        async with self._database.read() as connection:
            rows = (await connection.execute(newest.where(_E.id > oldest_looked_at).limit(limit))).all()
        return [(InstanceId(row.instance_id), EventName(row.name), row.at) for row in reversed(rows)]

    async def known_ids(self) -> frozenset[InstanceId]:
        async with self._database.read() as connection:
            rows = await connection.execute(select(_I.id).where(_I.phase != word(Phase.PURGED)))
            return frozenset(InstanceId(row.id) for row in rows)

    async def kept_phases(self) -> Mapping[InstanceId, Phase]:
        async with self._database.read() as connection:
            rows = await connection.execute(select(_I.id, _I.phase).where(_I.phase != word(Phase.PURGED), _I.generation > 0))
            return {InstanceId(row.id): Phase(row.phase) for row in rows}

    async def steps(self, instance_id: InstanceId) -> Sequence[Step]:
        async with self._database.read() as connection:
            return [to_step(row) for row in await connection.execute(_STEPS, {"instance_id": instance_id})]

    async def sealed_credentials(self, instance_id: InstanceId) -> tuple[int, bytes] | None:
        async with self._database.read() as connection:
            row = (await connection.execute(_SEALED, {"instance_id": instance_id})).one_or_none()
        if row is None or row.sealed_credentials is None:
            return None
        return int(row.sealed_revision), bytes(row.sealed_credentials)

    async def _select(self, statement: Select[Any], **values: Any) -> Sequence[Instance]:
        async with self._database.read() as connection:
            return [to_instance(row) for row in await connection.execute(statement, values)]
