"""The real clock and real randomness."""

from __future__ import annotations

import asyncio
import secrets
import time

from openclaw_hosted.domain.naming import ID_ALPHABET, ID_LENGTH, InstanceId, MachineId, RestorePointId, UserId, VolumeId
from openclaw_hosted.domain.webhook import WebhookId


class SystemClock:
    """The time of this computer."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class SystemIds:
    """Ids and tokens from the operating system's random source."""

    def user_id(self) -> UserId:
        """A new id of a user."""
        return UserId(_new("us"))

    def instance_id(self, shard: int | None = None) -> InstanceId:
        """A new id such as `oc-7f3k2m9q`, of this shard where one is given."""
        new = _new("oc")
        return InstanceId(new if shard is None else f"oc-{ID_ALPHABET[shard]}{new[4:]}")

    def machine_id(self) -> MachineId:
        """A new id of a machine."""
        return MachineId(_new("mc"))

    def volume_id(self) -> VolumeId:
        """A new id of a volume."""
        return VolumeId(_new("vo"))

    def restore_point_id(self) -> RestorePointId:
        """A new id of a restore point."""
        return RestorePointId(_new("rp"))

    def webhook_id(self) -> WebhookId:
        """A new id of a webhook."""
        return WebhookId(_new("wh"))

    def token(self) -> str:
        """256 random bits, safe in URLs."""
        return secrets.token_urlsafe(32)

    def jitter(self) -> float:
        """A number from 0 up to 1."""
        return secrets.randbelow(1 << 53) / (1 << 53)


def _new(prefix: str) -> str:
    return f"{prefix}-" + "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))
