"""What a rule answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.machine import Machine
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
    MOVES = "moves"
    """Who moves instances off machines that are to end: one may be."""
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
    sealed: bytes | None = None
    """Credentials for the vault, sealed, as of the instance's `sealed_revision`."""


NOTHING = Changed()
