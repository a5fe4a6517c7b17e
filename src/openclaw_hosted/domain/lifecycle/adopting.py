"""What rows are made of what was found at the provider (domain.adoption)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.adoption import FoundInstance, SeenMachine, SeenPoint
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS, USER_CREDENTIALS
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase
from openclaw_hosted.domain.lifecycle.changed import Changed
from openclaw_hosted.domain.machine import Machine, MachineFailure, MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, UserId, volume_of
from openclaw_hosted.domain.restore_point import Cause, PointState, RestorePoint
from openclaw_hosted.domain.volume import Volume, VolumeState

NO_ADDRESS: Final = "unknown.invalid"
"""Where accounts have their e-mail address whose own is not known; nobody gets mail there (RFC 2606)."""


def adopt_owner(found: FoundInstance, *, now: float) -> User:
    """An account under the id that the owner had, without a password."""
    return User(found.owner_id, found.record.owner_email if found.record else stand_in_email(found.owner_id), Role.USER, now)


def stand_in_email(user_id: UserId) -> str:
    """What an account is signed in with whose own address is not known, or has another account now."""
    return f"{user_id}@{NO_ADDRESS}"


def adopt_instance(found: FoundInstance, *, now: float, warmth: Warmth, retention_seconds: float) -> Changed:
    """Rows of an instance, its volume, and the machine that serves it.

    Where machine, volume and route agree, it runs. Else placement goes through all steps, each of which does nothing where it is done; on
    another machine where there is none. A volume that is not there is never made empty.
    """
    record, secret, machine = found.record, found.secret, found.machine
    revision = max(record.revision if record else 0, secret.revision if secret else 0)
    phase = _phase(found)
    instance = Instance(
        found.id,
        found.owner_id,
        record.name if record else found.id,
        DesiredState.DELETED if found.is_deleted else DesiredState.RUNNING,
        phase,
        created_at=record.created_at if record else now,
        phase_changed_at=now,
        settings=record.settings if record else DEFAULT_SETTINGS,
        credential_names=(secret.names if secret else frozenset()) & USER_CREDENTIALS,
        generation=found.generation,
        machine_id=machine.id if machine else None,
        revision=revision,
        applied_revision=revision if phase is Phase.RUNNING else None,
        filed_generation=found.generation if found.is_marked or machine is None else max(0, found.generation - 1),
        deleted_at=now if found.is_deleted else None,
        purge_after=now + retention_seconds if found.is_deleted else None,
    )
    zone = found.volume.zone if found.volume else machine.zone if machine else ""
    event = Event(EventName.INSTANCE_ADOPTED, now, found.id, instance.machine_id, found.owner_id)
    return Changed(
        instance,
        None if machine is None else adopt_machine(machine, MachineState.ASSIGNED, now=now, warmth=warmth, serves=found),
        events=(event,),
        volume=Volume(found.id, VolumeState.MADE, zone),
        points=tuple(_adopt_point(point, now) for point in found.points),
    )


def _adopt_point(point: SeenPoint, now: float) -> RestorePoint:
    made_at = now if point.made_at is None else point.made_at
    return RestorePoint(point.id, point.instance_id, made_at, Cause.ADOPTED, PointState.READY, point.size_bytes)


def adopt_spare(machine: SeenMachine, *, now: float, warmth: Warmth) -> Changed:
    """It is brought up as if it had been launched just now, and is a spare once it is seen to be in order."""
    event = Event(EventName.MACHINE_ADOPTED, now, machine_id=machine.id)
    return Changed(machine=adopt_machine(machine, MachineState.INITIALIZING, now=now, warmth=warmth), events=(event,))


def adopt_ending(machine: SeenMachine, served: InstanceId, *, now: float, warmth: Warmth) -> Changed:
    """It is waited for until it is gone. What it may have served is no spare's: nothing of it is purged with the machine."""
    ending = replace(adopt_machine(machine, MachineState.TERMINATING, now=now, warmth=warmth), instance_id=served)
    return Changed(machine=ending, events=(Event(EventName.MACHINE_ADOPTED, now, machine_id=machine.id),))


def adopt_machine(
    machine: SeenMachine,
    state: MachineState,
    *,
    now: float,
    warmth: Warmth,
    serves: FoundInstance | None = None,
) -> Machine:
    """Its row."""
    return Machine(
        machine.id,
        state,
        machine.reserved_instance_id,
        volume_of(machine.reserved_instance_id),
        machine.image,
        warmth,
        created_at=machine.launched_at or now,
        state_changed_at=now,
        instance_id=serves.id if serves else None,
        generation=serves.generation if serves else 0,
        provider_ref=machine.provider_ref,
        address=machine.address,
        zone=machine.zone,
        failure=MachineFailure.DIED if state is MachineState.TERMINATING else None,
    )


def _phase(found: FoundInstance) -> Phase:
    if found.is_deleted:
        return Phase.DELETED
    if found.machine is None:
        return Phase.REPLACING
    return Phase.RUNNING if found.is_whole else Phase.PLACING
