"""Time and randomness of the simulation."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Final

from openclaw_hosted.domain.naming import ID_ALPHABET, ID_LENGTH, InstanceId, MachineId, RestorePointId, UserId, VolumeId
from openclaw_hosted.domain.webhook import WebhookId
from simulation.loop import VirtualLoop

EPOCH: Final = 1_700_000_000.0
CLEAR: Final = "clear-"
"""Every credential, and nothing else but the tokens of named leases, begins so; where it stands in the clear, it is seen."""


class SeededIds:
    """`Ids` from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - it has to be repeated

    def user_id(self) -> UserId:
        """A new id of a user."""
        return UserId(self._new("us"))

    def instance_id(self, shard: int | None = None) -> InstanceId:
        """A new id, of this shard where one is given."""
        new = self._new("oc")
        return InstanceId(new if shard is None else f"oc-{ID_ALPHABET[shard]}{new[4:]}")

    def machine_id(self) -> MachineId:
        """A new id of a machine."""
        return MachineId(self._new("mc"))

    def volume_id(self) -> VolumeId:
        """A new id of a volume."""
        return VolumeId(self._new("vo"))

    def webhook_id(self) -> WebhookId:
        """A new id of a webhook."""
        return WebhookId(self._new("wh"))

    def restore_point_id(self) -> RestorePointId:
        """A new id of a restore point."""
        return RestorePointId(self._new("rp"))

    def token(self) -> str:
        """A token that can be told from everything else."""
        return f"{CLEAR}{self._random.getrandbits(64):016x}"

    def jitter(self) -> float:
        """A number from 0 up to 1."""
        return self._random.random()

    def _new(self, prefix: str) -> str:
        return f"{prefix}-" + "".join(self._random.choices(ID_ALPHABET, k=ID_LENGTH))


@dataclass
class SkewedClock:
    """`Clock` of one computer: virtual time, and so many seconds fast."""

    loop: VirtualLoop
    skew: float = 0.0

    def now(self) -> float:
        """Seconds since the epoch, as this computer believes."""
        return EPOCH + self.loop.time() + self.skew

    def monotonic(self) -> float:
        """Seconds since the simulation began."""
        return self.loop.time()

    async def sleep(self, seconds: float) -> None:
        """Wait, in virtual time."""
        await asyncio.sleep(seconds)
