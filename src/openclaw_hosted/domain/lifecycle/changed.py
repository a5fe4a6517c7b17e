"""What a rule answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.restore_point import RestorePoint
from openclaw_hosted.domain.volume import Volume


class Topic(StrEnum):
    """Who is woken."""

    MACHINES = "machines"
    """Readiness: a machine has work."""
    PLACEMENT = "placement"
    """Placement: an instance has work, or a machine that one may wait for is ready or gone."""
    FILING = "filing"
    """Filing: an instance runs about which something is left to be written."""
    POOL = "pool"
    """The pool: how many machines there should be may have changed."""
    POINTS = "restore_points"
    """Whoever makes and removes restore points: there is one to be made, or to go."""
    MOVES = "moves"
    """Who moves instances off machines that are to end: one may be."""
    WEBHOOKS = "webhooks"
    """Who tells webhooks; it looks by itself."""
    CHANGES = "changes"
    """Pages: something that they show may have changed."""


class Work(StrEnum):
    """What becomes of the lease on a row, and of the moment when the row is due."""

    KEPT = "kept"
    """Both stay as they are."""
    DUE = "due"
    """Due at once; a lease stays."""
    FREE = "free"
    """Due at once; a lease ends."""
    BROKEN = "broken"
    """A lease ends, and the row is due once it would have run out: what its holder has sent arrives by then."""


@dataclass(frozen=True, slots=True)
class Changed:
    """Rows as they are to be, and what happened. None leaves a row as it is."""

    instance: Instance | None = None
    machine: Machine | None = None
    events: tuple[Event, ...] = ()
    wakes: frozenset[Topic] = frozenset()
    instance_work: Work = Work.KEPT
    machine_work: Work = Work.KEPT
    volume: Volume | None = None
    """The instance's."""
    points: tuple[RestorePoint, ...] = ()
    """Restore points that are to be made; one that has a row already stays as it is."""
    sealed: bytes | None = None
    """Credentials for the vault, sealed, as of the instance's `sealed_revision`."""


def taken_up(instance: Instance) -> Work:
    """When what is asked of it now begins: at once, but of one that was given up or held only once nobody can be at work on it any more."""
    return Work.KEPT if instance.phase is Phase.FAILED else Work.DUE


NOTHING = Changed()
