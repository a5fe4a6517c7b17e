"""Filing: writes about a user's instance what no user has to wait for, once it runs on a hot spare.

The vault gets the credentials that went straight to the gateway, and the machine fetches them for the gateway's next start; the vault gets
a record of what the instance is, the machine is labelled, the route marked. The row is work until all of it is done, and the sealed copy of
the credentials stays in it as long. It changes nothing that a user sees, and attempts that fail leave no steps: it may try for as long as
the provider is away.
"""

from __future__ import annotations

import asyncio
from functools import partial

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.gateways import seat_of
from openclaw_hosted.controllers.placement.handing import just_given, put_away
from openclaw_hosted.controllers.placement.seating import label, spec_of, target_of
from openclaw_hosted.controllers.placement.steps import StepRecorder
from openclaw_hosted.controllers.placement.traced import attempting
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.instance import Instance, StepName
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.ports.stores import InstanceStore, Lease
from openclaw_hosted.ports.tracing import Flow


class UnfiledRows:
    """The instances about which something is left to be written, as work."""

    def __init__(self, store: InstanceStore) -> None:
        self.lease_due = store.lease_unfiled
        self.renew = store.renew
        self.reschedule = store.reschedule


class FilingController:
    """Handles one leased instance row."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._options = options

    async def handle(self, instance: Instance, lease: Lease) -> None:
        """Write all of it. Each part is an ensure."""
        ports = self._ports
        assert instance.machine_id is not None
        machine = await ports.machine_store.get(instance.machine_id)
        steps = StepRecorder(ports, instance, lease)
        with attempting(ports, Flow.PLACEMENT, instance, machine.id, is_last=False):
            async with asyncio.TaskGroup() as group:
                put = group.create_task(self._put_away(instance, machine, steps))
                group.create_task(self._label(instance, machine, steps))
                group.create_task(ports.router.mark(instance.id, target_of(machine), instance.owner_id, instance.generation))
        await ports.instance_store.update(instance.id, partial(lifecycle.file, revision=put.result()), lease=lease, steps=steps.take())

    async def fail(self, instance: Instance, lease: Lease, error: str) -> None:  # noqa: ARG002 - the lease says which
        """It is tried for ever: the instance runs."""
        await self._ports.instance_store.reschedule(lease, self._options.retry_cap_seconds, error)

    async def _put_away(self, instance: Instance, machine: Machine, steps: StepRecorder) -> int | None:
        """The revision of the credentials that are where they belong now; None where there were none."""
        given = await just_given(self._ports, instance)
        began_at = self._ports.clock.now()
        await put_away(self._ports, instance, given)
        if given is None:
            return None
        await self._ports.gateways.apply(seat_of(machine), spec_of(instance, machine, self._options))
        steps.over(StepName.SECRET, began_at)
        return given.revision

    async def _label(self, instance: Instance, machine: Machine, steps: StepRecorder) -> None:
        began_at = self._ports.clock.now()
        await label(self._ports, instance, machine)
        steps.over(StepName.LABEL, began_at)
