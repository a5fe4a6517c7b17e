"""What happens to a machine, and to the instance that loses it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from openclaw_hosted.domain.actor import PLATFORM, Actor
from openclaw_hosted.domain.errors import StateConflict
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import DesiredState, Instance, InstanceEvent, Phase, next_phase
from openclaw_hosted.domain.lifecycle.changed import NOTHING, Changed, Topic, Work
from openclaw_hosted.domain.machine import Machine, MachineEvent, MachineFailure, MachineState, next_state

_ENDED: Final = (MachineState.TERMINATING, MachineState.TERMINATED)
_EVERYBODY: Final = frozenset(Topic)


def launch(machine: Machine, *, now: float, provider_ref: str) -> Changed:
    """The provider has it, under this name."""
    return Changed(machine=replace(machine, provider_ref=provider_ref, state_changed_at=now))


def locate(machine: Machine, *, address: str, zone: str) -> Changed:
    """It is there, and its gateway answers here."""
    return Changed(machine=replace(machine, address=address, zone=zone))


def relocate(machine: Machine, *, address: str) -> Changed:
    """Its gateway answers elsewhere now."""
    return Changed(machine=replace(machine, address=address))


def become_ready(machine: Machine, *, now: float, address: str, zone: str) -> Changed:
    """It is a spare from now on, whose gateway answers here, or will."""
    ready = replace(_moved(machine, MachineEvent.BECAME_READY, now), address=address, zone=zone, attempts=0, last_error=None)
    event = _event(EventName.MACHINE_AVAILABLE, machine, now)
    return Changed(machine=ready, events=(event,), wakes=frozenset({Topic.PLACEMENT, Topic.POOL, Topic.CHANGES}), machine_work=Work.FREE)


def condemn(machine: Machine, *, now: float, failure: MachineFailure, unassigned_only: bool = False, actor: Actor = PLATFORM) -> Changed:
    """It is to be ended, for this reason; an instance that is bound to it is not touched. Nothing to do where it is so already.

    Raises `StateConflict` for a machine that an instance has, if `unassigned_only`.
    """
    if unassigned_only and machine.state is MachineState.ASSIGNED:
        raise StateConflict("A user's instance is on this machine; delete the instance instead.")
    if machine.state in _ENDED:
        return NOTHING
    condemned = replace(_moved(machine, MachineEvent.CONDEMNED, now), failure=failure, attempts=0)
    event = replace(_event(EventName.MACHINE_CONDEMNED, machine, now, reason=failure), actor=actor)
    wakes = frozenset({Topic.MACHINES, Topic.POOL, Topic.CHANGES})
    return Changed(machine=condemned, events=(event,), wakes=wakes, machine_work=Work.BROKEN)


def lose(
    machine: Machine,
    instance: Instance | None,
    *,
    now: float,
    failure: MachineFailure = MachineFailure.DIED,
    said: EventName = EventName.INSTANCE_MACHINE_LOST,
) -> Changed:
    """It is gone, or good for nothing, or about to be; an instance that has it waits for another one, which takes over its volume."""
    ended = condemn(machine, now=now, failure=failure)
    if not _loses(instance, machine):
        return ended
    assert instance is not None
    lost = replace(
        instance,
        phase=next_phase(instance.phase, InstanceEvent.MACHINE_LOST),
        phase_changed_at=now,
        machine_id=None,
        attempts=0 if instance.phase is Phase.RUNNING else instance.attempts + 1,
    )
    event = Event(said, now, instance.id, machine.id, instance.owner_id)
    return replace(ended, instance=lost, events=(*ended.events, event), wakes=_EVERYBODY, instance_work=Work.FREE)


def see_gone(machine: Machine, *, now: float) -> Changed:
    """The provider has it no more. Nothing to do where that is known."""
    if machine.state is MachineState.TERMINATED:
        return NOTHING
    gone = _moved(machine, MachineEvent.SEEN_GONE, now)
    event = _event(EventName.MACHINE_TERMINATED, machine, now, reason=machine.failure or "")
    return Changed(machine=gone, events=(event,), wakes=frozenset({Topic.PLACEMENT, Topic.POOL, Topic.CHANGES}), machine_work=Work.FREE)


def _loses(instance: Instance | None, machine: Machine) -> bool:
    """Whether the instance waits for another machine: not one that is being deleted, or that nobody tries to run any more."""
    return (
        instance is not None
        and instance.machine_id == machine.id
        and instance.desired is not DesiredState.DELETED
        and instance.phase is not Phase.FAILED
    )


def _moved(machine: Machine, event: MachineEvent, now: float) -> Machine:
    return replace(machine, state=next_state(machine.state, event), state_changed_at=now)


def _event(name: EventName, machine: Machine, now: float, **detail: str) -> Event:
    return Event(name, now, machine.instance_id, machine.id, detail=detail)
