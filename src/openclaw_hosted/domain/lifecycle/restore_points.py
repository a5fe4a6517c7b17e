"""What happens to an instance over its restore points."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from openclaw_hosted.domain.actor import PLATFORM, Actor
from openclaw_hosted.domain.errors import StateConflict
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import DesiredState, Instance, InstanceEvent, Phase, next_phase
from openclaw_hosted.domain.lifecycle.changed import NOTHING, Changed, Topic, taken_up
from openclaw_hosted.domain.naming import RestorePointId
from openclaw_hosted.domain.restore_point import Cause, RestorePoint
from openclaw_hosted.domain.volume import Volume, VolumeState
from openclaw_hosted.domain.words import PHASE_WORDS

SETTLED: Final = frozenset({Phase.RUNNING, Phase.UPDATING, Phase.FAILED})
"""The phases in which an instance has data that stays where it is for now."""
_ASKED: Final = frozenset({Topic.PLACEMENT, Topic.POOL, Topic.CHANGES})


def ask_point(instance: Instance, *, point_id: RestorePointId, actor: Actor, now: float) -> Changed:
    """Its user wants a restore point. Raises `StateConflict` while it is not settled."""
    _check_settled(instance, "A restore point can be made")
    point = RestorePoint(point_id, instance.id, now, Cause.ASKED)
    event = Event(EventName.RESTORE_POINT_ASKED, now, instance.id, user_id=instance.owner_id, detail={"point": point_id}, actor=actor)
    return Changed(points=(point,), events=(event,), wakes=frozenset({Topic.POINTS, Topic.CHANGES}))


def schedule_point(instance: Instance, *, point_id: RestorePointId, now: float) -> Changed:
    """One is due. Nothing to do while it does not run."""
    if instance.phase is not Phase.RUNNING:
        return NOTHING
    return Changed(points=(RestorePoint(point_id, instance.id, now, Cause.SCHEDULE),))


def ask_rewind(
    instance: Instance, *, point_id: RestorePointId, kept_as: RestorePointId, volume: Volume, actor: Actor, now: float
) -> Changed:
    """Its user wants it to be as a restore point says. The present state becomes one first, `kept_as`.

    Raises `StateConflict` while it is not settled.
    """
    _check_settled(instance, "It can be restored")
    asked = replace(
        instance, phase=next_phase(instance.phase, InstanceEvent.REWIND_ASKED), phase_changed_at=now, attempts=0, last_error=None
    )
    event = Event(
        EventName.INSTANCE_REWIND_ASKED, now, instance.id, instance.machine_id, instance.owner_id,
        {"point": point_id, "kept_as": kept_as}, actor=actor,
    )  # fmt: skip
    return Changed(
        asked, events=(event,), wakes=_ASKED, instance_work=taken_up(instance),
        volume=replace(volume, state=VolumeState.RESTORING, point_id=point_id, mark=kept_as),
        points=(RestorePoint(kept_as, instance.id, now, Cause.RESTORE),),
    )  # fmt: skip


def rewind(instance: Instance, *, volume: Volume, zone: str, image: str, now: float) -> Changed:
    """Its volume is what the restore point held, in this zone, and this release is about to use it."""
    detail = {"point": volume.point_id or ""}
    event = Event(EventName.INSTANCE_REWOUND, now, instance.id, instance.machine_id, instance.owner_id, detail)
    made = Volume(instance.id, VolumeState.MADE, zone, image)
    return Changed(volume=made, events=(event,), wakes=frozenset({Topic.POINTS, Topic.CHANGES}))


def leave_zone(instance: Instance, *, volume: Volume, point_id: RestorePointId, now: float) -> Changed:
    """No machine can be had where its volume is, which is free. What that holds is to go on in another zone, as a restore point."""
    leaving = replace(volume, state=VolumeState.MOVING, point_id=point_id, mark=point_id)
    detail = {"zone": volume.zone, "point": point_id}
    event = Event(EventName.INSTANCE_LEAVES_ZONE, now, instance.id, user_id=instance.owner_id, detail=detail)
    points = (RestorePoint(point_id, instance.id, now, Cause.MOVE),)
    return Changed(volume=leaving, points=points, events=(event,), wakes=frozenset({Topic.POINTS, Topic.CHANGES}))


def bring_elsewhere(instance: Instance, *, volume: Volume) -> Changed:  # noqa: ARG001 - as all rules have it
    """The restore point is ready: its volume is made from it wherever a machine is."""
    return Changed(volume=replace(volume, state=VolumeState.RESTORING), wakes=frozenset({Topic.POOL}))


def stay(instance: Instance, *, volume: Volume, now: float) -> Changed:
    """Its volume stays where it is: a machine can be had there again, or it could not be copied."""
    detail = {"zone": volume.zone}
    event = Event(EventName.INSTANCE_STAYS_IN_ZONE, now, instance.id, user_id=instance.owner_id, detail=detail)
    return Changed(volume=replace(volume, state=VolumeState.MADE, point_id=None, mark=""), events=(event,))


def upgrade(instance: Instance, *, volume: Volume, image: str, point_id: RestorePointId, now: float) -> Changed:
    """Another release of OpenClaw is about to use its volume. What that holds becomes a restore point first, unless no release is known
    that used it."""
    points = (RestorePoint(point_id, instance.id, now, Cause.UPGRADE),) if volume.image else ()
    return Changed(volume=replace(volume, image=image), points=points)


def _check_settled(instance: Instance, what: str) -> None:
    if instance.desired is DesiredState.DELETED or instance.phase not in SETTLED:
        raise StateConflict(f"Its state is “{PHASE_WORDS[instance.phase]}”. {what} once it runs.")


def told(name: EventName, point: RestorePoint, now: float, **detail: str | int) -> Event:
    """Something happened to a restore point by itself."""
    return Event(name, now, point.instance_id, detail={"point": point.id, "cause": point.cause, **detail}, actor=PLATFORM)
