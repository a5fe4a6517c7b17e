"""Rows of instances: made, leased, and changed by the rules of `domain.lifecycle`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Row, Text, and_, bindparam, func, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import LimitReached, StateConflict
from openclaw_hosted.domain.instance import UNSETTLED_PHASES, Instance, Phase, Step, StepName
from openclaw_hosted.domain.lifecycle import Topic
from openclaw_hosted.domain.machine import Machine, Warmth
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.ports.stores import Caps, CredentialSealing, Hints, IdempotencyKey, InstanceRule, Lease, NewInstance
from openclaw_hosted.store import tables
from openclaw_hosted.store.changing import add_events, check_point, locked_instance, write_instance
from openclaw_hosted.store.database import CREATE_LOCK, Database
from openclaw_hosted.store.hints import hint_all
from openclaw_hosted.store.instance_reads import BY_ID, LIVE, VOLUME, WAITING, WANTING_PHASES, InstanceReads
from openclaw_hosted.store.machines import BY_ID as MACHINE_BY_ID
from openclaw_hosted.store.machines import HAS_SPARE, claim_spare, count_spares
from openclaw_hosted.store.rows import instance_values, step_values, to_instance, to_machine, to_volume, volume_values
from openclaw_hosted.store.words import one_of, word
from openclaw_hosted.store.work import WorkTable

_I = tables.instances.c
_S = tables.steps.c
_COUNT_LIVE = select(func.count()).select_from(tables.instances).where(LIVE)
_KEYS = tables.idempotency_keys.c
_SAME_KEY = and_(_KEYS.owner_id == bindparam("owner", type_=Text), _KEYS.key == bindparam("key", type_=Text))
_ADMISSION = select(
    _COUNT_LIVE.scalar_subquery().label("on_platform"),
    _COUNT_LIVE.where(_I.owner_id == bindparam("owner", type_=Text)).scalar_subquery().label("of_owner"),
    select(_KEYS.instance_id).where(_SAME_KEY).scalar_subquery().label("instance_id"),
    select(_KEYS.fingerprint).where(_SAME_KEY).scalar_subquery().label("fingerprint"),
    HAS_SPARE.label("has_spare"),
)
_ADD_INSTANCE, _ADD_VOLUME = insert(tables.instances), insert(tables.volumes)
_ADD_KEY, _ADD_STEP = insert(tables.idempotency_keys), insert(tables.steps)
SPARE_NOTE: Final = "A spare machine was free."
SPARE_NOTES: Final = {Warmth.HOT.value: "A spare machine with a running OpenClaw was free."}
FREED_NOTE: Final = "A machine became free."
ROOM = 1000
"""More creates than can be under way at once: each of them holds a connection to the database."""


def _record_step(*, is_sqlite: bool) -> Any:
    """Insert a step, or update the one that began then."""
    add = sqlite_insert(tables.steps) if is_sqlite else postgres_insert(tables.steps)
    key = (_S.instance_id, _S.name, _S.generation, _S.attempt, _S.started_at)
    return add.on_conflict_do_update(index_elements=key, set_={name: add.excluded[name] for name in ("ended_at", "error", "note")})


_RECORD_STEP = {is_sqlite: _record_step(is_sqlite=is_sqlite) for is_sqlite in (True, False)}


class SqlInstances(InstanceReads):
    """`InstanceStore` on a database."""

    def __init__(self, database: Database, hints: Hints) -> None:
        super().__init__(database)
        self._hints = hints
        purgeable = and_(_I.phase == word(Phase.DELETED), _I.purge_after <= database.now)
        replaced = and_(one_of(_I.phase, (Phase.REPLACING, Phase.RESTORING)), _I.machine_id.is_not(None))
        others = one_of(_I.phase, UNSETTLED_PHASES - WANTING_PHASES)
        self._work = WorkTable(database, tables.instances, or_(others, replaced, purgeable))
        unfiled = and_(_I.phase == word(Phase.RUNNING), _I.filed_generation < _I.generation)
        self._unfiled = WorkTable(database, tables.instances, unfiled)
        self._wanting = WorkTable(database, tables.instances, WAITING)

    async def create(
        self, new: NewInstance, seal: CredentialSealing, caps: Caps, idempotency: IdempotencyKey | None, now: float
    ) -> tuple[Instance, bool]:
        async with self._database.creating:
            if caps.platform > ROOM:
                with suppress(LimitReached):
                    return await self._create(new, seal, caps, idempotency, now, roomy=True)
            return await self._create(new, seal, caps, idempotency, now, roomy=False)

    async def _create(
        self, new: NewInstance, seal: CredentialSealing, caps: Caps, idempotency: IdempotencyKey | None, now: float, *, roomy: bool
    ) -> tuple[Instance, bool]:
        """While there is room for `ROOM` more, creates of different users run side by side; nearer to the cap one after the other."""
        async with self._database.write() as connection:
            if roomy:
                await self._database.lock_shared(connection, CREATE_LOCK, new.owner_id)
            else:
                await self._database.lock(connection, CREATE_LOCK)
            counted = await _count(connection, new.owner_id, idempotency)
            if idempotency is not None and counted.instance_id is not None:
                return await _made_earlier(connection, counted, idempotency), False
            _check_caps(counted, replace(caps, platform=caps.platform - ROOM) if roomy else caps)
            may_claim = new.point_id is None and counted.has_spare
            claimed = await claim_spare(connection, None, 1, now) if may_claim else None
            machine = None if claimed is None else to_machine(claimed)
            instance, wakes = await _insert(connection, new, seal, machine, now)
            if idempotency is not None:
                await _remember(connection, instance, idempotency, now)
        await hint_all(self._hints, wakes)
        return instance, True

    async def update(
        self,
        instance_id: InstanceId,
        rule: InstanceRule,
        *,
        lease: Lease | None = None,
        caps: Caps | None = None,
        steps: Sequence[Step] = (),
    ) -> Instance:
        async with self._database.write() as connection:
            if caps is not None:
                await self._database.lock(connection, CREATE_LOCK)
            row = await (locked_instance(connection, instance_id) if lease is None else self._work.held(connection, lease))
            changed = rule(to_instance(row))
            if caps is not None:
                _check_caps(await _count(connection, row.owner_id), caps)
            await self._add_steps(connection, instance_id, steps)
            updated = await write_instance(connection, row, changed)
            await add_events(connection, changed)
        await hint_all(self._hints, changed.wakes)
        return updated

    async def claim_machine(self, lease: Lease, now: float) -> tuple[Instance, Machine] | None:
        async with self._database.write() as connection:
            row = await self._work.held(connection, lease)
            if row.machine_id is not None:
                found = (await connection.execute(MACHINE_BY_ID, {"machine_id": row.machine_id})).one()
                return to_instance(row), to_machine(found)
            bound = await self._bind(connection, row, now)
        if bound is None:
            await hint_all(self._hints, {Topic.POOL})
            return None
        instance, machine, wakes = bound
        await hint_all(self._hints, wakes)
        return instance, machine

    async def record_steps(self, lease: Lease, steps: Sequence[Step]) -> None:
        async with self._database.write() as connection:
            row = await self._work.held(connection, lease)
            await self._add_steps(connection, row.id, steps)
        await hint_all(self._hints, {Topic.CHANGES})

    async def lease_due(self, limit: int, seconds: float) -> Sequence[tuple[Instance, Lease]]:
        async with self._database.write() as connection:
            due = list(await self._work.lease_due(connection, limit, seconds))
            if room := min(limit - len(due), await count_spares(connection) if len(due) < limit else 0):
                due += await self._wanting.lease_due(connection, room, seconds)
        return [(to_instance(row), lease) for row, lease in due]

    async def lease_unfiled(self, limit: int, seconds: float) -> Sequence[tuple[Instance, Lease]]:
        async with self._database.write() as connection:
            return [(to_instance(row), lease) for row, lease in await self._unfiled.lease_due(connection, limit, seconds)]

    async def renew(self, leases: Sequence[Lease], seconds: float) -> frozenset[str]:
        return await self._work.renew(leases, seconds)

    async def reschedule(self, lease: Lease, seconds: float, error: str | None, *, counts: bool = True) -> None:
        await self._work.reschedule(lease, seconds, error, counts=counts)
        await hint_all(self._hints, {Topic.CHANGES} if error else ())

    async def _bind(self, connection: AsyncConnection, row: Row[Any], now: float) -> tuple[Instance, Machine, frozenset[Topic]] | None:
        """The instance on its machine, and who is to be woken; None where no spare is free."""
        volume = to_volume((await connection.execute(VOLUME, {"instance_id": row.id})).one())
        claimed = await claim_spare(connection, InstanceId(row.id), row.generation + 1, now, volume.machine_zone)
        if claimed is None:
            return None
        waited, machine = to_instance(row), to_machine(claimed)
        changed = lifecycle.claim(waited, machine, now)
        await add_events(connection, changed)
        instance = await write_instance(connection, row, changed)
        found = Step(StepName.MACHINE, instance.generation, instance.attempts + 1, waited.phase_changed_at, now, note=FREED_NOTE)
        await self._add_steps(connection, row.id, [found])
        return instance, machine, changed.wakes

    async def _add_steps(self, connection: AsyncConnection, instance_id: str, steps: Sequence[Step]) -> None:
        if steps:
            await connection.execute(_RECORD_STEP[self._database.is_sqlite], [step_values(instance_id, step) for step in steps])


async def _insert(
    connection: AsyncConnection, new: NewInstance, seal: CredentialSealing, machine: Machine | None, now: float
) -> tuple[Instance, frozenset[Topic]]:
    """The row, what happened, and step `machine`. Returns the instance and who is to be woken."""
    instance_id = new.fallback_id if machine is None else machine.reserved_instance_id
    if instance_id is None:
        raise LimitReached(new.no_room)
    created = lifecycle.create(
        instance_id, machine, now, actor=new.actor, owner_id=new.owner_id, name=new.name, settings=new.settings,
        credential_names=new.credential_names, sealed=seal(instance_id), point_id=new.point_id,
    )  # fmt: skip
    instance, volume = created.instance, created.volume
    assert instance is not None
    assert volume is not None
    await connection.execute(_ADD_INSTANCE, instance_values(instance) | {"sealed_credentials": created.sealed})
    if new.point_id is not None:
        await check_point(connection, volume)
    await connection.execute(_ADD_VOLUME, volume_values(volume))
    await add_events(connection, created)
    if machine is not None:
        step = Step(StepName.MACHINE, 1, 1, now, now, note=SPARE_NOTES.get(machine.warmth, SPARE_NOTE))
        await connection.execute(_ADD_STEP, step_values(instance_id, step))
    return instance, created.wakes


async def _count(connection: AsyncConnection, owner_id: UserId, idempotency: IdempotencyKey | None = None) -> Any:
    """One query for all that decides whether this owner may have one more, and what it would get."""
    key = None if idempotency is None else idempotency.key
    return (await connection.execute(_ADMISSION, {"owner": owner_id, "key": key})).one()


async def _made_earlier(connection: AsyncConnection, counted: Any, idempotency: IdempotencyKey) -> Instance:
    """What an earlier request with this key made. Raises `StateConflict` where that was another request."""
    if counted.fingerprint != idempotency.fingerprint:
        raise StateConflict("This idempotency key was used for another request. Take a new key.")
    return to_instance((await connection.execute(BY_ID, {"instance_id": counted.instance_id})).one())


def _check_caps(counted: Any, caps: Caps) -> None:
    if counted.on_platform >= caps.platform:
        raise LimitReached(f"This platform holds {caps.platform} instances at most. Ask its operator for more room.")
    if counted.of_owner >= caps.per_user:
        raise LimitReached(f"You may have {caps.per_user} instances at most. Delete one that you no longer need.")


async def _remember(connection: AsyncConnection, instance: Instance, idempotency: IdempotencyKey, now: float) -> None:
    values = {
        "owner_id": instance.owner_id,
        "key": idempotency.key,
        "fingerprint": idempotency.fingerprint,
        "instance_id": instance.id,
        "created_at": now,
    }
    await connection.execute(_ADD_KEY, values)
