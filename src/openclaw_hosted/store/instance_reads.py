"""Rows of instances, read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Float, Integer, Select, Text, and_, bindparam, func, select, union

from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.instance import LIVE_PHASES, Instance, Phase, Step, StepName
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.domain.volume import Volume, VolumeState
from openclaw_hosted.store import tables
from openclaw_hosted.store.database import Database
from openclaw_hosted.store.rows import to_instance, to_step, to_volume

_I = tables.instances.c
WANTING_PHASES = frozenset({Phase.PENDING, Phase.REPLACING})
WAITING = and_(_I.phase.in_(sorted(WANTING_PHASES)), _I.machine_id.is_(None))
"""Wants a machine and has none."""
LIVE = _I.phase.in_(sorted(LIVE_PHASES))
BY_ID = select(tables.instances).where(_I.id == bindparam("instance_id", type_=Text))
_V = tables.volumes.c
_COUNT_WAITING = select(_V.zone, func.count()).select_from(tables.instances.join(tables.volumes)).where(WAITING).group_by(_V.zone)
_HOMES = (
    select(_V.zone).distinct().select_from(tables.instances.join(tables.volumes)).where(LIVE, _V.state == VolumeState.MADE, _V.zone != "")
)
VOLUME = select(tables.volumes).where(_V.instance_id == bindparam("instance_id", type_=Text))
_COUNT_PLACING = (
    select(func.count())
    .select_from(tables.instances)
    .where(_I.phase == Phase.PLACING, _I.phase_changed_at >= bindparam("since", type_=Float))
)
_NEWEST_FIRST = select(tables.instances).order_by(_I.created_at.desc(), _I.id)
_LIST_PLACED = _NEWEST_FIRST.where(_I.machine_id.is_not(None))
_LIST_OWNED = _NEWEST_FIRST.where(_I.owner_id == bindparam("owner_id", type_=Text), _I.phase != Phase.PURGED)
_LIST_ALL = _NEWEST_FIRST.where(_I.phase != Phase.PURGED).limit(bindparam("limit", type_=Integer))
_STEPS = select(tables.steps).where(tables.steps.c.instance_id == bindparam("instance_id", type_=Text)).order_by(tables.steps.c.id)
_SEALED = select(_I.sealed_revision, _I.sealed_credentials).where(_I.id == bindparam("instance_id", type_=Text))
STEPS_LOOKED_AT = 5000
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

    async def list_all(self, limit: int = 1000) -> Sequence[Instance]:
        return await self._select(_LIST_ALL, limit=limit)

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
        pooled = tables.machines.c.state.in_([MachineState.AVAILABLE, MachineState.INITIALIZING])
        reserved = select(tables.machines.c.reserved_instance_id).where(pooled)
        async with self._database.read() as connection:
            return [InstanceId(row[0]) for row in await connection.execute(union(select(_I.id).where(LIVE), reserved))]

    async def count_placing(self, since: float = 0.0) -> int:
        async with self._database.read() as connection:
            return int((await connection.execute(_COUNT_PLACING, {"since": since})).scalar_one())

    async def recent_waits(self, limit: int) -> Sequence[float]:
        async with self._database.read() as connection:
            return [float(seconds) for (seconds,) in await connection.execute(_RECENT_WAITS, {"limit": limit})]

    async def known_ids(self) -> frozenset[InstanceId]:
        async with self._database.read() as connection:
            rows = await connection.execute(select(_I.id).where(_I.phase != Phase.PURGED))
            return frozenset(InstanceId(row.id) for row in rows)

    async def kept_phases(self) -> Mapping[InstanceId, Phase]:
        async with self._database.read() as connection:
            rows = await connection.execute(select(_I.id, _I.phase).where(_I.phase != Phase.PURGED, _I.generation > 0))
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
