"""What a notice makes of a machine and of the instance on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from openclaw_hosted.domain.actor import PLATFORM, Actor
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase
from openclaw_hosted.domain.lifecycle.changed import NOTHING, Changed, Topic, Work
from openclaw_hosted.domain.lifecycle.machines import lose
from openclaw_hosted.domain.machine import Machine, MachineFailure, MachineState
from openclaw_hosted.domain.notice import PATIENT_KINDS, NoticeKind

_ENDED: Final = (MachineState.TERMINATING, MachineState.TERMINATED)


def notice(
    machine: Machine, instance: Instance | None, *, now: float, kind: NoticeKind, leaves_at: float, actor: Actor = PLATFORM
) -> Changed:
    """What follows from a notice; `leaves_at` is when the machine is gone, if it is taken away. The same notice again changes nothing.

    A machine that no instance has, or that serves none any more, is replaced. An instance that is being deleted is deleted.
    """
    if machine.state in _ENDED:
        return _hasten(machine, leaves_at) if kind is NoticeKind.INTERRUPTION else NOTHING
    if instance is not None and instance.machine_id == machine.id and instance.desired is DesiredState.DELETED:
        return NOTHING
    if kind in PATIENT_KINDS and _can_wait(machine, instance):
        return _remember(machine, now, kind, actor)
    noticed = replace(machine, notice=kind)
    is_gone = kind is NoticeKind.ENDED
    followed = lose(noticed, instance, now=now) if is_gone else leave(noticed, instance, now=now, leaves_at=leaves_at)
    events = (replace(event, actor=actor) for event in followed.events)
    return replace(followed, events=(_event(machine, now, kind, actor), *events))


def leave(machine: Machine, instance: Instance | None, *, now: float, leaves_at: float) -> Changed:
    """Its instance moves to another machine; until then, and until `leaves_at` at most, this one goes on to serve it. Whoever
    works on the instance just now may have sent this machine something, and is waited for."""
    lost = lose(machine, instance, now=now, failure=MachineFailure.NOTICED, said=EventName.INSTANCE_MOVING)
    if lost.instance is None or lost.machine is None:
        return lost
    return replace(lost, machine=replace(lost.machine, leaves_at=leaves_at), instance_work=Work.BROKEN)


def let_go(machine: Machine) -> Changed:
    """Its instance does not need it any more, or can't be had from it in order: it ends now."""
    if machine.leaves_at is None:
        return NOTHING
    return Changed(machine=replace(machine, leaves_at=None), wakes=frozenset({Topic.MACHINES}), machine_work=Work.DUE)


def _can_wait(machine: Machine, instance: Instance | None) -> bool:
    """Whether an instance is on it that is worth to be moved without hurry."""
    return (
        machine.state is MachineState.ASSIGNED
        and instance is not None
        and instance.machine_id == machine.id
        and instance.phase is not Phase.FAILED
    )


def _remember(machine: Machine, now: float, kind: NoticeKind, actor: Actor) -> Changed:
    """Noted, until another machine is ready."""
    if machine.notice is not None and PATIENT_KINDS.index(machine.notice) >= PATIENT_KINDS.index(kind):
        return NOTHING
    wakes = frozenset({Topic.MOVES, Topic.POOL, Topic.CHANGES})
    return Changed(machine=replace(machine, notice=kind), events=(_event(machine, now, kind, actor),), wakes=wakes)


def _hasten(machine: Machine, leaves_at: float) -> Changed:
    """It is taken away before its instance was to have left it."""
    if machine.leaves_at is None or machine.leaves_at <= leaves_at:
        return NOTHING
    hastened = replace(machine, leaves_at=leaves_at, notice=NoticeKind.INTERRUPTION)
    return Changed(machine=hastened, wakes=frozenset({Topic.PLACEMENT, Topic.MACHINES, Topic.CHANGES}))


def _event(machine: Machine, now: float, kind: NoticeKind, actor: Actor) -> Event:
    return Event(EventName.MACHINE_NOTICED, now, machine.instance_id, machine.id, detail={"kind": kind}, actor=actor)
