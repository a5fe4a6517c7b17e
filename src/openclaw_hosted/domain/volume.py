"""An instance's volume: what its row says of it, and what may be done with it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from openclaw_hosted.domain.naming import InstanceId, RestorePointId


class VolumeState(StrEnum):
    """Where a volume is in its life."""

    WANTED = "wanted"
    """Not made yet: nothing of its user's is on it, so an empty one may be made."""
    MADE = "made"
    """It may hold its user's data: where it is missing, that is an error, and never a reason to make an empty one."""
    MOVING = "moving"
    """What it holds is becoming a restore point, to be brought to another zone: no machine takes it meanwhile."""
    RESTORING = "restoring"
    """To be made from a restore point; the one that there is, if any, is set aside for it."""
    PURGED = "purged"
    """Destroyed for good, with what was on it."""


@dataclass(frozen=True, slots=True)
class Volume:
    """The volume of one instance as its row says; its id is `naming.volume_of`."""

    instance_id: InstanceId
    state: VolumeState = VolumeState.WANTED
    zone: str = ""
    """Where it is, and so where the instance's machines have to be, unless it is `restoring`; empty for anywhere, until it is about to be
    made."""
    image: str = ""
    """The release of OpenClaw that last was to use it; empty where that is not known."""
    point_id: RestorePointId | None = None
    """What it is to be made from, while it is `moving` or `restoring`."""
    mark: str = ""
    """Tells this restoring from others, so that it is done once."""

    @property
    def may_be_made(self) -> bool:
        """Whether an empty one may be made."""
        return self.state is VolumeState.WANTED

    @property
    def machine_zone(self) -> str:
        """Where a machine for it has to be; empty for anywhere: what is made from a restore point can be made wherever its machine is."""
        return "" if self.state is VolumeState.RESTORING else self.zone
