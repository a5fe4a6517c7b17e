"""The users' durable disks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from openclaw_hosted.domain.naming import InstanceId, MachineId, VolumeId


@dataclass(frozen=True, slots=True)
class ObservedVolume:
    """A volume as it exists. `instance_id` is the mark inside it: whose data it holds."""

    volume_id: VolumeId
    instance_id: InstanceId | None
    attached_to: MachineId | None
    zone: str = ""
    """Where machines have to be that take it; empty for anywhere."""


@dataclass(frozen=True, slots=True)
class LargeVolume:
    """A volume that holds much of a disk which others need as well and which is nearly full."""

    volume_id: VolumeId
    instance_id: InstanceId | None
    held_bytes: int
    """On the disk; at least, where a volume has more entries than are counted."""
    free_bytes: int
    """Of the disk, for all."""


class Volumes(Protocol):
    """Each holds OpenClaw's state directory of one instance, and a mark that says of which."""

    async def create(self, volume_id: VolumeId, provider_ref: str) -> None:
        """Make an empty volume where this machine can reach it; one that came with the machine and is nobody's yet may serve, attached
        as it is. Does nothing where the volume exists, whatever it holds."""
        ...

    async def attach(self, volume_id: VolumeId, machine_id: MachineId) -> None:
        """Attach it to a machine. Raises `Conflict` while another machine has it, `NotFound` where it does not exist:
        never is an empty one made in place of a missing one."""
        ...

    async def mark(self, volume_id: VolumeId, instance_id: InstanceId) -> None:
        """Write whose data it holds. Does nothing where it says so already; raises `Conflict` where it names another."""
        ...

    async def detach(self, volume_id: VolumeId, machine_id: MachineId) -> None:
        """Detach it, once its gateway has stopped. Does nothing where that machine does not have it."""
        ...

    async def purge(self, volume_id: VolumeId, instance_id: InstanceId) -> None:
        """Destroy it for good. Raises `Conflict` when it is attached, or its mark names another instance than `instance_id`.
        Does nothing where it is gone."""
        ...

    async def look_at(self, volume_id: VolumeId) -> ObservedVolume | None:
        """One of them, as it is now; None where there is none."""
        ...

    async def list(self) -> Sequence[ObservedVolume]:
        """All that exist."""
        ...

    async def crowding(self) -> Sequence[LargeVolume]:
        """Where volumes share a disk that is nearly full, those that hold most of it, the largest first. None where there is room, or
        where each has a disk of its own."""
        ...
