"""The steps that take an instance down, and that purge what it kept."""

from __future__ import annotations

from openclaw_hosted.controllers.placement.steps import StepRecorder
from openclaw_hosted.controllers.ports import ControllerOptions, Ports
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Instance, InstanceEvent, StepName
from openclaw_hosted.domain.machine import MachineFailure, MachineState
from openclaw_hosted.domain.naming import MachineId, volume_of
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
        if instance.machine_id is not None:
            async with steps.step(StepName.TERMINATE):
                await self._terminate(instance, instance.machine_id)
        async with steps.step(StepName.RETIRE):
            await ports.vault.retire(instance.id)
        now = ports.clock.now()
        note = Event(EventName.INSTANCE_DELETED, now, instance.id, instance.machine_id, instance.owner_id)
        purge_after = now + self._options.retention_seconds
        await ports.instance_store.settle(lease, InstanceEvent.TORN_DOWN, now, note=note, purge_after=purge_after, steps=steps.take())
        await ports.hints.hint("pool")

    async def purge(self, instance: Instance, lease: Lease) -> None:
        """Destroy credentials and volume for good."""
        ports, now = self._ports, self._ports.clock.now()
        await ports.vault.purge(instance.id)
        await ports.volumes.purge(volume_of(instance.id), instance.id)
        note = Event(EventName.INSTANCE_PURGED, now, instance.id, user_id=instance.owner_id)
        await ports.instance_store.settle(lease, InstanceEvent.PURGED, now, note=note)

    async def _terminate(self, instance: Instance, machine_id: MachineId) -> None:
        """Condemn the machine and wait until it is seen to be gone, its volume let go."""
        ports, now = self._ports, self._ports.clock.now()
        reason = {"reason": MachineFailure.INSTANCE_DELETED}
        event = Event(EventName.MACHINE_CONDEMNED, now, instance.id, machine_id, instance.owner_id, reason)
        await ports.machine_store.condemn(machine_id, MachineFailure.INSTANCE_DELETED, now, event)
        await ports.hints.hint("machines")
        deadline = ports.clock.monotonic() + self._options.gateway_ready_seconds
        while (await ports.machine_store.get(machine_id)).state is not MachineState.TERMINATED:
            if ports.clock.monotonic() > deadline:
                raise Unavailable("The machine is still shutting down.")
            await ports.clock.sleep(self._options.poll_seconds)
