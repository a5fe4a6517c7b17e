"""Disk: says who fills the disk that volumes share, before it is full for everybody.

Looks once a minute, and measures nothing while there is room. Each instance is named once, and again after there was room in between. It
deletes and stops nothing: what to do about a tenant is for people to decide.
"""

from __future__ import annotations

import structlog

from openclaw_hosted.controllers.context import Ports
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.naming import VolumeId
from openclaw_hosted.domain.room import OPERATORS_WAY_OUT, in_gigabytes
from openclaw_hosted.ports.volumes import LargeVolume

log = structlog.get_logger("disk")


class DiskController:
    """One tick: look, and name."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._named: frozenset[VolumeId] = frozenset()

    async def tick(self) -> None:
        """Look once."""
        found = await self._ports.volumes.crowding()
        for large in found:
            if large.volume_id not in self._named:
                await self._name(large)
        self._named = frozenset(large.volume_id for large in found)

    async def _name(self, large: LargeVolume) -> None:
        held, free = in_gigabytes(large.held_bytes), in_gigabytes(large.free_bytes)
        log.warning("the disk is nearly full", volume=large.volume_id, instance=large.instance_id, holds=held, free=free)
        detail = {"holds": held, "free": free, "volume": large.volume_id, "what_to_do": OPERATORS_WAY_OUT}
        await self._ports.platform_store.add_event(
            Event(EventName.INSTANCE_FILLED_DISK, self._ports.clock.now(), large.instance_id, detail=detail)
        )
