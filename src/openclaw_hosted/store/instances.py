"""Rows of instances: what users ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sqlalchemy import Float, Integer, Row, Text, and_, bindparam, func, insert, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from openclaw_hosted.domain.errors import LimitReached, NotFound, RevisionMoved, StateConflict
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS, Credential, GatewaySettings
from openclaw_hosted.domain.instance import (
    LIVE_PHASES,
    DesiredState,
    Instance,
    InstanceEvent,
    Phase,
    Step,
    StepName,
    next_phase,
)
from openclaw_hosted.domain.machine import MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, UserId, volume_of
from openclaw_hosted.ports.stores import Caps, CredentialSealing, IdempotencyKey, NewInstance
from openclaw_hosted.store import tables
from openclaw_hosted.store.database import CREATE_LOCK, Database
from openclaw_hosted.store.machines import claim_spare
from openclaw_hosted.store.placements import WAITING, PlacementRows
from openclaw_hosted.store.rows import ADD_EVENTS, dump_names, dump_settings, event_values, step_values, to_instance, to_step
from openclaw_hosted.store.work import when_broken

_I = tables.instances.c
_LIVE = _I.phase.in_(sorted(LIVE_PHASES))
_COUNT_LIVE = select(func.count()).select_from(tables.instances).where(_LIVE)
_BY_ID = select(tables.instances).where(_I.id == bindparam("instance_id", type_=Text))
_BY_ID_LOCKED = _BY_ID.with_for_update()
_KEYS = tables.idempotency_keys.c
_SAME_KEY = and_(_KEYS.owner_id == bindparam("owner", type_=Text), _KEYS.key == bindparam("key", type_=Text))
_ADMISSION = select(
    _COUNT_LIVE.scalar_subquery().label("on_platform"),
    _COUNT_LIVE.where(_I.owner_id == bindparam("owner", type_=Text)).scalar_subquery().label("of_owner"),
    select(_KEYS.instance_id).where(_SAME_KEY).scalar_subquery().label("instance_id"),
    select(_KEYS.fingerprint).where(_SAME_KEY).scalar_subquery().label("fingerprint"),
)
_ADD_INSTANCE = insert(tables.instances).returning(*tables.instances.c)
_ADD_KEY, _ADD_STEP = insert(tables.idempotency_keys), insert(tables.steps)
_COUNT_WAITING = select(_I.zone, func.count()).where(WAITING).group_by(_I.zone)
_COUNT_PLACING = (
    select(func.count())
    .select_from(tables.instances)
    .where(_I.phase == Phase.PLACING, _I.phase_changed_at >= bindparam("since", type_=Float))
)
_CLAIM, _PROBE = tables.steps.alias("claim"), tables.steps.alias("probe")
STEPS_LOOKED_AT = 5000
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
_NOTE = {Warmth.HOT.value: "A hot spare was free.", Warmth.PULLED.value: "A spare was free.", Warmth.BOOTED.value: "A spare was free."}


ROOM = 1000
"""More creates than can be under way at once: each of them holds a connection to the database."""


class SqlInstances(PlacementRows):
    """`InstanceStore` on a database; what controllers do with a leased row stands in `PlacementRows`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)

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
            earlier = await _admit(connection, new.owner_id, replace(caps, platform=caps.platform - ROOM) if roomy else caps, idempotency)
            if earlier is not None:
                return earlier, False
            machine = await claim_spare(connection, None, 1, now)
            instance_id = new.fallback_id if machine is None else InstanceId(machine.reserved_instance_id)
            if instance_id is None:
                raise LimitReached(new.no_room)
            sealed = seal(instance_id)
            revision = 0 if sealed is None and new.settings == DEFAULT_SETTINGS else 1
            values = {
                "id": instance_id,
                "owner_id": new.owner_id,
                "name": new.name,
                "desired": DesiredState.RUNNING,
                "phase": Phase.PENDING if machine is None else next_phase(Phase.PENDING, InstanceEvent.MACHINE_CLAIMED),
                "settings": dump_settings(new.settings),
                "credential_names": dump_names(new.credential_names),
                "sealed_credentials": sealed,
                "sealed_revision": None if sealed is None else revision,
                "generation": 0 if machine is None else 1,
                "machine_id": None if machine is None else machine.id,
                "volume_id": volume_of(instance_id),
                "zone": "" if machine is None else machine.zone,
                "revision": revision,
                "created_at": now,
                "phase_changed_at": now,
            }
            instance = to_instance((await connection.execute(_ADD_INSTANCE, values)).one())
            if idempotency is not None:
                await _remember(connection, instance, idempotency, now)
            await _record_create(connection, instance, machine, now)
        return instance, True

    async def get(self, instance_id: InstanceId) -> Instance:
        async with self._database.read() as connection:
            row = (await connection.execute(_BY_ID, {"instance_id": instance_id})).one_or_none()
        if row is None:
            raise NotFound(f"There is no instance {str(instance_id)[:40]!r}.")
        return to_instance(row)

    async def list_for(self, owner_id: UserId) -> Sequence[Instance]:
        return await self._select(_I.owner_id == owner_id, _I.phase != Phase.PURGED)

    async def list_all(self, limit: int = 1000) -> Sequence[Instance]:
        return await self._select(_I.phase != Phase.PURGED, limit=limit)

    async def list_placed(self) -> Sequence[Instance]:
        return await self._select(_I.machine_id.is_not(None))

    async def count_waiting(self) -> Mapping[str, int]:
        async with self._database.read() as connection:
            rows = await connection.execute(_COUNT_WAITING)
            return {zone: int(count) for zone, count in rows}

    async def routed_ids(self) -> Sequence[InstanceId]:
        pooled = tables.machines.c.state.in_([MachineState.AVAILABLE, MachineState.INITIALIZING])
        reserved = select(tables.machines.c.reserved_instance_id).where(pooled)
        async with self._database.read() as connection:
            return [InstanceId(row[0]) for row in await connection.execute(union(select(_I.id).where(_LIVE), reserved))]

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
        table = tables.steps
        async with self._database.read() as connection:
            rows = await connection.execute(select(table).where(table.c.instance_id == instance_id).order_by(table.c.id))
            return [to_step(row) for row in rows]

    async def sealed_credentials(self, instance_id: InstanceId) -> tuple[int, bytes] | None:
        async with self._database.read() as connection:
            found = select(_I.sealed_revision, _I.sealed_credentials).where(_I.id == instance_id)
            row = (await connection.execute(found)).one_or_none()
        if row is None or row.sealed_credentials is None:
            return None
        return int(row.sealed_revision), bytes(row.sealed_credentials)

    async def change(
        self,
        instance_id: InstanceId,
        now: float,
        event: Event,
        *,
        name: str | None = None,
        settings: GatewaySettings | None = None,
        credential_names: frozenset[Credential] | None = None,
        sealed: bytes | None = None,
        expected_revision: int | None = None,
    ) -> Instance:
        async with self._database.write() as connection:
            row = await _wanted(connection, instance_id)
            if expected_revision is not None and row.revision != expected_revision:
                raise RevisionMoved("It was changed meanwhile. Reload, and make your change again.")
            values: dict[str, Any] = {}
            if name is not None:
                values["name"] = name
            if settings is not None:
                values["settings"] = dump_settings(settings)
            if credential_names is not None:
                values["credential_names"] = dump_names(credential_names)
            if sealed is not None:
                values |= {"sealed_credentials": sealed, "sealed_revision": row.revision + 1}
            if settings is not None or credential_names is not None or sealed is not None:
                values |= {"revision": row.revision + 1, **_woken(row, InstanceEvent.CHANGED, now)}
            return await _write(connection, instance_id, values, event)

    async def ask_restart(self, instance_id: InstanceId, now: float, event: Event) -> Instance:
        async with self._database.write() as connection:
            row = await _wanted(connection, instance_id)
            taken = InstanceEvent.RETRIED if row.phase == Phase.FAILED else InstanceEvent.CHANGED
            values = {"restarts_asked": row.restarts_asked + 1, **_woken(row, taken, now)}
            return await _write(connection, instance_id, values, event)

    async def ask_update(self, instance_id: InstanceId, now: float, event: Event) -> bool:
        async with self._database.write() as connection:
            row = await _locked(connection, instance_id)
            if row.phase != Phase.RUNNING:
                return False
            await _write(connection, instance_id, _woken(row, InstanceEvent.CHANGED, now), event)
            return True

    async def ask_delete(self, instance_id: InstanceId, now: float, event: Event) -> Instance:
        async with self._database.write() as connection:
            row = await _locked(connection, instance_id)
            if row.desired == DesiredState.DELETED:
                return to_instance(row)
            values = {
                "desired": DesiredState.DELETED,
                "lease_token": None,
                **_woken(row, InstanceEvent.DELETE_ASKED, now),
                "next_attempt_at": when_broken(row),
            }
            return await _write(connection, instance_id, values, event)

    async def ask_restore(self, instance_id: InstanceId, caps: Caps, now: float, event: Event) -> Instance:
        async with self._database.write() as connection:
            await self._database.lock(connection, CREATE_LOCK)
            row = await _locked(connection, instance_id)
            if row.phase != Phase.DELETED:
                why = "What it kept was destroyed." if row.phase == Phase.PURGED else f"It is {row.phase}."
                raise StateConflict(f"{why} Only a deleted instance can be brought back.")
            if _purge_began(row) or (row.purge_after is not None and row.purge_after <= now):
                raise StateConflict("The time for undo has passed; create a new instance.")
            _check_caps((await connection.execute(_ADMISSION, {"owner": row.owner_id, "key": None})).one(), caps)
            values = {
                "desired": DesiredState.RUNNING,
                "applied_revision": None,
                "deleted_at": None,
                "purge_after": None,
                "lease_token": None,
                **_woken(row, InstanceEvent.RESTORED, now),
            }
            return await _write(connection, instance_id, values, event)

    async def _select(self, *conditions: Any, limit: int | None = None) -> Sequence[Instance]:
        statement = select(tables.instances).where(*conditions).order_by(_I.created_at.desc(), _I.id).limit(limit)
        async with self._database.read() as connection:
            return [to_instance(row) for row in await connection.execute(statement)]


async def _admit(connection: AsyncConnection, owner_id: UserId, caps: Caps, idempotency: IdempotencyKey | None) -> Instance | None:
    """The instance that an earlier request with this key made, or None where a new one may be made; one query for all of it."""
    key = None if idempotency is None else idempotency.key
    row = (await connection.execute(_ADMISSION, {"owner": owner_id, "key": key})).one()
    if idempotency is None or row.instance_id is None:
        _check_caps(row, caps)
        return None
    if row.fingerprint != idempotency.fingerprint:
        raise StateConflict("This idempotency key was used for another request. Take a new key.")
    return to_instance((await connection.execute(_BY_ID, {"instance_id": row.instance_id})).one())


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


async def _record_create(connection: AsyncConnection, instance: Instance, machine: Row[Any] | None, now: float) -> None:
    def event(name: EventName) -> Event:
        return Event(name, now, instance.id, instance.machine_id, instance.owner_id)

    happened = [event(EventName.INSTANCE_CREATED)]
    if machine is not None:
        happened.append(event(EventName.MACHINE_CLAIMED))
        step = Step(StepName.MACHINE, 1, 1, now, now, note=_NOTE[machine.warmth])
        await connection.execute(_ADD_STEP, step_values(instance.id, step))
    await connection.execute(ADD_EVENTS, [event_values(each) for each in happened])


def _woken(row: Row[Any], event: InstanceEvent, now: float) -> dict[str, Any]:
    """The next phase, due at once, with a clean slate of attempts."""
    phase = next_phase(Phase(row.phase), event)
    values: dict[str, Any] = {"phase": phase, "next_attempt_at": 0.0, "attempts": 0, "last_error": None}
    return values if phase == row.phase else {**values, "phase_changed_at": now}


def _purge_began(row: Row[Any]) -> bool:
    """Whether a deleted row was ever leased: then volume and secret may be destroyed already, whatever the caller's clock says."""
    return row.lease_token is not None or row.next_attempt_at > 0


async def _locked(connection: AsyncConnection, instance_id: InstanceId) -> Row[Any]:
    row = (await connection.execute(_BY_ID_LOCKED, {"instance_id": instance_id})).one_or_none()
    if row is None:
        raise NotFound(f"There is no instance {str(instance_id)[:40]!r}.")
    return row


async def _wanted(connection: AsyncConnection, instance_id: InstanceId) -> Row[Any]:
    row = await _locked(connection, instance_id)
    if row.desired == DesiredState.DELETED:
        raise StateConflict("It is deleted, or being deleted. Restore it first.")
    return row


async def _write(connection: AsyncConnection, instance_id: InstanceId, values: dict[str, Any], event: Event) -> Instance:
    await connection.execute(ADD_EVENTS, event_values(event))
    if not values:
        return to_instance(await _locked(connection, instance_id))
    statement = update(tables.instances).where(_I.id == instance_id).values(values).returning(*tables.instances.c)
    return to_instance((await connection.execute(statement)).one())
