"""Who fills the disk that volumes share, for those who look at the platform or at one instance."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Final

from openclaw_hosted.domain.actor import Actor, require_admin
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.stores import InstanceStore
from openclaw_hosted.ports.volumes import LargeVolume, Volumes
from openclaw_hosted.services.reach import own_instance

LOOK_SECONDS: Final = 60.0


class RoomService:
    """Looks once a minute at most, however many ask: each look may count the files of all volumes."""

    def __init__(self, instances: InstanceStore, volumes: Volumes, clock: Clock) -> None:
        self._instances = instances
        self._volumes = volumes
        self._clock = clock
        self._looking = asyncio.Lock()
        self._looked_at = -math.inf
        self._found: Sequence[LargeVolume] = ()

    async def crowding(self, actor: Actor) -> Sequence[LargeVolume]:
        """The volumes that hold most of a disk that is nearly full, the largest first; none while there is room."""
        require_admin(actor)
        return await self._crowding()

    async def filled_by(self, actor: Actor, instance_id: str) -> LargeVolume | None:
        """What one of the actor's own instances holds of such a disk; None unless that is much. Raises `NotFound`."""
        instance = await own_instance(self._instances, actor, instance_id)
        return next((large for large in await self._crowding() if large.instance_id == instance.id), None)

    async def _crowding(self) -> Sequence[LargeVolume]:
        async with self._looking:
            now = self._clock.monotonic()
            if now - self._looked_at >= LOOK_SECONDS:
                self._found, self._looked_at = await self._volumes.crowding(), now
            return self._found
