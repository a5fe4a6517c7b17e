"""`MachineStore` in memory. Each method is one transaction, done at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.machine import LIVE_STATES, Machine, MachineEvent, MachineFailure, MachineState, Warmth, next_state
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.ports.stores import Lease, NewMachine
from simulation.store.database import Database, Duplicate, MachineRow, Work, broken

_TABLE = "machines"
_POOLED = (MachineState.AVAILABLE, MachineState.INITIALIZING)
_UNSETTLED = (MachineState.INITIALIZING, MachineState.TERMINATING)
_WARMTH = {Warmth.HOT: 0, Warmth.PULLED: 1}


class MemoryMachines:
    """Rows of machines."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, machines: Sequence[NewMachine], fleet_cap: int, now: float, events: Sequence[Event] = ()) -> Sequence[Machine]:
        with self._db.write():
            room = fleet_cap - len(self._live())
            added = [self._insert(new, now, None) for new in machines[: max(0, room)]]
            ids = {machine.id for machine in added}
            for event in events:
                if event.machine_id in ids:
                    self._db.record(event)
            return added

    async def adopt(self, machine: NewMachine, provider_ref: str, fleet_cap: int, now: float, event: Event) -> Machine | None:
        with self._db.write():
            known = any(row.value.provider_ref == provider_ref for row in self._db.machines.values())
            if known or len(self._live()) >= fleet_cap:
                return None
            adopted = self._insert(machine, now, provider_ref)
            self._db.record(event)
            return adopted

    async def get(self, machine_id: MachineId) -> Machine:
        return self._row(machine_id).value

    async def list_live(self) -> Sequence[Machine]:
        return sorted(self._live(), key=_age)

    async def list_pooled(self) -> tuple[Sequence[Machine], int]:
        live = self._live()
        pooled = sorted((machine for machine in live if machine.state in _POOLED), key=_age)
        return pooled, len(live) - len(pooled)

    async def list_recent(self, limit: int = 200) -> Sequence[Machine]:
        return sorted((row.value for row in self._db.machines.values()), key=lambda machine: (-machine.created_at, machine.id))[:limit]

    async def lease_due(self, limit: int, seconds: float) -> Sequence[tuple[Machine, Lease]]:
        with self._db.write():
            unsettled = (row for row in self._db.machines.values() if row.value.state in _UNSETTLED)
            return self._db.lease(_TABLE, self._db.due(unsettled, limit, seconds), seconds)

    async def renew(self, lease: Lease, seconds: float) -> Lease:
        with self._db.write():
            return self._db.renew(_TABLE, lease, seconds)

    async def put_off(self, lease: Lease, seconds: float, error: str | None, *, counts: bool = True) -> None:
        with self._db.write():
            self._db.put_off(_TABLE, lease, seconds, error, counts=counts)

    async def launched(self, lease: Lease, provider_ref: str, now: float) -> Machine:
        with self._db.write():
            row: MachineRow = self._db.held(_TABLE, lease)
            if any(r.value.provider_ref == provider_ref and r.value.id != row.value.id for r in self._db.machines.values()):
                raise Duplicate(provider_ref)
            return self._put(replace(row.value, provider_ref=provider_ref, state_changed_at=now), row.work)

    async def located(self, lease: Lease, address: str, zone: str) -> Machine:
        with self._db.write():
            row: MachineRow = self._db.held(_TABLE, lease)
            return self._put(replace(row.value, address=address, zone=zone), row.work)

    async def became_ready(self, lease: Lease, now: float, event: Event) -> Machine:
        with self._db.write():
            row: MachineRow = self._db.held(_TABLE, lease)
            state = next_state(row.value.state, MachineEvent.BECAME_READY)
            ready = replace(row.value, state=state, state_changed_at=now, attempts=0, last_error=None)
            self._db.record(event)
            return self._put(ready, replace(row.work, token=None))

    async def condemn(
        self, machine_id: MachineId, failure: MachineFailure, now: float, event: Event, *, unassigned_only: bool = False
    ) -> Machine | None:
        with self._db.write():
            row = self._row(machine_id)
            machine = row.value
            if unassigned_only and machine.state is MachineState.ASSIGNED:
                return None
            if machine.state in (MachineState.TERMINATING, MachineState.TERMINATED):
                return machine
            state = next_state(machine.state, MachineEvent.CONDEMNED)
            self._db.record(event)
            condemned = replace(machine, state=state, failure=failure, state_changed_at=now, attempts=0)
            return self._put(condemned, broken(row.work))

    async def seen_gone(self, machine_id: MachineId, now: float, event: Event) -> None:
        with self._db.write():
            row = self._row(machine_id)
            if row.value.state is MachineState.TERMINATED:
                return
            state = next_state(row.value.state, MachineEvent.SEEN_GONE)
            self._db.record(event)
            self._put(replace(row.value, state=state, state_changed_at=now), replace(row.work, token=None))

    async def relocate(self, machine_id: MachineId, address: str) -> None:
        with self._db.write():
            row = self._db.machines.get(machine_id)
            if row is not None:
                self._put(replace(row.value, address=address), row.work)

    def _live(self) -> list[Machine]:
        return [row.value for row in self._db.machines.values() if row.value.state in LIVE_STATES]

    def _row(self, machine_id: MachineId) -> MachineRow:
        if machine_id not in self._db.machines:
            raise NotFound(f"There is no machine {str(machine_id)[:40]!r}.")
        return self._db.machines[machine_id]

    def _put(self, machine: Machine, work: Work) -> Machine:
        self._db.put(_TABLE, machine.id, MachineRow(machine, work))
        return machine

    def _insert(self, new: NewMachine, now: float, provider_ref: str | None) -> Machine:
        for row in self._db.machines.values():
            taken = (row.value.id, row.value.reserved_instance_id, row.value.volume_id)
            if new.id == taken[0] or new.reserved_instance_id == taken[1] or new.volume_id == taken[2]:
                raise Duplicate(new.id)
        machine = Machine(
            new.id,
            MachineState.INITIALIZING,
            new.reserved_instance_id,
            new.volume_id,
            new.image,
            new.warmth,
            now,
            now,
            provider_ref=provider_ref,
            zone=new.zone,
        )
        self._db.put(_TABLE, new.id, MachineRow(machine))
        return machine


def claim_spare(database: Database, instance_id: InstanceId | None, generation: int, now: float, zone: str = "") -> Machine | None:
    """Take a spare, the warmest first and then the oldest; with a `zone` only one there. Part of the caller's transaction."""
    spares = [
        row for row in database.machines.values() if row.value.state is MachineState.AVAILABLE and (not zone or row.value.zone == zone)
    ]
    if not spares:
        return None
    row = min(spares, key=lambda row: (_WARMTH.get(row.value.warmth, 2), *_age(row.value)))
    claimed = replace(
        row.value,
        state=next_state(row.value.state, MachineEvent.CLAIMED),
        instance_id=instance_id or row.value.reserved_instance_id,
        generation=generation,
        state_changed_at=now,
    )
    serving = (r.value for r in database.machines.values() if r.value.state is MachineState.ASSIGNED)
    if any(machine.instance_id == claimed.instance_id for machine in serving):
        raise Duplicate(claimed.instance_id)
    database.put(_TABLE, claimed.id, replace(row, value=claimed))
    return claimed


def _age(machine: Machine) -> tuple[float, str]:
    return machine.created_at, machine.id
