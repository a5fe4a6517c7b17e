"""What is done with an instance's volume while its gateway rests: it becomes a restore point before another release uses it, or before what
an older point holds takes its place.

All of it is an ensure. The gateway is stopped before anything else. What is in the way is set aside whole, and stays until its successor
runs (controllers/restore_points.py).
"""

from __future__ import annotations

from functools import partial

import structlog

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.describing import describe
from openclaw_hosted.controllers.gateways import seat_of
from openclaw_hosted.controllers.placement.steps import StepRecorder
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import NotFound, PortError, ProviderAway, Unavailable
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.instance import Instance, StepName
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.naming import VolumeId, volume_of
from openclaw_hosted.domain.restore_point import Cause, PointState, RestorePoint, describe_age
from openclaw_hosted.domain.volume import Volume, VolumeState
from openclaw_hosted.ports.restore_points import Stage
from openclaw_hosted.ports.stores import Lease

log = structlog.get_logger("restoring")


class Restoring:
    """Prepares a volume for the gateway that is about to use it."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._options = options

    async def prepare(self, instance: Instance, machine: Machine, volume: Volume, lease: Lease, steps: StepRecorder) -> None:
        """Do what is to be done before the gateway starts on this machine; nothing, most of the time."""
        if volume.state is VolumeState.RESTORING:
            await self._stop(instance, machine)
            await self._keep(instance, steps)
            await self._restore(instance, machine, volume, lease, steps)
        elif volume.state is VolumeState.MADE and volume.image != machine.image:
            await self._upgrade(instance, machine, volume, lease)
            await self._keep(instance, steps)

    async def _stop(self, instance: Instance, machine: Machine) -> None:
        """Its gateway ends, and its volume comes free."""
        ports = self._ports
        await ports.gateways.stop(seat_of(machine))
        volume = await ports.volumes.look_at(volume_of(instance.id))
        if volume is not None and volume.attached_to == machine.id:
            await ports.volumes.detach(volume.volume_id, machine.id)

    async def _upgrade(self, instance: Instance, machine: Machine, volume: Volume, lease: Lease) -> None:
        ports = self._ports
        point_id = ports.ids.restore_point_id()
        rule = partial(lifecycle.upgrade, volume=volume, image=machine.image, point_id=point_id, now=ports.clock.now())
        await ports.instance_store.update(instance.id, rule, lease=lease)

    async def _keep(self, instance: Instance, steps: StepRecorder) -> None:
        """Have what the volume holds captured, as far as that is asked for and not done."""
        asked = [
            each for each in await self._ports.point_store.list_for(instance.id) if each.is_at_rest and each.state is PointState.MAKING
        ]
        for point in asked:
            async with steps.step(StepName.KEEP):
                await self._capture(instance, point)

    async def _capture(self, instance: Instance, point: RestorePoint) -> None:
        """Wait until the point holds what the volume holds. An upgrade goes on without one that can't be made, and that is told: its user
        waits. A restore does not, unless there is no volume at all."""
        ports, deadline = self._ports, self._ports.clock.monotonic() + self._options.gateway_ready_seconds
        try:
            while (await ports.points.make(point.id, volume_of(instance.id))).stage is Stage.COPYING:
                if ports.clock.monotonic() > deadline:
                    raise Unavailable("The restore point of the present state is still being made.")
                await ports.clock.sleep(self._options.poll_seconds)
        except ProviderAway:
            raise
        except PortError as error:
            if point.cause is not Cause.UPGRADE and not isinstance(error, NotFound):
                raise
            log.warning("restore point failed", point=point.id, error=describe(error))
            failed = lifecycle.told(EventName.RESTORE_POINT_FAILED, point, ports.clock.now(), error=describe(error)[:300])
            await ports.point_store.forget(point.id, failed)

    async def _zone_of(self, volume_id: VolumeId) -> str:
        volume = await self._ports.volumes.look_at(volume_id)
        return "" if volume is None else volume.zone

    async def _restore(self, instance: Instance, machine: Machine, volume: Volume, lease: Lease, steps: StepRecorder) -> None:
        ports = self._ports
        assert volume.point_id is not None
        assert machine.provider_ref is not None
        async with steps.step(StepName.RESTORE):
            try:
                await ports.points.restore(volume.point_id, volume_of(instance.id), instance.id, volume.mark, machine.provider_ref)
            except NotFound as error:
                raise Unavailable(str(error)) from error
            point, now = await ports.point_store.get(volume.point_id), ports.clock.now()
            zone = await self._zone_of(volume_of(instance.id)) or machine.zone
            rule = partial(lifecycle.rewind, volume=volume, zone=zone, image=machine.image, now=now)
            await ports.instance_store.update(instance.id, rule, lease=lease)
            if zone != machine.zone:
                raise NotFound("The disk was made in another zone already; another machine takes it there.")
        steps.found(StepName.RESTORE, f"As it was {describe_age(now - point.made_at)} ago.")
