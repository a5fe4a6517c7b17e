"""How the platform did over time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.history import Bucket, Place, Resolution
from openclaw_hosted.domain.naming import InstanceId, MachineId


@dataclass(frozen=True, slots=True)
class Standing:
    """How many there are now, counted by the database."""

    machines: Mapping[str, int]
    """By state."""
    instances: Mapping[str, int]
    """By phase."""
    waiting: int
    """Instances that want a machine and have none."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An event without what it says: what happened, when, and to which machine."""

    name: EventName
    at: float
    machine_id: MachineId | None


class HistoryStore(Protocol):
    """Buckets of a minute, an hour and a day, and one of all time."""

    async def standing(self) -> Standing:
        """What there is now."""
        ...

    async def uncounted(self, limit: int) -> tuple[int, Sequence[Event]]:
        """The newest event that is counted, by its id, and those after it, oldest first."""
        ...

    async def first_runs(self, instance_ids: Sequence[InstanceId]) -> Mapping[InstanceId, tuple[float, float]]:
        """Of each that was created and has run, as far as events go back: when it was created, and when it ran first."""
        ...

    async def add(self, gained: Mapping[Place, Bucket], *, counted: int, after: int, now: float) -> bool:
        """Add to the buckets, remember that all up to event `counted` is in them, and drop buckets beyond what is kept; in one transaction.
        Does nothing and answers False where `after` is not what was counted before: another process did it."""
        ...

    async def add_tallied(self, gained: Mapping[Place, Bucket], now: float) -> None:
        """Add to the buckets what one process counted of itself. Several may at once: each waits for the others."""
        ...

    async def between(self, resolution: Resolution, first: float, end: float) -> Mapping[int, Bucket]:
        """The buckets that began from `first` until before `end`, by their start."""
        ...

    async def moments(self, names: Collection[EventName], since: float, limit: int) -> Sequence[Moment]:
        """When these happened after `since`, in their order: the newest `limit`, as far as events go back."""
        ...
