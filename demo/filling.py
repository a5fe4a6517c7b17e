"""Writes a month into an empty database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Table, insert

from demo.month import Month
from openclaw_hosted.domain.instance import Instance, Phase, Step, StepName
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.pool import PoolStatus
from openclaw_hosted.domain.volume import Volume, VolumeState
from openclaw_hosted.store import Store, tables
from openclaw_hosted.store.rows import event_values, instance_values, machine_values, step_values, volume_values

ROWS_AT_ONCE = 2000
STEPS = ((StepName.MACHINE, 0.0), (StepName.GATEWAY, 0.4), (StepName.TARGET, 0.2), (StepName.ROUTE, 0.3), (StepName.PROBE, 0.6))


async def fill(store: Store, month: Month) -> None:
    """Users, machines, instances with their steps and volumes, events, history, and a pool that is ready."""
    users = [
        {"id": user.id, "email": user.email, "role": user.role, "disabled": False, "created_at": user.created_at} for user in month.users
    ]
    await _write(store, tables.users, users)
    await _write(store, tables.machines, [machine_values(machine) for machine in month.machines.values()])
    instances = list(month.instances.values())
    await _write(store, tables.instances, [instance_values(instance) for instance in instances])
    await _write(store, tables.volumes, [volume_values(_volume(month, instance)) for instance in instances])
    await _write(store, tables.steps, [step_values(instance.id, step) for instance in instances for step in _steps(instance)])
    await _write(store, tables.events, [event_values(event) for event in month.events])
    await store.platform.set_pool(status=PoolStatus.READY)
    counted, _ = await store.history.uncounted(1)
    newest = (await store.platform.events(limit=1))[0].id or 0
    assert await store.history.add(month.history, counted=newest, after=counted, now=month.plan.end)


async def _write(store: Store, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    for first in range(0, len(rows), ROWS_AT_ONCE):
        async with store.database.write() as connection:
            await connection.execute(insert(table), rows[first : first + ROWS_AT_ONCE])


def _volume(month: Month, instance: Instance) -> Volume:
    machine = month.machines.get(instance.machine_id) if instance.machine_id else None
    made = instance.generation > 0 and (machine is None or machine.state is not MachineState.INITIALIZING)
    zone = machine.zone if machine else ""
    return Volume(instance.id, VolumeState.MADE if made else VolumeState.WANTED, zone, machine.image if machine else "")


def _steps(instance: Instance) -> Iterator[Step]:
    if instance.phase is not Phase.RUNNING:
        return
    at = instance.phase_changed_at - sum(seconds for _, seconds in STEPS)
    for name, seconds in STEPS:
        yield Step(name, instance.generation, 1, at, at + seconds, note="a hot spare was free" if name is StepName.MACHINE else None)
        at += seconds
