"""What is let go of, and how: a bounded number of rows at once, the oldest first."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Delete, delete, func, select

from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.ports.stores import PRUNED_AT_ONCE
from openclaw_hosted.store import tables
from openclaw_hosted.store.words import word

_E, _M, _S, _O = tables.events.c, tables.machines.c, tables.steps.c, tables.observations.c


def pruning(events_before: float, machines_before: float, steps_kept: int) -> Sequence[Delete]:
    """Statements for `PlatformStore.prune`."""
    newest = select(func.max(_E.id)).scalar_subquery()
    old_events = select(_E.id).where(_E.at < events_before, _E.id < newest).order_by(_E.id).limit(PRUNED_AT_ONCE)
    bound = select(tables.instances.c.id).where(tables.instances.c.machine_id == _M.id).exists()
    gone = (_M.state == word(MachineState.TERMINATED)) & (_M.state_changed_at < machines_before) & ~bound
    old_machines = select(_M.id).where(gone).order_by(_M.state_changed_at).limit(PRUNED_AT_ONCE)
    number = func.row_number().over(partition_by=_S.instance_id, order_by=_S.id.desc()).label("number")
    crowded = select(_S.instance_id).group_by(_S.instance_id).having(func.count() > steps_kept)
    numbered = select(_S.id, number).where(_S.instance_id.in_(crowded)).subquery()
    old_steps = select(numbered.c.id).where(numbered.c.number > steps_kept).limit(PRUNED_AT_ONCE)
    return [
        delete(tables.events).where(_E.id.in_(old_events)),
        delete(tables.observations).where(_O.machine_id.in_(select(_M.id).where(gone))),
        delete(tables.machines).where(_M.id.in_(old_machines)),
        delete(tables.steps).where(_S.id.in_(old_steps)),
    ]
