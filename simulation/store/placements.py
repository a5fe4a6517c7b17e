"""The part of `InstanceStore` that works under a lease, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.instance import UNSETTLED_PHASES, DesiredState, Instance, InstanceEvent, Phase, Step, next_phase
from openclaw_hosted.domain.machine import Machine, MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId, volume_of
from openclaw_hosted.ports.stores import Lease
from simulation.store.database import Database, InstanceRow, row_with
from simulation.store.machines import claim_spare

_TABLE = "instances"
_WANTING = frozenset({Phase.PENDING, Phase.REPLACING})
_UNTIL_THE_END = (InstanceEvent.TORN_DOWN, InstanceEvent.PURGED)


class MemoryPlacements:
    """What controllers do with a leased instance."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def lease_due(self, limit: int, seconds: float) -> Sequence[tuple[Instance, Lease]]:
        with self._db.write():
            due = self._db.due((row for row in self._db.instances.values() if self._has_work(row.value)), limit, seconds)
            spares = sum(row.value.state is MachineState.AVAILABLE for row in self._db.machines.values())
            waiting = (row for row in self._db.instances.values() if _waits(row.value))
            due += self._db.due(waiting, min(limit - len(due), spares), seconds)
            return self._db.lease(_TABLE, due, seconds)

    def _has_work(self, instance: Instance) -> bool:
        """Whether it has other work than to wait for a machine."""
        if instance.phase is Phase.DELETED:
            return instance.purge_after is not None and instance.purge_after <= self._db.now()
        replaced = instance.phase is Phase.REPLACING and instance.machine_id is not None
        return replaced or instance.phase in UNSETTLED_PHASES - _WANTING

    async def renew(self, lease: Lease, seconds: float) -> Lease:
        with self._db.write():
            return self._db.renew(_TABLE, lease, seconds)

    async def put_off(self, lease: Lease, seconds: float, error: str | None, *, counts: bool = True) -> None:
        with self._db.write():
            self._db.put_off(_TABLE, lease, seconds, error, counts=counts)

    async def claim_machine(self, lease: Lease, now: float, event: Event) -> tuple[Instance, Machine] | None:
        with self._db.write():
            row: InstanceRow = self._db.held(_TABLE, lease)
            instance = row.value
            if instance.machine_id is not None:
                return instance, self._db.machines[instance.machine_id].value
            phase = next_phase(instance.phase, InstanceEvent.MACHINE_CLAIMED)
            claimed = claim_spare(self._db, instance.id, instance.generation + 1, now, instance.zone)
            if claimed is None:
                return None
            bound = replace(
                instance,
                phase=phase,
                phase_changed_at=now if phase is not instance.phase else instance.phase_changed_at,
                machine_id=claimed.id,
                generation=instance.generation + 1,
                volume_id=volume_of(instance.id),
                zone=instance.zone or claimed.zone,
                applied_revision=None,
            )
            self._db.put(_TABLE, instance.id, replace(row, value=bound))
            self._db.record(replace(event, instance_id=instance.id, machine_id=claimed.id, user_id=instance.owner_id))
            return bound, claimed

    async def record_steps(self, lease: Lease, steps: Sequence[Step]) -> None:
        with self._db.write():
            row: InstanceRow = self._db.held(_TABLE, lease)
            self._add_steps(row.value.id, steps)

    def _add_steps(self, instance_id: InstanceId, steps: Sequence[Step]) -> None:
        if not steps:
            return
        known = {_key(step): step for step in self._db.steps.get(instance_id, ())}
        known.update({_key(step): step for step in steps})
        self._db.put("steps", instance_id, tuple(known.values()))

    async def forget_sealed(self, lease: Lease, revision: int) -> None:
        with self._db.write():
            row: InstanceRow = self._db.held(_TABLE, lease)
            if row.sealed_revision == revision:
                handed_over = replace(row.value, sealed_revision=None)
                self._db.put(_TABLE, handed_over.id, replace(row, value=handed_over, sealed=None, sealed_revision=None))

    async def note_restart(self, lease: Lease, number: int) -> None:
        with self._db.write():
            row: InstanceRow = self._db.held(_TABLE, lease)
            noted = replace(row.value, restarts_done=number)
            self._db.put(_TABLE, noted.id, replace(row, value=noted))

    async def unbind_machine(self, lease: Lease) -> Instance:
        with self._db.write():
            row: InstanceRow = self._db.held(_TABLE, lease)
            unbound = replace(row.value, machine_id=None)
            self._db.put(_TABLE, unbound.id, replace(row, value=unbound))
            return unbound

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
        with self._db.write():
            row: InstanceRow = self._db.held(_TABLE, lease)
            instance = row.value
            self._add_steps(instance.id, steps)
            freed = replace(row.work, token=None, next_attempt_at=0.0)
            if instance.desired is DesiredState.DELETED and event not in _UNTIL_THE_END:
                return self._keep(row_with(row, instance, freed))
            settled = replace(
                instance,
                attempts=0,
                last_error=error,
                applied_revision=instance.applied_revision if applied_revision is None else applied_revision,
                restarts_done=instance.restarts_done if restarts_done is None else restarts_done,
            )
            if event is InstanceEvent.TORN_DOWN:
                settled = replace(settled, machine_id=None, deleted_at=now, purge_after=purge_after)
            elif event is InstanceEvent.PURGED:
                settled = replace(settled, volume_id=None, credential_names=frozenset(), sealed_revision=None)
                row = replace(row, sealed=None, sealed_revision=None)
            phase = next_phase(instance.phase, event)
            if phase is Phase.RUNNING and _has_more_to_do(settled):
                phase = Phase.UPDATING
            changed_at = now if phase is not instance.phase else instance.phase_changed_at
            self._db.record(note)
            return self._keep(row_with(row, replace(settled, phase=phase, phase_changed_at=changed_at), freed))

    def _keep(self, row: InstanceRow) -> Instance:
        self._db.put(_TABLE, row.value.id, row)
        return row.value

    async def machine_lost(self, instance_id: InstanceId, machine_id: MachineId, now: float, event: Event) -> bool:
        with self._db.write():
            row = self._db.instances.get(instance_id)
            if row is None:
                return False
            instance = row.value
            if instance.machine_id != machine_id or instance.desired is DesiredState.DELETED or instance.phase is Phase.FAILED:
                return False
            lost = replace(
                instance,
                phase=next_phase(instance.phase, InstanceEvent.MACHINE_LOST),
                phase_changed_at=now,
                machine_id=None,
                attempts=0 if instance.phase is Phase.RUNNING else instance.attempts,
            )
            self._keep(row_with(row, lost, replace(row.work, token=None, next_attempt_at=0.0)))
            self._db.record(event)
            return True


def _key(step: Step) -> tuple[str, int, int, float]:
    return step.name, step.generation, step.attempt, step.started_at


def _waits(instance: Instance) -> bool:
    """Whether it wants a machine and has none."""
    return instance.phase in _WANTING and instance.machine_id is None


def _has_more_to_do(settled: Instance) -> bool:
    behind = settled.applied_revision is not None and settled.revision > settled.applied_revision
    return behind or settled.restarts_asked > settled.restarts_done
