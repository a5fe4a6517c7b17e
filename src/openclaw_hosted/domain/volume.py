"""An instance's volume: what its row says of it, and what may be done with it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from openclaw_hosted.domain.naming import InstanceId


class VolumeState(StrEnum):
    """Where a volume is in its life."""

    WANTED = "wanted"
    """Not made yet: nothing of its user's is on it, so an empty one may be made."""
    MADE = "made"
    """It may hold its user's data: where it is missing, that is an error, and never a reason to make an empty one."""
    PURGED = "purged"
    """Destroyed for good, with what was on it."""


@dataclass(frozen=True, slots=True)
class Volume:
    """The volume of one instance as its row says; its id is `naming.volume_of`."""

    instance_id: InstanceId
    state: VolumeState = VolumeState.WANTED
    zone: str = ""
    """Where it is, and so where the instance's machines have to be; empty for anywhere, until it is about to be made."""

    @property
    def may_be_made(self) -> bool:
        """Whether an empty one may be made."""
        return self.state is VolumeState.WANTED
