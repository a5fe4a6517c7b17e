"""Rows of machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Float, Integer, Row, Text, bindparam, case, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.lifecycle import Topic
from openclaw_hosted.domain.machine import LIVE_STATES, TRANSITIONS, Machine, MachineEvent, MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.observation import Observation
from openclaw_hosted.ports.stores import Hints, Lease, LossRule, MachineRule, NewMachine
from openclaw_hosted.store import tables
from openclaw_hosted.store.changing import add_events, locked_instance, locked_machine, write_instance, write_machine
from openclaw_hosted.store.database import FLEET_LOCK, Database
from openclaw_hosted.store.hints import hint_all
from openclaw_hosted.store.rows import ADD_EVENTS, event_values, to_instance, to_machine, to_observation
from openclaw_hosted.store.words import one_of, word
from openclaw_hosted.store.work import WorkTable

_M = tables.machines.c
_LIVE = one_of(_M.state, LIVE_STATES)
_POOLED = one_of(_M.state, (MachineState.AVAILABLE, MachineState.INITIALIZING))
_UNSETTLED = one_of(_M.state, (MachineState.INITIALIZING, MachineState.TERMINATING))
BY_ID = select(tables.machines).where(_M.id == bindparam("machine_id", type_=Text))
_INSERT = insert(tables.machines).returning(*tables.machines.c, sort_by_parameter_order=True)
_WARMEST_FIRST = case({Warmth.HOT.value: 0}, value=_M.warmth, else_=1)
_ZONE = bindparam("only_zone", type_=Text)
_NOTICED = (
    select(tables.machines)
    .where(_M.notice.is_not(None), one_of(_M.state, (MachineState.ASSIGNED, MachineState.TERMINATING)), _M.instance_id.is_not(None))
    .order_by(_M.created_at, _M.id)
)
_COUNT_SPARES = select(func.count()).select_from(tables.machines).where(_M.state == word(MachineState.AVAILABLE))
HAS_SPARE = select(_M.id).where(_M.state == word(MachineState.AVAILABLE)).exists()
"""Whether to try a claim at all: one that finds nothing costs as much as a tenth of a create."""
_CANDIDATE = (
    select(_M.id)
    .where(_M.state == word(MachineState.AVAILABLE), or_(_ZONE == "", _M.zone == _ZONE))
    .order_by(_WARMEST_FIRST, _M.created_at, _M.id)
    .limit(1)
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
_CLAIM = (
    update(tables.machines)
    .where(_M.id == _CANDIDATE, _M.state == word(MachineState.AVAILABLE))
    .values(
        state=word(TRANSITIONS[MachineState.AVAILABLE, MachineEvent.CLAIMED]),
        instance_id=func.coalesce(bindparam("new_instance_id", type_=Text), _M.reserved_instance_id),
        generation=bindparam("new_generation", type_=Integer),
        state_changed_at=bindparam("at", type_=Float),
    )
    .returning(*tables.machines.c)
)
_OLDEST_FIRST = select(tables.machines).order_by(_M.created_at, _M.id)
_LIST_LIVE, _LIST_POOLED = _OLDEST_FIRST.where(_LIVE), _OLDEST_FIRST.where(_POOLED)
_COUNT_LIVE = select(func.count()).select_from(tables.machines).where(_LIVE)
BY_STATE = select(_M.state, func.count()).where(_LIVE).group_by(_M.state)
_COUNT_OTHERS = _COUNT_LIVE.where(~_POOLED)
_SEEN = select(tables.observations)
_ENDED = select(_M.id).where(_M.id == tables.observations.c.machine_id, _M.state == word(MachineState.TERMINATED))
_FORGET = delete(tables.observations).where(_ENDED.exists())


def _keep(*, is_sqlite: bool) -> Any:
    add = sqlite_insert(tables.observations) if is_sqlite else postgres_insert(tables.observations)
    others = [column.name for column in tables.observations.c if not column.primary_key]
    return add.on_conflict_do_update(index_elements=[tables.observations.c.machine_id], set_={name: add.excluded[name] for name in others})


_KEEP = {is_sqlite: _keep(is_sqlite=is_sqlite) for is_sqlite in (True, False)}


class SqlMachines:
    """`MachineStore` on a database."""

    def __init__(self, database: Database, hints: Hints) -> None:
        self._database = database
        self._hints = hints
        self._work = WorkTable(database, tables.machines, _UNSETTLED)

    async def add(self, machines: Sequence[NewMachine], fleet_cap: int, now: float, events: Sequence[Event] = ()) -> Sequence[Machine]:
        async with self._database.write() as connection:
            await self._database.lock(connection, FLEET_LOCK)
            room = fleet_cap - await _count_live(connection)
            new = machines[: max(0, room)]
            if not new:
                return []
            added = await _insert(connection, new, now)
            ids = {machine.id for machine in added}
            if noted := [event_values(event) for event in events if event.machine_id in ids]:
                await connection.execute(ADD_EVENTS, noted)
        await hint_all(self._hints, {Topic.MACHINES, Topic.CHANGES})
        return added

    async def adopt(self, machine: NewMachine, provider_ref: str, fleet_cap: int, now: float, event: Event) -> Machine | None:
        async with self._database.write() as connection:
            await self._database.lock(connection, FLEET_LOCK)
            known = (await connection.execute(select(_M.id).where(_M.provider_ref == provider_ref))).one_or_none()
            if known is not None or await _count_live(connection) >= fleet_cap:
                return None
            adopted = await _insert(connection, [machine], now, provider_ref=provider_ref)
            await connection.execute(ADD_EVENTS, event_values(event))
        await hint_all(self._hints, {Topic.MACHINES, Topic.CHANGES})
        return adopted[0]

    async def get(self, machine_id: MachineId) -> Machine:
        async with self._database.read() as connection:
            row = (await connection.execute(BY_ID, {"machine_id": machine_id})).one_or_none()
        if row is None:
            raise NotFound(f"There is no machine {str(machine_id)[:40]!r}.")
        return to_machine(row)

    async def list_live(self) -> Sequence[Machine]:
        async with self._database.read() as connection:
            return [to_machine(row) for row in await connection.execute(_LIST_LIVE)]

    async def count_live(self) -> Mapping[MachineState, int]:
        async with self._database.read() as connection:
            return {MachineState(state): int(count) for state, count in await connection.execute(BY_STATE)}

    async def list_pooled(self) -> tuple[Sequence[Machine], int]:
        async with self._database.read() as connection:
            pooled = [to_machine(row) for row in await connection.execute(_LIST_POOLED)]
            return pooled, int((await connection.execute(_COUNT_OTHERS)).scalar_one())

    async def list_noticed(self) -> Sequence[Machine]:
        async with self._database.read() as connection:
            return [to_machine(row) for row in await connection.execute(_NOTICED)]

    async def list_recent(self, limit: int = 200) -> Sequence[Machine]:
        async with self._database.read() as connection:
            rows = await connection.execute(select(tables.machines).order_by(_M.created_at.desc(), _M.id).limit(limit))
            return [to_machine(row) for row in rows]

    async def lease_due(self, limit: int, seconds: float) -> Sequence[tuple[Machine, Lease]]:
        async with self._database.write() as connection:
            due = await self._work.lease_due(connection, limit, seconds)
        return [(to_machine(row), lease) for row, lease in due]

    async def renew(self, leases: Sequence[Lease], seconds: float) -> frozenset[str]:
        return await self._work.renew(leases, seconds)

    async def update(self, machine_id: MachineId, rule: MachineRule, *, lease: Lease | None = None) -> Machine:
        async with self._database.write() as connection:
            row = await (locked_machine(connection, machine_id) if lease is None else self._work.held(connection, lease))
            changed = rule(to_machine(row))
            updated = await write_machine(connection, row, changed)
            await add_events(connection, changed)
        await hint_all(self._hints, changed.wakes)
        return updated

    async def lose(self, machine_id: MachineId, rule: LossRule) -> Machine:
        async with self._database.write() as connection:
            instance, machine = await _locked_together(connection, machine_id)
            changed = rule(to_machine(machine), None if instance is None else to_instance(instance))
            lost = await write_machine(connection, machine, changed)
            if instance is not None:
                await write_instance(connection, instance, changed)
            await add_events(connection, changed)
        await hint_all(self._hints, changed.wakes)
        return lost

    async def observations(self) -> Mapping[MachineId, Observation]:
        async with self._database.read() as connection:
            rows = await connection.execute(_SEEN)
            return {seen.machine_id: seen for seen in map(to_observation, rows)}

    async def observe(self, seen: Sequence[Observation]) -> None:
        async with self._database.write() as connection:
            await connection.execute(_FORGET)
            if seen:
                await connection.execute(_KEEP[self._database.is_sqlite], [asdict(each) for each in seen])

    async def reschedule(self, lease: Lease, seconds: float, error: str | None, *, counts: bool = True) -> None:
        await self._work.reschedule(lease, seconds, error, counts=counts)


async def count_spares(connection: AsyncConnection) -> int:
    """How many there are to claim."""
    return int((await connection.execute(_COUNT_SPARES)).scalar_one())


async def claim_spare(
    connection: AsyncConnection, instance_id: InstanceId | None, generation: int, now: float, zone: str = ""
) -> Row[Any] | None:
    """Take a spare, the warmest first and then the oldest, in one statement; None when there is none.

    Without an `instance_id` the spare's own reserved id is taken. With a `zone` only a spare there will do.
    """
    values = {"new_instance_id": instance_id, "new_generation": generation, "at": now, "only_zone": zone}
    return (await connection.execute(_CLAIM, values)).one_or_none()


async def _count_live(connection: AsyncConnection) -> int:
    return int((await connection.execute(_COUNT_LIVE)).scalar_one())


async def _insert(
    connection: AsyncConnection, machines: Sequence[NewMachine], now: float, provider_ref: str | None = None
) -> list[Machine]:
    rows = await connection.execute(_INSERT, [_values(new, now, provider_ref) for new in machines])
    return [to_machine(row) for row in rows]


def _values(new: NewMachine, now: float, provider_ref: str | None) -> dict[str, Any]:
    return {
        "id": new.id,
        "state": MachineState.INITIALIZING,
        "reserved_instance_id": new.reserved_instance_id,
        "volume_id": new.volume_id,
        "image": new.image,
        "warmth": new.warmth,
        "zone": new.zone,
        "provider_ref": provider_ref,
        "created_at": now,
        "state_changed_at": now,
    }


async def _locked_together(connection: AsyncConnection, machine_id: MachineId) -> tuple[Row[Any] | None, Row[Any]]:
    """The instance that a machine is bound to and the machine, locked in this order, as everywhere: so no two wait for each other."""
    while True:
        found = (await connection.execute(BY_ID, {"machine_id": machine_id})).one_or_none()
        bound_to = None if found is None else found.instance_id
        instance = None if bound_to is None else await locked_instance(connection, InstanceId(bound_to))
        machine = await locked_machine(connection, machine_id)
        if machine.instance_id == bound_to:
            return instance, machine
