"""The steps that take an instance down, and that purge what it kept."""

from __future__ import annotations

from functools import partial

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.placement.steps import StepRecorder
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.instance import Instance, StepName
from openclaw_hosted.domain.machine import MachineFailure, MachineState
from openclaw_hosted.domain.naming import MachineId, is_aside, volume_of
from openclaw_hosted.domain.volume import VolumeState
from openclaw_hosted.ports.stores import Lease


class Removing:
    """The flows `remove` and `purge`."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._options = options

    async def remove(self, instance: Instance, lease: Lease) -> None:
        """Route, machine, credentials: what can be undone is kept until `purge_after`."""
        ports = self._ports
        steps = StepRecorder(ports, instance, lease)
        async with steps.step(StepName.UNROUTE):
            await ports.router.release(instance.id)
        if machines := await self._machines_of(instance):
            async with steps.step(StepName.TERMINATE):
                for machine_id in machines:
                    await self._terminate(machine_id)
        async with steps.step(StepName.RETIRE):
            await ports.vault.retire(instance.id)
        now, has_data = ports.clock.now(), (await ports.instance_store.volume(instance.id)).state in (VolumeState.MADE, VolumeState.MOVING)
        point_id = ports.ids.restore_point_id() if has_data else None
        rule = partial(lifecycle.take_down, now=now, purge_after=now + self._options.retention_seconds, point_id=point_id)
        await ports.instance_store.update(instance.id, rule, lease=lease, steps=steps.take())

    async def purge(self, instance: Instance, lease: Lease) -> None:
        """Destroy restore points, credentials and volume for good."""
        ports = self._ports
        for point in await ports.point_store.list_for(instance.id):
            if not await ports.point_store.condemn(point.id, with_instance=True):
                raise Unavailable("Another instance is being made from one of its restore points.")
            await ports.points.remove(point.id)
            removed = lifecycle.told(EventName.RESTORE_POINT_REMOVED, point, ports.clock.now())
            await ports.point_store.forget(point.id, removed)
        await ports.vault.purge(instance.id)
        await ports.volumes.purge(volume_of(instance.id), instance.id)
        for volume in await ports.volumes.list():
            if volume.instance_id == instance.id and is_aside(volume.volume_id, instance.id):
                await ports.volumes.purge(volume.volume_id, instance.id)
        await ports.instance_store.update(instance.id, partial(lifecycle.purge, now=ports.clock.now()), lease=lease)

    async def _machines_of(self, instance: Instance) -> list[MachineId]:
        """The one that it has, and one that it was leaving."""
        noticed = [machine.id for machine in await self._ports.machine_store.list_noticed() if machine.instance_id == instance.id]
        return list(dict.fromkeys([*((instance.machine_id,) if instance.machine_id else ()), *noticed]))

    async def _terminate(self, machine_id: MachineId) -> None:
        """Condemn the machine and wait until it is seen to be gone, its volume let go."""
        ports = self._ports
        rule = partial(lifecycle.condemn, now=ports.clock.now(), failure=MachineFailure.INSTANCE_DELETED)
        await ports.machine_store.update(machine_id, rule)
        deadline = ports.clock.monotonic() + self._options.gateway_ready_seconds
        while (await ports.machine_store.get(machine_id)).state is not MachineState.TERMINATED:
            if ports.clock.monotonic() > deadline:
                raise Unavailable("The machine is still shutting down.")
            await ports.clock.sleep(self._options.poll_seconds)
