"""What happens to an instance."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from openclaw_hosted.domain.actor import PLATFORM, Actor
from openclaw_hosted.domain.errors import RevisionMoved, StateConflict
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS, Credential, GatewaySettings
from openclaw_hosted.domain.instance import TRANSITIONS, DesiredState, Instance, InstanceEvent, Phase, next_phase
from openclaw_hosted.domain.lifecycle.changed import NOTHING, Changed, Topic, Work, taken_up
from openclaw_hosted.domain.machine import Machine, Warmth
from openclaw_hosted.domain.naming import InstanceId, RestorePointId, UserId
from openclaw_hosted.domain.restore_point import Cause, RestorePoint
from openclaw_hosted.domain.volume import Volume, VolumeState
from openclaw_hosted.domain.words import PHASE_WORDS

ERROR_LENGTH: Final = 300
HELD: Final = "The operator holds it for now."
_ASKED: Final = frozenset({Topic.PLACEMENT, Topic.POOL, Topic.CHANGES})


def create(
    instance_id: InstanceId,
    machine: Machine | None,
    now: float,
    *,
    actor: Actor,
    owner_id: UserId,
    name: str,
    settings: GatewaySettings,
    credential_names: frozenset[Credential],
    sealed: bytes | None,
    point_id: RestorePointId | None = None,
) -> Changed:
    """A new instance, on the machine that was claimed for it, if one was. Its volume is to be what a restore point holds, if one is named;
    no machine is claimed for such a one at once."""
    revision = 0 if sealed is None and settings == DEFAULT_SETTINGS else 1
    instance = Instance(
        instance_id,
        owner_id,
        name,
        DesiredState.RUNNING,
        Phase.PENDING,
        created_at=now,
        phase_changed_at=now,
        settings=settings,
        credential_names=credential_names,
        revision=revision,
        sealed_revision=None if sealed is None else revision,
    )
    if machine is not None:
        instance = _on(instance, machine, now)
    made_before = machine is not None and machine.warmth is Warmth.HOT and machine.reserved_instance_id == instance_id
    if machine is not None and made_before:
        volume = Volume(instance_id, VolumeState.MADE, machine.zone, machine.image)
    elif point_id is not None:
        volume = Volume(instance_id, VolumeState.RESTORING, point_id=point_id, mark=instance_id)
    else:
        volume = Volume(instance_id)
    happened = [_event(EventName.INSTANCE_CREATED, instance, now, actor)]
    if machine is not None:
        happened.append(_event(EventName.MACHINE_CLAIMED, instance, now, actor))
    return Changed(instance, events=tuple(happened), wakes=_ASKED, volume=volume, sealed=sealed)


def claim(instance: Instance, machine: Machine, now: float) -> Changed:
    """A waiting instance has got this machine. It keeps its own volume, whatever volume the machine came with."""
    bound = _on(instance, machine, now)
    return Changed(bound, events=(_event(EventName.MACHINE_CLAIMED, bound, now),), wakes=frozenset({Topic.POOL, Topic.CHANGES}))


def place(instance: Instance, *, now: float, applied_revision: int, restarts_done: int, filed: bool = True) -> Changed:
    """It answers at its address, with these settings in force. Where more was asked for meanwhile, that comes next.

    `filed` says that nothing is left to be written about its machine.
    """
    if instance.desired is DesiredState.DELETED:
        return _let_go(instance)
    phase = next_phase(instance.phase, InstanceEvent.PLACED)
    if instance.revision > applied_revision or instance.restarts_asked > restarts_done:
        phase = Phase.UPDATING
    placed = replace(
        _in(phase, instance, now), attempts=0, last_error=None, applied_revision=applied_revision, restarts_done=restarts_done,
        filed_generation=instance.generation if filed else instance.filed_generation,
    )  # fmt: skip
    event = _event(EventName.INSTANCE_RUNNING, instance, now)
    wakes = frozenset({Topic.PLACEMENT, Topic.CHANGES} if placed.is_filed else {Topic.PLACEMENT, Topic.CHANGES, Topic.FILING})
    return Changed(placed, events=(event,), wakes=wakes, instance_work=Work.FREE)


def file(instance: Instance, *, revision: int | None) -> Changed:
    """All is written that its user did not wait for; `revision` is that of the credentials which came to the vault by that."""
    sealed_revision = None if instance.sealed_revision == revision else instance.sealed_revision
    filed = replace(instance, filed_generation=instance.generation, sealed_revision=sealed_revision, attempts=0, last_error=None)
    return Changed(filed, wakes=frozenset({Topic.PLACEMENT, Topic.CHANGES}), instance_work=Work.FREE)


def fail(instance: Instance, *, now: float, error: str) -> Changed:
    """Nobody tries any more, for this reason. What was deleted meanwhile is taken down all the same."""
    if instance.desired is DesiredState.DELETED:
        return _let_go(instance)
    failed = replace(_afresh(instance, InstanceEvent.GAVE_UP, now), last_error=error)
    event = _event(EventName.INSTANCE_FAILED, instance, now, error=error[:ERROR_LENGTH])
    return Changed(failed, events=(event,), wakes=frozenset({Topic.CHANGES}), instance_work=Work.FREE)


def take_down(instance: Instance, *, now: float, purge_after: float, point_id: RestorePointId | None = None) -> Changed:
    """Route and machine are gone; what can be undone is kept until `purge_after`. What its volume holds becomes a restore point, if an id
    for one is given."""
    gone = replace(_afresh(instance, InstanceEvent.TORN_DOWN, now), machine_id=None, deleted_at=now, purge_after=purge_after)
    event = _event(EventName.INSTANCE_DELETED, instance, now)
    points = () if point_id is None else (RestorePoint(point_id, instance.id, now, Cause.DELETION),)
    wakes = frozenset({Topic.POOL, Topic.POINTS, Topic.CHANGES})
    return Changed(gone, events=(event,), wakes=wakes, instance_work=Work.FREE, points=points)


def purge(instance: Instance, *, now: float) -> Changed:
    """Volume and credentials are destroyed."""
    purged = replace(_afresh(instance, InstanceEvent.PURGED, now), credential_names=frozenset(), sealed_revision=None)
    event = Event(EventName.INSTANCE_PURGED, now, instance.id, user_id=instance.owner_id)
    volume = Volume(instance.id, VolumeState.PURGED)
    return Changed(purged, events=(event,), wakes=frozenset({Topic.CHANGES}), instance_work=Work.FREE, volume=volume)


def restart(instance: Instance, *, number: int) -> Changed:
    """Its machine was told to restart its gateway for the `number`th time, and is not told so again."""
    return Changed(replace(instance, restarts_done=number))


def want_volume(instance: Instance, *, zone: str) -> Changed:
    """Its volume is about to be made there. Said before, so that whoever goes on looks for a machine where it may be by then."""
    return Changed(volume=Volume(instance.id, VolumeState.WANTED, zone))


def make_volume(instance: Instance, *, zone: str, image: str) -> Changed:
    """Its volume was made there, empty, and this release of OpenClaw is to use it. Said before anything is written on it."""
    return Changed(volume=Volume(instance.id, VolumeState.MADE, zone, image))


def hand_over(instance: Instance, *, revision: int) -> Changed:
    """The credentials of this revision are in the vault: their sealed copy is dropped, unless newer ones came meanwhile."""
    return Changed(replace(instance, sealed_revision=None)) if instance.sealed_revision == revision else NOTHING


def change(
    instance: Instance,
    *,
    actor: Actor,
    now: float,
    name: str | None = None,
    settings: GatewaySettings | None = None,
    credential_names: frozenset[Credential] | None = None,
    sealed: bytes | None = None,
    expected_revision: int | None = None,
) -> Changed:
    """Its user changed it. Settings and credentials raise the revision.

    Raises `StateConflict` where it is deleted or being deleted, `RevisionMoved` when `expected_revision` is not the present one.
    """
    _check_wanted(instance)
    if expected_revision is not None and instance.revision != expected_revision:
        raise RevisionMoved("It was changed meanwhile. Reload, and make your change again.")
    changed, work = instance if name is None else _renamed(instance, name), Work.KEPT
    if settings is not None or credential_names is not None or sealed is not None:
        revision, work = instance.revision + 1, taken_up(instance)
        changed = replace(
            _afresh(changed, InstanceEvent.CHANGED, now),
            settings=instance.settings if settings is None else settings,
            credential_names=instance.credential_names if credential_names is None else credential_names,
            revision=revision,
            sealed_revision=instance.sealed_revision if sealed is None else revision,
        )
    return Changed(
        changed,
        events=(_event(EventName.INSTANCE_CHANGED, instance, now, actor),),
        wakes=_ASKED if changed.is_filed else _ASKED | {Topic.FILING},
        instance_work=work,
        sealed=sealed,
    )


def ask_restart(instance: Instance, *, actor: Actor, now: float) -> Changed:
    """Its user wants it restarted; a failed one is tried again. Raises `StateConflict` where it is deleted or being deleted."""
    _check_wanted(instance)
    taken = InstanceEvent.RETRIED if instance.phase is Phase.FAILED else InstanceEvent.CHANGED
    asked = replace(_afresh(instance, taken, now), restarts_asked=instance.restarts_asked + 1)
    event = _event(EventName.INSTANCE_RESTART_ASKED, instance, now, actor)
    return Changed(asked, events=(event,), wakes=_ASKED, instance_work=taken_up(instance))


def hold(instance: Instance, *, actor: Actor, now: float) -> Changed:
    """An operator has nobody try to place it any more, until it is retried. Raises `StateConflict` where nobody does."""
    _check_wanted(instance)
    if (instance.phase, InstanceEvent.GAVE_UP) not in TRANSITIONS:
        raise StateConflict(f"It is {instance.phase}: only what is being placed or changed can be held.")
    held = replace(_afresh(instance, InstanceEvent.GAVE_UP, now), last_error=HELD)
    event = _event(EventName.INSTANCE_HELD, instance, now, actor)
    return Changed(held, events=(event,), wakes=frozenset({Topic.POOL, Topic.CHANGES}), instance_work=Work.BROKEN)


def ask_update(instance: Instance, *, now: float, reason: str) -> Changed:
    """Its settings are to be brought into force once more; nothing to do in any phase but `running`."""
    if instance.phase is not Phase.RUNNING:
        return NOTHING
    event = Event(EventName.INSTANCE_UPDATE_NEEDED, now, instance.id, instance.machine_id, detail={"reason": reason})
    woken = _afresh(instance, InstanceEvent.CHANGED, now)
    return Changed(woken, events=(event,), wakes=frozenset({Topic.PLACEMENT, Topic.CHANGES}), instance_work=Work.DUE)


def ask_delete(instance: Instance, *, actor: Actor, now: float) -> Changed:
    """Its user wants it gone. Nothing to do where it is so already."""
    if instance.desired is DesiredState.DELETED:
        return NOTHING
    deleting = replace(_afresh(instance, InstanceEvent.DELETE_ASKED, now), desired=DesiredState.DELETED)
    event = _event(EventName.INSTANCE_DELETE_ASKED, instance, now, actor)
    return Changed(deleting, events=(event,), wakes=frozenset({Topic.PLACEMENT, Topic.CHANGES}), instance_work=Work.BROKEN)


def ask_restore(instance: Instance, *, actor: Actor, now: float) -> Changed:
    """Its user wants a deleted one back. Raises `StateConflict` while it is being deleted, or once what it kept may be destroyed."""
    if instance.phase is not Phase.DELETED:
        raise StateConflict(
            "What it kept was destroyed after the time for undo had passed; create a new instance."
            if instance.phase is Phase.PURGED
            else f"Its state is “{PHASE_WORDS[instance.phase]}”. You can undo the deletion once that is “{PHASE_WORDS[Phase.DELETED]}”."
        )
    purge_began = instance.is_leased or instance.next_attempt_at > 0
    if purge_began or (instance.purge_after is not None and instance.purge_after <= now):
        raise StateConflict("The time for undo has passed; create a new instance.")
    restored = replace(
        _afresh(instance, InstanceEvent.RESTORED, now),
        desired=DesiredState.RUNNING,
        applied_revision=None,
        deleted_at=None,
        purge_after=None,
    )
    event = _event(EventName.INSTANCE_RESTORED, instance, now, actor)
    return Changed(restored, events=(event,), wakes=_ASKED, instance_work=Work.FREE)


def _on(instance: Instance, machine: Machine, now: float) -> Instance:
    return replace(
        _moved(instance, InstanceEvent.MACHINE_CLAIMED, now),
        machine_id=machine.id,
        generation=instance.generation + 1,
        applied_revision=None,
    )


def _renamed(instance: Instance, name: str) -> Instance:
    """Its record in the vault has the name as well, and is filed anew."""
    return replace(instance, name=name, filed_generation=min(instance.filed_generation, max(0, instance.generation - 1)))


def _let_go(instance: Instance) -> Changed:
    """Deletion wins: whoever worked on it lets go, and it is taken down."""
    return Changed(instance, wakes=frozenset({Topic.PLACEMENT}), instance_work=Work.FREE)


def _afresh(instance: Instance, event: InstanceEvent, now: float) -> Instance:
    """The next phase, with a clean slate of attempts."""
    return replace(_moved(instance, event, now), attempts=0, last_error=None)


def _moved(instance: Instance, event: InstanceEvent, now: float) -> Instance:
    return _in(next_phase(instance.phase, event), instance, now)


def _in(phase: Phase, instance: Instance, now: float) -> Instance:
    return instance if phase is instance.phase else replace(instance, phase=phase, phase_changed_at=now)


def _check_wanted(instance: Instance) -> None:
    if instance.desired is DesiredState.DELETED:
        raise StateConflict("It is deleted, or being deleted. Restore it first.")


def _event(name: EventName, instance: Instance, now: float, actor: Actor = PLATFORM, **detail: str) -> Event:
    return Event(name, now, instance.id, instance.machine_id, instance.owner_id, detail, actor=actor)
