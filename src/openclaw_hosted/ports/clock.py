"""Time and randomness, so that tests can move the one and repeat the other."""

from __future__ import annotations

from typing import Protocol

from openclaw_hosted.domain.naming import InstanceId, MachineId, RestorePointId, UserId, VolumeId
from openclaw_hosted.domain.webhook import WebhookId


class Clock(Protocol):
    """The time."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Ids(Protocol):
    """All randomness of the platform."""

    def user_id(self) -> UserId:
        """A new id of a user."""
        ...

    def instance_id(self, shard: int | None = None) -> InstanceId:
        """A new id such as `oc-7f3k2m9q`, of this shard where one is given (domain.shards)."""
        ...

    def machine_id(self) -> MachineId:
        """A new id of a machine."""
        ...

    def volume_id(self) -> VolumeId:
        """A new id of a volume."""
        ...

    def restore_point_id(self) -> RestorePointId:
        """A new id of a restore point."""
        ...

    def webhook_id(self) -> WebhookId:
        """A new id of a webhook."""
        ...

    def token(self) -> str:
        """256 random bits, safe in URLs: for a cookie, link, lease or gateway token."""
        ...

    def jitter(self) -> float:
        """A number from 0 up to 1."""
        ...
