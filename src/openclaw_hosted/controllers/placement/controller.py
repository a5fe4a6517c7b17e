"""Decides, for one leased instance, which flow it needs."""

from __future__ import annotations

from functools import partial

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.describing import describe
from openclaw_hosted.controllers.placement.place import Placing
from openclaw_hosted.controllers.placement.remove import Removing
from openclaw_hosted.controllers.placement.traced import attempting, given_up
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import GatewayRejectedSettings
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase
from openclaw_hosted.ports.stores import Lease
from openclaw_hosted.ports.tracing import Flow

REMOVAL_PHASES = frozenset({Phase.DELETING, Phase.DELETED})


class PlacementController:
    """Handles one leased instance row."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._options = options
        self._placing = Placing(ports, options)
        self._removing = Removing(ports, options)

    async def handle(self, instance: Instance, lease: Lease) -> None:
        """Take it as far as it goes now."""
        try:
            await self._take_on(instance, lease)
        except* GatewayRejectedSettings as rejected:
            await self.fail(instance, lease, describe(rejected))

    async def fail(self, instance: Instance, lease: Lease, error: str) -> None:
        """Show the reason and stop trying; what is being taken down is tried for ever."""
        if instance.phase in REMOVAL_PHASES or instance.desired is DesiredState.DELETED:
            await self._ports.instance_store.reschedule(lease, self._options.retry_cap_seconds, error)
            return
        await self._ports.instance_store.update(instance.id, partial(lifecycle.fail, now=self._ports.clock.now(), error=error), lease=lease)
        given_up(self._ports, instance, error)

    async def _take_on(self, instance: Instance, lease: Lease) -> None:
        match instance.phase:
            case Phase.DELETED:
                await self._removing.purge(instance, lease)
            case Phase.DELETING:
                with attempting(self._ports, Flow.REMOVAL, instance, instance.machine_id):
                    await self._removing.remove(instance, lease)
            case Phase.UPDATING:
                await self._placing.update(instance, lease)
            case _:
                await self._placing.place(instance, lease)
