"""Copies of volumes as they were at a moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from openclaw_hosted.domain.naming import InstanceId, RestorePointId, VolumeId


class Stage(StrEnum):
    """How far a restore point is."""

    COPYING = "copying"
    """The volume is being read: what is written to it now may or may not be in the point."""
    CAPTURED = "captured"
    """The point holds what the volume held at that moment, whatever becomes of it; it can't be restored yet."""
    READY = "ready"


@dataclass(frozen=True, slots=True)
class MadePoint:
    """A restore point as it exists."""

    point_id: RestorePointId
    instance_id: InstanceId | None
    """Whose data it holds; None for one of a volume that was never marked."""
    stage: Stage
    size_bytes: int | None = None
    """What it takes; None where that is not known yet."""
    made_at: float | None = None
    """When it was begun, in seconds since the epoch; None where that is not known."""


class RestorePoints(Protocol):
    """Each is known by an id that has a row before it is made. They outlive the volume."""

    @property
    def carries_archives(self) -> bool:
        """Whether `export` is there. Where it is not, it raises `StateConflict`."""
        ...

    @property
    def brings_archives(self) -> bool:
        """The same for `bring`."""
        ...

    @property
    def exports_volumes(self) -> bool:
        """The same for `export_volume`."""
        ...

    async def make(self, point_id: RestorePointId, volume_id: VolumeId) -> MadePoint:
        """Begin a restore point of a volume, or go on with one that was begun, and tell how far it is: ask again until it is ready.

        OpenClaw may be running on it: its databases are consistent in the point all the same. One that is ready stays as it is, whatever
        became of the volume. Raises `NotFound` where there is neither the point nor the volume, and any other `PortError` where it
        failed; asked again, it begins anew.
        """
        ...

    async def restore(self, point_id: RestorePointId, volume_id: VolumeId, instance_id: InstanceId, mark: str, provider_ref: str) -> None:
        """Have a volume be what the point holds, marked as this instance's, where this machine can reach it.

        A volume of this id that exists is set aside first, under the id `naming.aside_of`, with all that it holds. `mark` tells this
        restoring from others: asked again with the same one, it does nothing once it was done, or a later one was. Raises `NotFound`
        where the point is gone, `Unavailable` while it is not ready, `Conflict` while a machine has the volume: nothing is touched then.
        """
        ...

    async def remove(self, point_id: RestorePointId) -> None:
        """Destroy it for good, one that is under way included. Does nothing where it is gone."""
        ...

    async def list(self) -> Sequence[MadePoint]:
        """All that exist, but for those of which nothing is captured yet."""
        ...

    async def export(self, point_id: RestorePointId) -> AsyncIterator[bytes]:
        """The point as an archive (docs/archives.md), piece by piece. Raises `NotFound` before the first."""
        ...

    async def export_volume(self, volume_id: VolumeId) -> AsyncIterator[bytes]:
        """What a volume holds now as an archive, piece by piece, though OpenClaw may be running on it; takes no room on the disk but for
        one database at a time. Raises `NotFound` before the first, and `StateConflict` where the provider needs it to run and it does
        not, or another archive of it is being read."""
        ...

    async def bring(self, point_id: RestorePointId, content: AsyncIterator[bytes]) -> MadePoint:
        """Make a restore point of an archive from outside. Raises `InvalidInput` for one that can't be taken, with the reason for its
        user; nothing of it is kept then."""
        ...
