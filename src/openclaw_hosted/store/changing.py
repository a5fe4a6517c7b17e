"""One transaction for a rule of `domain.lifecycle`: rows locked and read, the rule asked, what it answers written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Executable, Row, Table, Text, bindparam, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from openclaw_hosted.domain.errors import NotFound, StateConflict
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.lifecycle import Changed, Work
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.restore_point import PointState, RestorePoint
from openclaw_hosted.domain.volume import Volume, VolumeState
from openclaw_hosted.store import tables
from openclaw_hosted.store.rows import (
    ADD_EVENTS,
    event_values,
    instance_values,
    machine_values,
    restore_point_values,
    to_instance,
    to_machine,
    volume_values,
)

_ADD_POINT = text(
    "INSERT INTO restore_points (id, instance_id, made_at, cause, state, size_bytes, owner_id) "
    "VALUES (:id, :instance_id, :made_at, :cause, :state, :size_bytes, :owner_id) ON CONFLICT (id) DO NOTHING"
)
"""As SQLite and Postgres both take it."""
_INSTANCE = select(tables.instances).where(tables.instances.c.id == bindparam("instance_id", type_=Text)).with_for_update()
_MACHINE = select(tables.machines).where(tables.machines.c.id == bindparam("machine_id", type_=Text)).with_for_update()

_KEEP_VOLUME = (
    update(tables.volumes)
    .where(tables.volumes.c.instance_id == bindparam("of_instance", type_=Text))
    .values({name: bindparam(f"new_{name}", type_=Text) for name in ("state", "zone", "image", "point_id", "mark")})
)
_POINT_STATE = (
    select(tables.restore_points.c.state).where(tables.restore_points.c.id == bindparam("point_id", type_=Text)).with_for_update()
)


async def locked_instance(connection: AsyncConnection, instance_id: InstanceId) -> Row[Any]:
    """The row, locked until the end of the transaction. Raises `NotFound`."""
    row = (await connection.execute(_INSTANCE, {"instance_id": instance_id})).one_or_none()
    if row is None:
        raise NotFound(f"There is no instance {str(instance_id)[:40]!r}.")
    return row


async def locked_machine(connection: AsyncConnection, machine_id: MachineId) -> Row[Any]:
    """The row, locked until the end of the transaction. Raises `NotFound`."""
    row = (await connection.execute(_MACHINE, {"machine_id": machine_id})).one_or_none()
    if row is None:
        raise NotFound(f"There is no machine {str(machine_id)[:40]!r}.")
    return row


async def write_machine(connection: AsyncConnection, row: Row[Any], changed: Changed) -> Machine:
    """Write what a rule made of this machine, only the columns that differ. Returns it as it is now."""
    if changed.machine is None:
        return to_machine(row)
    values = _differing(machine_values(to_machine(row)), machine_values(changed.machine)) | _work(row, changed.machine_work)
    return to_machine(await _update(connection, tables.machines, row, values))


async def write_instance(connection: AsyncConnection, row: Row[Any], changed: Changed) -> Instance:
    """Write what a rule made of this instance and its volume, only the columns that differ. Returns it as it is now."""
    if changed.volume is not None:
        if changed.volume.state is VolumeState.RESTORING:
            await check_point(connection, changed.volume)
        kept = {f"new_{name}": value for name, value in volume_values(changed.volume).items() if name != "instance_id"}
        await connection.execute(_KEEP_VOLUME, {"of_instance": row.id, **kept})
    await add_points(connection, changed.points)
    if changed.instance is None:
        return to_instance(row)
    values = _differing(instance_values(to_instance(row)), instance_values(changed.instance)) | _work(row, changed.instance_work)
    return to_instance(await _update(connection, tables.instances, row, values | _sealed(row, changed)))


async def check_point(connection: AsyncConnection, volume: Volume) -> None:
    """Raise `StateConflict` unless the restore point that a volume is to be made from is ready; it stays then until that is done."""
    state = (await connection.execute(_POINT_STATE, {"point_id": volume.point_id})).scalar_one_or_none()
    if state != PointState.READY:
        raise StateConflict("This restore point can't be restored: it is not ready, or it is gone. Choose another one.")


async def add_points(connection: AsyncConnection, points: Sequence[RestorePoint]) -> None:
    """Add rows of restore points; one that is there stays as it is."""
    if points:
        await connection.execute(_ADD_POINT, [restore_point_values(point) for point in points])


async def add_events(connection: AsyncConnection, changed: Changed) -> None:
    """Write what happened."""
    if changed.events:
        await connection.execute(ADD_EVENTS, [event_values(event) for event in changed.events])


def _sealed(row: Row[Any], changed: Changed) -> dict[str, Any]:
    if changed.sealed is not None:
        return {"sealed_credentials": changed.sealed}
    dropped = row.sealed_revision is not None and changed.instance is not None and changed.instance.sealed_revision is None
    return {"sealed_credentials": None} if dropped else {}


def _differing(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in after.items() if value != before[name]}


def _work(row: Row[Any], work: Work) -> dict[str, Any]:
    match work:
        case Work.KEPT:
            return {}
        case Work.DUE:
            return {"next_attempt_at": 0.0}
        case Work.FREE:
            return {"lease_token": None, "next_attempt_at": 0.0}
        case Work.BROKEN:
            return {"lease_token": None, "next_attempt_at": 0.0 if row.lease_token is None else float(row.lease_expires_at)}


async def _update(connection: AsyncConnection, table: Table, row: Row[Any], values: dict[str, Any]) -> Row[Any]:
    if not values:
        return row
    named = {"row_id": row.id} | {f"new_{name}": value for name, value in values.items()}
    return (await connection.execute(_update_of(table, frozenset(values)), named)).one()


@cache
def _update_of(table: Table, names: frozenset[str]) -> Executable:
    """Put together once for each set of columns: that costs more than what the database does with it."""
    values = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in sorted(names)}
    return update(table).where(table.c.id == bindparam("row_id", type_=Text)).values(values).returning(*table.c)
