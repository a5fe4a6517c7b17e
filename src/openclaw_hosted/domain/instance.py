"""What a user has: one hosted OpenClaw, its desired state, its phase, and the steps that bring the two together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from openclaw_hosted.domain.errors import IllegalTransition
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS, Credential, GatewaySettings
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId


class DesiredState(StrEnum):
    """What the user wants of an instance."""

    RUNNING = "running"
    DELETED = "deleted"


class Phase(StrEnum):
    """How far an instance has come."""

    PENDING = "pending"
    """Waits for a machine."""
    PLACING = "placing"
    """Has a machine; its steps are under way."""
    RUNNING = "running"
    """Answers at its address."""
    UPDATING = "updating"
    """New settings or a restart are brought into force; it may not answer before that is done."""
    RESTORING = "restoring"
    """Its OpenClaw is stopped, and its volume becomes what a restore point holds."""
    REPLACING = "replacing"
    """Lost its machine, or is about to; another one takes over its volume."""
    FAILED = "failed"
    """Given up after the hard limit, or its settings were refused; the reason is shown, and Restart tries again."""
    DELETING = "deleting"
    """Route and machine are being taken away."""
    DELETED = "deleted"
    """Gone; volume and credentials are kept until `purge_after`."""
    PURGED = "purged"
    """Nothing is kept but the row."""


class InstanceEvent(StrEnum):
    """What can happen to an instance."""

    MACHINE_CLAIMED = "machine_claimed"
    PLACED = "placed"
    CHANGED = "changed"
    MACHINE_LOST = "machine_lost"
    GAVE_UP = "gave_up"
    RETRIED = "retried"
    DELETE_ASKED = "delete_asked"
    TORN_DOWN = "torn_down"
    RESTORED = "restored"
    REWIND_ASKED = "rewind_asked"
    PURGED = "purged"


TRANSITIONS: Final[Mapping[tuple[Phase, InstanceEvent], Phase]] = {
    (Phase.PENDING, InstanceEvent.MACHINE_CLAIMED): Phase.PLACING,
    (Phase.REPLACING, InstanceEvent.MACHINE_CLAIMED): Phase.REPLACING,
    (Phase.PLACING, InstanceEvent.PLACED): Phase.RUNNING,
    (Phase.UPDATING, InstanceEvent.PLACED): Phase.RUNNING,
    (Phase.REPLACING, InstanceEvent.PLACED): Phase.RUNNING,
    (Phase.RESTORING, InstanceEvent.PLACED): Phase.RUNNING,
    (Phase.RUNNING, InstanceEvent.REWIND_ASKED): Phase.RESTORING,
    (Phase.UPDATING, InstanceEvent.REWIND_ASKED): Phase.RESTORING,
    (Phase.FAILED, InstanceEvent.REWIND_ASKED): Phase.RESTORING,
    (Phase.RESTORING, InstanceEvent.CHANGED): Phase.RESTORING,
    (Phase.RESTORING, InstanceEvent.MACHINE_CLAIMED): Phase.RESTORING,
    (Phase.RESTORING, InstanceEvent.MACHINE_LOST): Phase.RESTORING,
    (Phase.RESTORING, InstanceEvent.GAVE_UP): Phase.FAILED,
    (Phase.PENDING, InstanceEvent.CHANGED): Phase.PENDING,
    (Phase.PLACING, InstanceEvent.CHANGED): Phase.PLACING,
    (Phase.REPLACING, InstanceEvent.CHANGED): Phase.REPLACING,
    (Phase.UPDATING, InstanceEvent.CHANGED): Phase.UPDATING,
    (Phase.RUNNING, InstanceEvent.CHANGED): Phase.UPDATING,
    (Phase.FAILED, InstanceEvent.CHANGED): Phase.REPLACING,
    (Phase.FAILED, InstanceEvent.RETRIED): Phase.REPLACING,
    (Phase.PLACING, InstanceEvent.MACHINE_LOST): Phase.REPLACING,
    (Phase.RUNNING, InstanceEvent.MACHINE_LOST): Phase.REPLACING,
    (Phase.UPDATING, InstanceEvent.MACHINE_LOST): Phase.REPLACING,
    (Phase.REPLACING, InstanceEvent.MACHINE_LOST): Phase.REPLACING,
    (Phase.PENDING, InstanceEvent.GAVE_UP): Phase.FAILED,
    (Phase.PLACING, InstanceEvent.GAVE_UP): Phase.FAILED,
    (Phase.UPDATING, InstanceEvent.GAVE_UP): Phase.FAILED,
    (Phase.REPLACING, InstanceEvent.GAVE_UP): Phase.FAILED,
    **{(phase, InstanceEvent.DELETE_ASKED): Phase.DELETING for phase in Phase if phase not in (Phase.DELETED, Phase.PURGED)},
    (Phase.DELETING, InstanceEvent.TORN_DOWN): Phase.DELETED,
    (Phase.DELETED, InstanceEvent.RESTORED): Phase.PENDING,
    (Phase.DELETED, InstanceEvent.PURGED): Phase.PURGED,
}

UNSETTLED_PHASES: Final = frozenset({Phase.PENDING, Phase.PLACING, Phase.UPDATING, Phase.RESTORING, Phase.REPLACING, Phase.DELETING})
"""A row in one of these phases is a work item of the placement controller."""

LIVE_PHASES: Final = frozenset(Phase) - {Phase.DELETED, Phase.PURGED}
"""The phases that count against a user's and the platform's cap."""


def next_phase(phase: Phase, event: InstanceEvent) -> Phase:
    """The phase after `event`; raises `IllegalTransition` where the table has none."""
    try:
        return TRANSITIONS[phase, event]
    except KeyError:
        raise IllegalTransition(f"An instance that is {phase} cannot take the event {event}.") from None


class StepName(StrEnum):
    """The steps of a placement and of a deletion, in the order in which they are shown."""

    MACHINE = "machine"
    SECRET = "secret"
    CLEAR = "clear"
    STOP = "stop"
    VOLUME = "volume"
    KEEP = "keep"
    RESTORE = "restore"
    GATEWAY = "gateway"
    LABEL = "label"
    TARGET = "target"
    ROUTE = "route"
    PROBE = "probe"
    UNROUTE = "unroute"
    TERMINATE = "terminate"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True)
class Step:
    """One attempt at one step. Times are seconds since the epoch; `ended_at` is None while it is under way."""

    name: StepName
    generation: int
    attempt: int
    started_at: float
    ended_at: float | None = None
    error: str | None = None
    note: str | None = None
    """What a person may want to know, such as 'A spare machine was free.'."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance as its row says. Times are seconds since the epoch, UTC."""

    id: InstanceId
    owner_id: UserId
    name: str
    desired: DesiredState
    phase: Phase
    created_at: float
    phase_changed_at: float
    settings: GatewaySettings = DEFAULT_SETTINGS
    credential_names: frozenset[Credential] = frozenset()
    """Which credentials the user has given; their values are in the vault only."""
    generation: int = 0
    """Counts the machines that it has had."""
    machine_id: MachineId | None = None
    revision: int = 0
    """Of settings and credentials, as desired."""
    sealed_revision: int | None = None
    """Of credentials that have not reached the vault yet; None where there are none."""
    applied_revision: int | None = None
    """Of settings and credentials, as in force; None before the first placement."""
    restarts_asked: int = 0
    restarts_done: int = 0
    """How many of them its machine was told of."""
    filed_generation: int = 0
    """The last one for which all was written that a user need not wait for."""
    attempts: int = 0
    next_attempt_at: float = 0.0
    last_error: str | None = None
    deleted_at: float | None = None
    purge_after: float | None = None
    is_leased: bool = field(default=False, compare=False)
    """Whether a worker holds it just now; no part of what it is."""

    @property
    def is_filed(self) -> bool:
        """Whether nothing is left to be written about its machine."""
        return self.filed_generation >= self.generation

    @property
    def is_moving(self) -> bool:
        """Whether another machine is to take over its volume."""
        return self.phase is Phase.REPLACING and self.desired is DesiredState.RUNNING
