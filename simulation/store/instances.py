"""`InstanceStore` in memory: what users ask for. What controllers do under a lease stands in `placements`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from openclaw_hosted.domain.errors import LimitReached, NotFound, RevisionMoved, StateConflict
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS, Credential, GatewaySettings
from openclaw_hosted.domain.instance import LIVE_PHASES, DesiredState, Instance, InstanceEvent, Phase, Step, StepName, next_phase
from openclaw_hosted.domain.machine import Machine, MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, UserId, volume_of
from openclaw_hosted.ports.stores import Caps, CredentialSealing, IdempotencyKey, NewInstance
from simulation.store.database import Duplicate, InstanceRow, KnownKey, Work, broken, row_with
from simulation.store.machines import claim_spare
from simulation.store.placements import MemoryPlacements

_TABLE = "instances"
_NOTE = {Warmth.HOT: "A hot spare was free."}
_POOLED = (MachineState.AVAILABLE, MachineState.INITIALIZING)


class MemoryInstances(MemoryPlacements):
    """Rows of instances."""

    async def create(
        self, new: NewInstance, seal: CredentialSealing, caps: Caps, idempotency: IdempotencyKey | None, now: float
    ) -> tuple[Instance, bool]:
        with self._db.write():
            earlier = self._earlier(new.owner_id, idempotency)
            if earlier is not None:
                return earlier, False
            self._check_caps(new.owner_id, caps)
            machine = claim_spare(self._db, None, 1, now)
            instance_id = new.fallback_id if machine is None else machine.reserved_instance_id
            if instance_id is None:
                raise LimitReached(new.no_room)
            instance = self._insert(new, instance_id, machine, seal(instance_id), now)
            if idempotency is not None:
                known = KnownKey(idempotency.fingerprint, instance_id, now)
                self._db.put("keys", (new.owner_id, idempotency.key), known)
            self._record_create(instance, machine, now)
        return instance, True

    def _insert(self, new: NewInstance, instance_id: InstanceId, machine: Machine | None, sealed: bytes | None, now: float) -> Instance:
        if new.owner_id not in self._db.users or instance_id in self._db.instances:
            raise Duplicate(instance_id)
        revision = 0 if sealed is None and new.settings == DEFAULT_SETTINGS else 1
        instance = Instance(
            instance_id,
            new.owner_id,
            new.name,
            DesiredState.RUNNING,
            Phase.PENDING if machine is None else next_phase(Phase.PENDING, InstanceEvent.MACHINE_CLAIMED),
            now,
            now,
            settings=new.settings,
            credential_names=new.credential_names,
            generation=0 if machine is None else 1,
            machine_id=None if machine is None else machine.id,
            volume_id=volume_of(instance_id),
            zone="" if machine is None else machine.zone,
            revision=revision,
            sealed_revision=None if sealed is None else revision,
        )
        self._db.put(_TABLE, instance_id, InstanceRow(instance, Work(), sealed, None if sealed is None else revision))
        return instance

    def _record_create(self, instance: Instance, machine: Machine | None, now: float) -> None:
        about = (now, instance.id, instance.machine_id, instance.owner_id)
        self._db.record(Event(EventName.INSTANCE_CREATED, *about))
        if machine is not None:
            self._db.record(Event(EventName.MACHINE_CLAIMED, *about))
            note = _NOTE.get(machine.warmth, "A spare was free.")
            self._db.put("steps", instance.id, (Step(StepName.MACHINE, 1, 1, now, now, note=note),))

    def _earlier(self, owner_id: UserId, idempotency: IdempotencyKey | None) -> Instance | None:
        known = None if idempotency is None else self._db.keys.get((owner_id, idempotency.key))
        if known is None or idempotency is None:
            return None
        if known.fingerprint != idempotency.fingerprint:
            raise StateConflict("This idempotency key was used for another request. Take a new key.")
        return self._db.instances[known.instance_id].value

    def _check_caps(self, owner_id: UserId, caps: Caps) -> None:
        live = [row.value for row in self._db.instances.values() if row.value.phase in LIVE_PHASES]
        if len(live) >= caps.platform:
            raise LimitReached(f"This platform holds {caps.platform} instances at most. Ask its operator for more room.")
        if sum(instance.owner_id == owner_id for instance in live) >= caps.per_user:
            raise LimitReached(f"You may have {caps.per_user} instances at most. Delete one that you no longer need.")

    async def get(self, instance_id: InstanceId) -> Instance:
        return self._row(instance_id).value

    async def list_for(self, owner_id: UserId) -> Sequence[Instance]:
        return self._select(lambda instance: instance.owner_id == owner_id and instance.phase is not Phase.PURGED)

    async def list_all(self, limit: int = 1000) -> Sequence[Instance]:
        return self._select(lambda instance: instance.phase is not Phase.PURGED)[:limit]

    async def list_placed(self) -> Sequence[Instance]:
        return self._select(lambda instance: instance.machine_id is not None)

    async def count_waiting(self) -> Mapping[str, int]:
        waiting: dict[str, int] = {}
        for row in self._db.instances.values():
            if row.value.phase in (Phase.PENDING, Phase.REPLACING) and row.value.machine_id is None:
                waiting[row.value.zone] = waiting.get(row.value.zone, 0) + 1
        return waiting

    async def count_placing(self, since: float = 0.0) -> int:
        return sum(row.value.phase is Phase.PLACING and row.value.phase_changed_at >= since for row in self._db.instances.values())

    async def routed_ids(self) -> Sequence[InstanceId]:
        live = [row.value.id for row in self._db.instances.values() if row.value.phase in LIVE_PHASES]
        reserved = [row.value.reserved_instance_id for row in self._db.machines.values() if row.value.state in _POOLED]
        return list(dict.fromkeys([*live, *reserved]))

    async def recent_waits(self, limit: int) -> Sequence[float]:
        waits = [
            (-claim.started_at, probe.ended_at, probe.ended_at - claim.started_at)
            for steps in self._db.steps.values()
            for claim in steps
            if claim.name is StepName.MACHINE and claim.ended_at is not None and claim.ended_at > claim.started_at
            for probe in steps
            if (probe.name, probe.generation, probe.error) == (StepName.PROBE, claim.generation, None) and probe.ended_at is not None
        ]
        return [seconds for _, _, seconds in sorted(waits)[:limit]]

    async def known_ids(self) -> frozenset[InstanceId]:
        return frozenset(row.value.id for row in self._db.instances.values() if row.value.phase is not Phase.PURGED)

    async def kept_phases(self) -> Mapping[InstanceId, Phase]:
        kept = (row.value for row in self._db.instances.values() if row.value.phase is not Phase.PURGED and row.value.generation > 0)
        return {instance.id: instance.phase for instance in kept}

    async def steps(self, instance_id: InstanceId) -> Sequence[Step]:
        return self._db.steps.get(instance_id, ())

    async def sealed_credentials(self, instance_id: InstanceId) -> tuple[int, bytes] | None:
        row = self._db.instances.get(instance_id)
        if row is None or row.sealed is None or row.sealed_revision is None:
            return None
        return row.sealed_revision, row.sealed

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
        with self._db.write():
            row = self._wanted(instance_id)
            changed = row.value
            if expected_revision is not None and changed.revision != expected_revision:
                raise RevisionMoved("It was changed meanwhile. Reload, and make your change again.")
            changed = replace(
                changed,
                name=changed.name if name is None else name,
                settings=changed.settings if settings is None else settings,
                credential_names=changed.credential_names if credential_names is None else credential_names,
            )
            if sealed is not None:
                row = replace(row, sealed=sealed, sealed_revision=changed.revision + 1)
                changed = replace(changed, sealed_revision=changed.revision + 1)
            if settings is None and credential_names is None and sealed is None:
                return self._write(row, changed, row.work, event)
            changed = replace(changed, revision=changed.revision + 1)
            return self._write(row, *_woken(changed, row.work, InstanceEvent.CHANGED, now), event)

    async def ask_restart(self, instance_id: InstanceId, now: float, event: Event) -> Instance:
        with self._db.write():
            row = self._wanted(instance_id)
            taken = InstanceEvent.RETRIED if row.value.phase is Phase.FAILED else InstanceEvent.CHANGED
            asked = replace(row.value, restarts_asked=row.value.restarts_asked + 1)
            return self._write(row, *_woken(asked, row.work, taken, now), event)

    async def ask_update(self, instance_id: InstanceId, now: float, event: Event) -> bool:
        with self._db.write():
            row = self._row(instance_id)
            if row.value.phase is not Phase.RUNNING:
                return False
            self._write(row, *_woken(row.value, row.work, InstanceEvent.CHANGED, now), event)
            return True

    async def ask_delete(self, instance_id: InstanceId, now: float, event: Event) -> Instance:
        with self._db.write():
            row = self._row(instance_id)
            if row.value.desired is DesiredState.DELETED:
                return row.value
            asked = replace(row.value, desired=DesiredState.DELETED)
            deleting, _ = _woken(asked, row.work, InstanceEvent.DELETE_ASKED, now)
            return self._write(row, deleting, broken(row.work), event)

    async def ask_restore(self, instance_id: InstanceId, caps: Caps, now: float, event: Event) -> Instance:
        with self._db.write():
            row = self._row(instance_id)
            instance = row.value
            if instance.phase is not Phase.DELETED:
                why = "What it kept was destroyed." if instance.phase is Phase.PURGED else f"It is {instance.phase}."
                raise StateConflict(f"{why} Only a deleted instance can be brought back.")
            purge_began = row.work.token is not None or row.work.next_attempt_at > 0
            if purge_began or (instance.purge_after is not None and instance.purge_after <= now):
                raise StateConflict("The time for undo has passed; create a new instance.")
            self._check_caps(instance.owner_id, caps)
            back = replace(instance, desired=DesiredState.RUNNING, applied_revision=None, deleted_at=None, purge_after=None)
            return self._write(row, *_woken(back, replace(row.work, token=None), InstanceEvent.RESTORED, now), event)

    def _select(self, wanted: Callable[[Instance], bool]) -> list[Instance]:
        found = [row.value for row in self._db.instances.values() if wanted(row.value)]
        return sorted(found, key=lambda instance: (-instance.created_at, instance.id))

    def _row(self, instance_id: InstanceId) -> InstanceRow:
        if instance_id not in self._db.instances:
            raise NotFound(f"There is no instance {str(instance_id)[:40]!r}.")
        return self._db.instances[instance_id]

    def _wanted(self, instance_id: InstanceId) -> InstanceRow:
        row = self._row(instance_id)
        if row.value.desired is DesiredState.DELETED:
            raise StateConflict("It is deleted, or being deleted. Restore it first.")
        return row

    def _write(self, row: InstanceRow, instance: Instance, work: Work, event: Event) -> Instance:
        self._db.record(event)
        written: InstanceRow = row_with(row, instance, work)
        self._db.put(_TABLE, instance.id, written)
        return written.value


def _woken(instance: Instance, work: Work, event: InstanceEvent, now: float) -> tuple[Instance, Work]:
    """The next phase, due at once, with a clean slate of attempts."""
    phase = next_phase(instance.phase, event)
    changed_at = instance.phase_changed_at if phase is instance.phase else now
    woken = replace(instance, phase=phase, phase_changed_at=changed_at, attempts=0, last_error=None)
    return woken, replace(work, next_attempt_at=0.0)
