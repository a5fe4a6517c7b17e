"""A machine of the fleet: its states and the one table of transitions between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from openclaw_hosted.domain.errors import IllegalTransition
from openclaw_hosted.domain.naming import InstanceId, MachineId, VolumeId
from openclaw_hosted.domain.notice import NoticeKind


class MachineState(StrEnum):
    """Where a machine is in its life."""

    INITIALIZING = "initializing"
    """Asked for, booting, or warming up."""
    AVAILABLE = "available"
    """A spare: ready to be claimed."""
    ASSIGNED = "assigned"
    """Bound to one instance, for good."""
    TERMINATING = "terminating"
    """Being shut down, once its instance has moved where that is under way; counted and billed until the provider says that it is gone."""
    TERMINATED = "terminated"
    """Seen to be gone; kept for the record."""


class MachineEvent(StrEnum):
    """What can happen to a machine."""

    BECAME_READY = "became_ready"
    CLAIMED = "claimed"
    CONDEMNED = "condemned"
    SEEN_GONE = "seen_gone"


class MachineFailure(StrEnum):
    """Why a machine was condemned."""

    NOT_READY_IN_TIME = "not_ready_in_time"
    LAUNCH_FAILED = "launch_failed"
    DIED = "died"
    OLD_IMAGE = "old_image"
    SURPLUS = "surplus"
    INSTANCE_DELETED = "instance_deleted"
    BY_OPERATOR = "by_operator"
    NOTICED = "noticed"
    """Its `notice` says more."""


class Warmth(StrEnum):
    """How far a spare is brought before its user exists."""

    BOOTED = "booted"
    """The machine answers; no OpenClaw on it yet."""
    HOT = "hot"
    """OpenClaw runs on it, has answered a turn and forgotten it; its route is prepared."""


TRANSITIONS: Final[Mapping[tuple[MachineState, MachineEvent], MachineState]] = {
    (MachineState.INITIALIZING, MachineEvent.BECAME_READY): MachineState.AVAILABLE,
    (MachineState.INITIALIZING, MachineEvent.CONDEMNED): MachineState.TERMINATING,
    (MachineState.AVAILABLE, MachineEvent.CLAIMED): MachineState.ASSIGNED,
    (MachineState.AVAILABLE, MachineEvent.CONDEMNED): MachineState.TERMINATING,
    (MachineState.ASSIGNED, MachineEvent.CONDEMNED): MachineState.TERMINATING,
    (MachineState.TERMINATING, MachineEvent.CONDEMNED): MachineState.TERMINATING,
    (MachineState.TERMINATING, MachineEvent.SEEN_GONE): MachineState.TERMINATED,
    (MachineState.TERMINATED, MachineEvent.SEEN_GONE): MachineState.TERMINATED,
}

LIVE_STATES: Final = frozenset(MachineState) - {MachineState.TERMINATED}
"""The states in which a machine is billed and counts against the fleet's cap."""


def next_state(state: MachineState, event: MachineEvent) -> MachineState:
    """The state after `event`; raises `IllegalTransition` where the table has none."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"A machine that is {state} cannot take the event {event}.") from None


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine as its row says. Times are seconds since the epoch, UTC."""

    id: MachineId
    state: MachineState
    reserved_instance_id: InstanceId
    """The instance id whose base path a hot spare already serves."""
    volume_id: VolumeId
    """The volume that was made with the machine."""
    image: str
    """The OpenClaw release on it."""
    warmth: Warmth
    created_at: float
    state_changed_at: float
    instance_id: InstanceId | None = None
    """The instance that it is bound to, once assigned."""
    generation: int = 0
    provider_ref: str | None = None
    """The provider's own id, once launched."""
    address: str | None = None
    """`host:port` of its gateway, once known."""
    zone: str = ""
    """Where it is; before it is known, where it is wanted, empty for anywhere."""
    failure: MachineFailure | None = None
    notice: NoticeKind | None = None
    """What was said of its end, if anything."""
    leaves_at: float | None = None
    """Until when it goes on to serve its instance, while that moves to another machine; None where it does not."""
    attempts: int = 0
    last_error: str | None = None

    def is_leaving(self, now: float) -> bool:
        """Whether it is to end, and may go on to serve its instance until that has moved."""
        return self.state is MachineState.TERMINATING and self.leaves_at is not None and now < self.leaves_at
