"""What controllers do with a leased instance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.instance import UNSETTLED_PHASES, DesiredState, Instance, InstanceEvent, Phase, Step, next_phase
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.naming import InstanceId, MachineId, volume_of
from openclaw_hosted.ports.stores import Lease
from openclaw_hosted.store import tables
from openclaw_hosted.store.database import Database
from openclaw_hosted.store.machines import claim_spare, count_spares
from openclaw_hosted.store.rows import ADD_EVENTS, event_values, step_values, to_instance, to_machine
from openclaw_hosted.store.work import WorkTable

_I = tables.instances.c
_S = tables.steps.c
WANTING_PHASES = frozenset({Phase.PENDING, Phase.REPLACING})
WAITING = and_(_I.phase.in_(sorted(WANTING_PHASES)), _I.machine_id.is_(None))
"""Wants a machine and has none."""
_UNTIL_THE_END = frozenset({InstanceEvent.TORN_DOWN, InstanceEvent.PURGED})


def _record_step(*, is_sqlite: bool) -> Any:
    """Insert a step, or update the one that began then."""
    add = sqlite_insert(tables.steps) if is_sqlite else postgres_insert(tables.steps)
    key = (_S.instance_id, _S.name, _S.generation, _S.attempt, _S.started_at)
    return add.on_conflict_do_update(index_elements=key, set_={name: add.excluded[name] for name in ("ended_at", "error", "note")})


_RECORD_STEP = {is_sqlite: _record_step(is_sqlite=is_sqlite) for is_sqlite in (True, False)}


class PlacementRows:
    """The part of `InstanceStore` that works under a lease."""

    def __init__(self, database: Database) -> None:
        self._database = database
        purgeable = and_(_I.phase == Phase.DELETED, _I.purge_after <= database.now)
        replaced = and_(_I.phase == Phase.REPLACING, _I.machine_id.is_not(None))
        others = sorted(UNSETTLED_PHASES - WANTING_PHASES)
        self._work = WorkTable(database, tables.instances, or_(_I.phase.in_(others), replaced, purgeable))
        self._wanting = WorkTable(database, tables.instances, WAITING)

    async def lease_due(self, limit: int, seconds: float) -> Sequence[tuple[Instance, Lease]]:
        async with self._database.write() as connection:
            due = list(await self._work.lease_due(connection, limit, seconds))
            if room := min(limit - len(due), await count_spares(connection) if len(due) < limit else 0):
                due += await self._wanting.lease_due(connection, room, seconds)
        return [(to_instance(row), lease) for row, lease in due]

    async def renew(self, lease: Lease, seconds: float) -> Lease:
        return await self._work.renew(lease, seconds)

    async def put_off(self, lease: Lease, seconds: float, error: str | None, *, counts: bool = True) -> None:
        await self._work.put_off(lease, seconds, error, counts=counts)

    async def claim_machine(self, lease: Lease, now: float, event: Event) -> tuple[Instance, Machine] | None:
        async with self._database.write() as connection:
            row = await self._work.held(connection, lease)
            if row.machine_id is not None:
                machine = (await connection.execute(select(tables.machines).where(tables.machines.c.id == row.machine_id))).one()
                return to_instance(row), to_machine(machine)
            phase = next_phase(Phase(row.phase), InstanceEvent.MACHINE_CLAIMED)
            claimed = await claim_spare(connection, InstanceId(row.id), row.generation + 1, now, row.zone)
            if claimed is None:
                return None
            bound = await self._work.guarded(
                connection,
                lease,
                phase=phase,
                phase_changed_at=now if phase != row.phase else row.phase_changed_at,
                machine_id=claimed.id,
                generation=row.generation + 1,
                volume_id=volume_of(InstanceId(row.id)),
                zone=row.zone or claimed.zone,
                applied_revision=None,
            )
            about = {**event_values(event), "instance_id": row.id, "machine_id": claimed.id, "user_id": row.owner_id}
            await connection.execute(ADD_EVENTS, about)
        return to_instance(bound), to_machine(claimed)

    async def record_steps(self, lease: Lease, steps: Sequence[Step]) -> None:
        async with self._database.write() as connection:
            row = await self._work.held(connection, lease)
            await self._add_steps(connection, row.id, steps)

    async def _add_steps(self, connection: AsyncConnection, instance_id: str, steps: Sequence[Step]) -> None:
        if steps:
            await connection.execute(_RECORD_STEP[self._database.is_sqlite], [step_values(instance_id, step) for step in steps])

    async def forget_sealed(self, lease: Lease, revision: int) -> None:
        async with self._database.write() as connection:
            row = await self._work.held(connection, lease)
            if row.sealed_revision == revision:
                await self._work.guarded(connection, lease, sealed_credentials=None, sealed_revision=None)

    async def note_restart(self, lease: Lease, number: int) -> None:
        async with self._database.write() as connection:
            await self._work.guarded(connection, lease, restarts_done=number)

    async def unbind_machine(self, lease: Lease) -> Instance:
        async with self._database.write() as connection:
            return to_instance(await self._work.guarded(connection, lease, machine_id=None))

    async def settle(
        self,
        lease: Lease,
        event: InstanceEvent,
        now: float,
        *,
        note: Event | None = None,
        applied_revision: int | None = None,
        restarts_done: int | None = None,
        purge_after: float | None = None,
        error: str | None = None,
        steps: Sequence[Step] = (),
    ) -> Instance:
        async with self._database.write() as connection:
            row = await self._work.held(connection, lease)
            await self._add_steps(connection, row.id, steps)
            if row.desired == DesiredState.DELETED and event not in _UNTIL_THE_END:
                return to_instance(await self._work.guarded(connection, lease, lease_token=None, next_attempt_at=0.0))
            values: dict[str, Any] = {"lease_token": None, "attempts": 0, "next_attempt_at": 0.0, "last_error": error}
            if applied_revision is not None:
                values["applied_revision"] = applied_revision
            if restarts_done is not None:
                values["restarts_done"] = restarts_done
            values |= _ending(event, now, purge_after)
            phase = next_phase(Phase(row.phase), event)
            if phase is Phase.RUNNING and _has_more_to_do(row, values):
                phase = Phase.UPDATING
            values |= {"phase": phase, "phase_changed_at": now if phase != row.phase else row.phase_changed_at}
            settled = await self._work.guarded(connection, lease, **values)
            if note is not None:
                await connection.execute(ADD_EVENTS, event_values(note))
        return to_instance(settled)

    async def machine_lost(self, instance_id: InstanceId, machine_id: MachineId, now: float, event: Event) -> bool:
        async with self._database.write() as connection:
            found = select(tables.instances).where(_I.id == instance_id).with_for_update()
            row = (await connection.execute(found)).one_or_none()
            if row is None or row.machine_id != machine_id or row.desired == DesiredState.DELETED or row.phase == Phase.FAILED:
                return False
            values = {
                "phase": next_phase(Phase(row.phase), InstanceEvent.MACHINE_LOST),
                "phase_changed_at": now,
                "machine_id": None,
                "lease_token": None,
                "next_attempt_at": 0.0,
                "attempts": 0 if row.phase == Phase.RUNNING else row.attempts,
            }
            await connection.execute(update(tables.instances).where(_I.id == instance_id).values(values))
            await connection.execute(ADD_EVENTS, event_values(event))
        return True


def _ending(event: InstanceEvent, now: float, purge_after: float | None) -> dict[str, Any]:
    if event is InstanceEvent.TORN_DOWN:
        return {"machine_id": None, "deleted_at": now, "purge_after": purge_after}
    if event is InstanceEvent.PURGED:
        return {"volume_id": None, "sealed_credentials": None, "sealed_revision": None, "credential_names": "[]"}
    return {}


def _has_more_to_do(row: Any, values: dict[str, Any]) -> bool:
    applied = values.get("applied_revision", row.applied_revision)
    restarts = values.get("restarts_done", row.restarts_done)
    return bool((applied is not None and row.revision > applied) or row.restarts_asked > restarts)
