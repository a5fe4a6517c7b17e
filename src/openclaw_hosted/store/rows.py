"""Rows to domain values, and back."""

from __future__ import annotations

import json
from typing import Any, Final

from sqlalchemy import Row, insert

from openclaw_hosted.domain.account import Role, Session, User
from openclaw_hosted.domain.actor import Actor, Party, Via
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import Credential, GatewaySettings, decode_settings, encode_settings
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase, Step, StepName
from openclaw_hosted.domain.machine import Machine, MachineFailure, MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId, RestorePointId, UserId, VolumeId
from openclaw_hosted.domain.notice import NoticeKind
from openclaw_hosted.domain.observation import Observation
from openclaw_hosted.domain.restore_point import Cause, PointState, RestorePoint
from openclaw_hosted.domain.volume import Volume, VolumeState
from openclaw_hosted.store import tables

ADD_EVENTS: Final = insert(tables.events)
"""Executed with `event_values` of one event, or of several."""
_PARTIES: Final = frozenset(Party)


def dump_settings(settings: GatewaySettings) -> str:
    """Settings as JSON."""
    return json.dumps(encode_settings(settings))


def load_settings(text: str) -> GatewaySettings:
    """The inverse of `dump_settings`."""
    return decode_settings(json.loads(text))


def dump_names(names: frozenset[Credential]) -> str:
    """Names of credentials as JSON."""
    return json.dumps(sorted(names))


def to_machine(row: Row[Any]) -> Machine:
    """A row of `machines`."""
    return Machine(
        id=MachineId(row.id),
        state=MachineState(row.state),
        reserved_instance_id=InstanceId(row.reserved_instance_id),
        volume_id=VolumeId(row.volume_id),
        image=row.image,
        warmth=Warmth(row.warmth),
        created_at=row.created_at,
        state_changed_at=row.state_changed_at,
        instance_id=InstanceId(row.instance_id) if row.instance_id else None,
        generation=row.generation,
        provider_ref=row.provider_ref,
        address=row.address,
        zone=row.zone,
        failure=MachineFailure(row.failure) if row.failure else None,
        notice=NoticeKind(row.notice) if row.notice else None,
        leaves_at=row.leaves_at,
        attempts=row.attempts,
        last_error=row.last_error,
    )


def to_instance(row: Row[Any]) -> Instance:
    """A row of `instances`."""
    return Instance(
        id=InstanceId(row.id),
        owner_id=UserId(row.owner_id),
        name=row.name,
        desired=DesiredState(row.desired),
        phase=Phase(row.phase),
        created_at=row.created_at,
        phase_changed_at=row.phase_changed_at,
        settings=load_settings(row.settings),
        credential_names=frozenset(Credential(name) for name in json.loads(row.credential_names)),
        generation=row.generation,
        machine_id=MachineId(row.machine_id) if row.machine_id else None,
        revision=row.revision,
        sealed_revision=row.sealed_revision,
        applied_revision=row.applied_revision,
        restarts_asked=row.restarts_asked,
        restarts_done=row.restarts_done,
        filed_generation=row.filed_generation,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        last_error=row.last_error,
        deleted_at=row.deleted_at,
        purge_after=row.purge_after,
        is_leased=row.lease_token is not None,
    )


def instance_values(instance: Instance) -> dict[str, Any]:
    """The columns of an instance, but for its lease and its sealed credentials."""
    return {
        "id": instance.id,
        "owner_id": instance.owner_id,
        "name": instance.name,
        "desired": instance.desired,
        "phase": instance.phase,
        "created_at": instance.created_at,
        "phase_changed_at": instance.phase_changed_at,
        "settings": dump_settings(instance.settings),
        "credential_names": dump_names(instance.credential_names),
        "generation": instance.generation,
        "machine_id": instance.machine_id,
        "revision": instance.revision,
        "sealed_revision": instance.sealed_revision,
        "applied_revision": instance.applied_revision,
        "restarts_asked": instance.restarts_asked,
        "restarts_done": instance.restarts_done,
        "filed_generation": instance.filed_generation,
        "attempts": instance.attempts,
        "last_error": instance.last_error,
        "deleted_at": instance.deleted_at,
        "purge_after": instance.purge_after,
    }


def machine_values(machine: Machine) -> dict[str, Any]:
    """The columns of a machine, but for its lease."""
    return {
        "id": machine.id,
        "state": machine.state,
        "reserved_instance_id": machine.reserved_instance_id,
        "volume_id": machine.volume_id,
        "image": machine.image,
        "warmth": machine.warmth,
        "created_at": machine.created_at,
        "state_changed_at": machine.state_changed_at,
        "instance_id": machine.instance_id,
        "generation": machine.generation,
        "provider_ref": machine.provider_ref,
        "address": machine.address,
        "zone": machine.zone,
        "failure": machine.failure,
        "notice": machine.notice,
        "leaves_at": machine.leaves_at,
        "attempts": machine.attempts,
        "last_error": machine.last_error,
    }


def to_observation(row: Any) -> Observation:
    """A row of `observations`."""
    return Observation(MachineId(row.machine_id), row.bad_looks, row.restarts, bool(row.answered), row.answering_since, row.touched_at)


def to_volume(row: Any) -> Volume:
    """A row of `volumes`."""
    point_id = RestorePointId(row.point_id) if row.point_id else None
    return Volume(InstanceId(row.instance_id), VolumeState(row.state), row.zone, row.image, point_id, row.mark)


def volume_values(volume: Volume) -> dict[str, Any]:
    """The columns of a volume."""
    return {
        "instance_id": volume.instance_id, "state": volume.state, "zone": volume.zone, "image": volume.image, "point_id": volume.point_id,
        "mark": volume.mark,
    }  # fmt: skip


def to_restore_point(row: Any) -> RestorePoint:
    """A row of `restore_points`."""
    return RestorePoint(
        RestorePointId(row.id), InstanceId(row.instance_id), row.made_at, Cause(row.cause), PointState(row.state), row.size_bytes,
        UserId(row.owner_id) if row.owner_id else None,
    )  # fmt: skip


def restore_point_values(point: RestorePoint) -> dict[str, Any]:
    """The columns of a restore point."""
    return {
        "id": point.id, "instance_id": point.instance_id, "made_at": point.made_at, "cause": point.cause, "state": point.state,
        "size_bytes": point.size_bytes, "owner_id": point.owner_id,
    }  # fmt: skip


def to_step(row: Row[Any]) -> Step:
    """A row of `steps`."""
    return Step(StepName(row.name), row.generation, row.attempt, row.started_at, row.ended_at, row.error, row.note)


def to_user(row: Row[Any]) -> User:
    """A row of `users`."""
    return User(UserId(row.id), row.email, Role(row.role), row.created_at, bool(row.disabled))


def to_session(row: Row[Any]) -> Session:
    """A row of `sessions`."""
    return Session(row.hash, UserId(row.user_id), row.created_at, row.expires_at, row.confirmed_at)


def to_event(row: Row[Any]) -> Event:
    """A row of `events`."""
    return Event(
        EventName(row.name),
        row.at,
        InstanceId(row.instance_id) if row.instance_id else None,
        MachineId(row.machine_id) if row.machine_id else None,
        UserId(row.user_id) if row.user_id else None,
        json.loads(row.detail),
        row.id,
        _to_actor(row),
    )


def _to_actor(row: Row[Any]) -> Actor | None:
    if row.actor_id is None:
        return None
    who = Party(row.actor_id) if row.actor_id in _PARTIES else UserId(row.actor_id)
    return Actor(who, Role(row.actor_role) if row.actor_role else None, Via(row.actor_via), row.actor_address)


def event_values(event: Event) -> dict[str, Any]:
    """The columns of an event."""
    actor = event.actor
    return {
        "name": event.name,
        "at": event.at,
        "instance_id": event.instance_id,
        "machine_id": event.machine_id,
        "user_id": event.user_id,
        "detail": json.dumps(dict(event.detail)),
        "actor_id": actor and actor.id,
        "actor_role": actor and actor.role,
        "actor_via": actor and actor.via,
        "actor_address": actor and actor.address,
    }


def step_values(instance_id: str, step: Step) -> dict[str, Any]:
    """The columns of a step."""
    return {
        "instance_id": instance_id,
        "name": step.name,
        "generation": step.generation,
        "attempt": step.attempt,
        "started_at": step.started_at,
        "ended_at": step.ended_at,
        "error": step.error,
        "note": step.note,
    }
