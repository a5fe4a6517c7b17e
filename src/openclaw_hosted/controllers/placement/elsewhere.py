"""How an instance goes on in another zone, where its own has had no machine for a while.

Its volume is free and nobody writes on it, so that a restore point of it is all that there is: nothing is lost. No machine is claimed
while the point is being made, in its own zone either; what is in the point would be older than what that one wrote.
"""

from __future__ import annotations

from functools import partial

import structlog

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.runtime import Requeue
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.lifecycle import Changed
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import volume_of
from openclaw_hosted.domain.restore_point import PointState
from openclaw_hosted.domain.volume import Volume, VolumeState
from openclaw_hosted.ports.stores import Lease

log = structlog.get_logger("elsewhere")
COPYING = "No machine can be had where its disk is. The disk is being copied to another place, with all that is on it."
"""What its user reads meanwhile."""


class Elsewhere:
    """Carries a volume to another zone."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._options = options

    async def carry_on(self, instance: Instance, lease: Lease) -> None:
        """Before a machine is claimed: see how far the copy is, if there is one. Raises `Requeue` while it is being made."""
        volume = await self._ports.instance_store.volume(instance.id)
        if volume.state is not VolumeState.MOVING:
            return
        if await self._spares_in(volume.zone):
            await self._ports.instance_store.update(instance.id, self._staying(volume), lease=lease)
            return
        match await self._state_of_copy(volume):
            case PointState.READY:
                await self._ports.instance_store.update(instance.id, partial(lifecycle.bring_elsewhere, volume=volume), lease=lease)
            case PointState.MAKING:
                raise Requeue(self._options.scan_seconds, COPYING)
            case _:
                await self._ports.instance_store.update(instance.id, self._staying(volume), lease=lease)
                raise Requeue(self._options.retry_cap_seconds)

    async def consider(self, instance: Instance, lease: Lease) -> None:
        """Once no machine could be claimed: begin a copy, where its zone has had none for long and another one has a spare."""
        ports, volume = self._ports, await self._ports.instance_store.volume(instance.id)
        if volume.state is not VolumeState.MADE or not volume.zone or not await self._is_due(instance, volume):
            return
        if await self._is_free(instance):
            point_id = ports.ids.restore_point_id()
            rule = partial(lifecycle.leave_zone, volume=volume, point_id=point_id, now=ports.clock.now())
            await ports.instance_store.update(instance.id, rule, lease=lease)
            log.info("goes on in another zone", zone=volume.zone, point=point_id)

    def _staying(self, volume: Volume) -> partial[Changed]:
        return partial(lifecycle.stay, volume=volume, now=self._ports.clock.now())

    async def _is_due(self, instance: Instance, volume: Volume) -> bool:
        waits = self._ports.clock.now() - instance.phase_changed_at
        if self._options.elsewhere_seconds <= 0 or waits < self._options.elsewhere_seconds:
            return False
        return volume.zone in (await self._ports.platform_store.pool_memory()).shortages and await self._spares_in() > 0

    async def _is_free(self, instance: Instance) -> bool:
        """Whether the volume is there and no machine has it: then nobody writes on it."""
        seen = await self._ports.volumes.look_at(volume_of(instance.id))
        return seen is not None and seen.attached_to is None

    async def _spares_in(self, zone: str = "") -> int:
        """How many spares are ready, in this zone or in any."""
        machines, _ = await self._ports.machine_store.list_pooled()
        return sum(each.state is MachineState.AVAILABLE and zone in ("", each.zone) for each in machines)

    async def _state_of_copy(self, volume: Volume) -> PointState | None:
        """None where it failed."""
        assert volume.point_id is not None
        try:
            return (await self._ports.point_store.get(volume.point_id)).state
        except NotFound:
            return None
