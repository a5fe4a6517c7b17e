"""Backups: everything that the platform would need on another computer, in one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from openclaw_hosted.domain.naming import InstanceId

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DatabaseSnapshot:
    """What a copy of the database holds."""

    schema: str
    """The revision of its schema."""
    source: str
    """`sqlite` or `postgresql`."""
    instances: frozenset[InstanceId]
    """The ids that have a row: what belongs to others is not kept."""


@dataclass(frozen=True, slots=True)
class Backup:
    """One finished backup."""

    path: str
    size_bytes: int
    encrypted: bool
    members: int
    """How many files are in it."""
    instances: int
    left_out: Sequence[str] = ()
    """What could not be kept, each with the reason."""
    incomplete: Sequence[str] = ()
    """The ids of the volumes of which that is so."""


@dataclass(frozen=True, slots=True)
class BackupHistory:
    """How the scheduled backups went. Times are seconds since the epoch."""

    attempted_at: float | None = None
    succeeded_at: float | None = None
    error: str | None = None
    """Of the last attempt; None where it succeeded."""
    path: str | None = None
    """Where the last good one is."""
    incomplete: Sequence[str] | None = None
    """The ids of the volumes that are not whole in it."""


class Backups(Protocol):
    """Makes and keeps the scheduled backups. Blocking work is done elsewhere than in the event loop."""

    async def make(self) -> Backup:
        """A new one: consistent though the platform runs, whole or not there at all. Raises `PortError`."""
        ...

    async def prune(self) -> Sequence[str]:
        """Remove all but the newest ones that are to be kept; returns the paths of the removed."""
        ...

    async def history(self) -> BackupHistory:
        """What `record` last wrote."""
        ...

    async def record(self, history: BackupHistory) -> None:
        """Keep it where other processes of this computer see it."""
        ...
