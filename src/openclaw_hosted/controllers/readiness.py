"""Readiness: brings each new machine up until it is a spare, and each condemned one down until it is seen to be gone.

Works on machine rows that are `initializing` or `terminating`, under their leases. Every step is an ensure: after a crash the next
worker goes through all of them again and finds most of them done. It never touches a machine that is available or assigned.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.gateways import ensure_token, seat_of, wait_until_ready
from openclaw_hosted.controllers.runtime import Requeue
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import Conflict, LeaseLost, NoCapacity, NotFound, PortError, ProviderAway, Unavailable
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import GatewaySpec
from openclaw_hosted.domain.machine import Machine, MachineFailure, MachineState, Warmth
from openclaw_hosted.ports.machines import LaunchSpec, MachineHealth, ObservedMachine
from openclaw_hosted.ports.router import Target
from openclaw_hosted.ports.stores import Lease

POLITE_ATTEMPTS = 3


class ReadinessController:
    """Handles one leased machine row."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._options = options

    async def handle(self, machine: Machine, lease: Lease) -> None:
        """Bring it up, or down."""
        if machine.state is MachineState.TERMINATING:
            await self._bring_down(machine)
        else:
            await self._bring_up(machine, lease)

    async def fail(self, machine: Machine, lease: Lease, error: str) -> None:
        """A machine that can't be brought up is condemned; one that can't be brought down is tried for ever."""
        if machine.state is MachineState.TERMINATING:
            await self._ports.machine_store.reschedule(lease, self._options.retry_cap_seconds, error)
            return
        rule = partial(lifecycle.condemn, now=self._ports.clock.now(), failure=MachineFailure.LAUNCH_FAILED)
        await self._ports.machine_store.update(machine.id, rule)

    async def _bring_up(self, machine: Machine, lease: Lease) -> None:
        ports = self._ports
        if machine.provider_ref is None:
            machine = await self._launch(machine, lease)
        else:
            await ports.machines.adopt(machine.provider_ref, _launch_spec(machine))
        observed = await self._wait_until_up(machine)
        address, zone = observed.address, observed.zone
        assert address is not None
        if machine.warmth is Warmth.HOT:
            if (machine.address, machine.zone) != (address, zone):
                located = partial(lifecycle.locate, address=address, zone=zone)
                machine = await ports.machine_store.update(machine.id, located, lease=lease)
            await self._warm(machine)
        await ports.machines.label(observed.provider_ref, {"Status": "available"})
        ready = partial(lifecycle.become_ready, now=ports.clock.now(), address=address, zone=zone)
        await ports.machine_store.update(machine.id, ready, lease=lease)
        await ports.platform_store.launch_succeeded()

    async def _launch(self, machine: Machine, lease: Lease) -> Machine:
        """Ask the provider. Its answer that there is no room is final for this row: the pool makes another, after a pause."""
        ports = self._ports
        try:
            provider_ref = await ports.machines.launch(_launch_spec(machine))
        except ProviderAway:
            raise
        except PortError as error:
            await ports.platform_store.add_event(self._event(EventName.MACHINE_LAUNCH_FAILED, machine, error=str(error)[:300]))
            if isinstance(error, NoCapacity):
                await ports.platform_store.no_capacity(machine.zone, ports.clock.now(), str(error))
                await self.fail(machine, lease, str(error))
                raise LeaseLost from error
            await ports.platform_store.launch_failed(ports.clock.now(), str(error))
            raise
        await ports.platform_store.capacity_found(machine.zone)
        rule = partial(lifecycle.launch, now=ports.clock.now(), provider_ref=provider_ref)
        return await ports.machine_store.update(machine.id, rule, lease=lease)

    async def _wait_until_up(self, machine: Machine) -> ObservedMachine:
        deadline = self._ports.clock.monotonic() + self._options.gateway_ready_seconds
        while self._ports.clock.monotonic() < deadline:
            observed = await self._observe(machine)
            if observed is not None and observed.health is MachineHealth.UP and observed.address is not None:
                return observed
            if observed is not None and observed.health is MachineHealth.STOPPED:
                await self._ports.machines.start(observed.provider_ref)
            await self._ports.clock.sleep(self._options.poll_seconds)
        raise Unavailable("The machine did not come up in time.")

    async def _warm(self, machine: Machine) -> None:
        """Do beforehand all that does not depend on the user."""
        ports, instance_id = self._ports, machine.reserved_instance_id
        assert machine.provider_ref is not None
        assert machine.address is not None
        await ensure_token(ports, instance_id)
        await ports.vault.grant(instance_id, machine.provider_ref)
        await ports.volumes.create(machine.volume_id, machine.provider_ref)
        seat = seat_of(machine)
        spec = GatewaySpec(instance_id, 0, machine.volume_id, machine.image, allowed_origins=self._options.allowed_origins)
        await ports.gateways.start(seat, spec)
        await wait_until_ready(ports, self._options, seat)
        await ports.router.prepare(instance_id, Target(machine.id, machine.provider_ref, machine.address))
        await ports.gateways.warm_up(seat)
        await ports.router.confirm(instance_id)

    async def _bring_down(self, machine: Machine) -> None:
        ports = self._ports
        if await self._serves_on(machine):
            raise Requeue(self._options.scan_seconds)
        serves_itself = machine.instance_id == machine.reserved_instance_id
        if not serves_itself:
            await ports.router.release(machine.reserved_instance_id)
        if machine.provider_ref is not None:
            await self._terminate(machine, machine.provider_ref)
        elif (observed := await self._observe(machine)) is not None:
            await ports.machines.terminate(observed.provider_ref)
            raise Requeue(self._options.poll_seconds)
        if not serves_itself:
            await ports.vault.purge(machine.reserved_instance_id)
            await ports.volumes.purge(machine.volume_id, machine.reserved_instance_id)
        with suppress(Conflict):
            await ports.router.forget(machine.id)
        await ports.machine_store.update(machine.id, partial(lifecycle.see_gone, now=ports.clock.now()))

    async def _terminate(self, machine: Machine, provider_ref: str) -> None:
        """Stop its gateway, let go of its volumes, end it, and wait until the provider no longer lists it.

        One that does not do as it is told is asked `POLITE_ATTEMPTS` times, and then ended all the same: it is billed while it lives.
        """
        try:
            await self._let_go(machine)
        except ProviderAway:
            raise
        except (Unavailable, Conflict):
            if machine.attempts < POLITE_ATTEMPTS and machine.failure is not MachineFailure.DIED:
                raise
        await self._ports.machines.terminate(provider_ref)
        if await self._observe(machine) is not None:
            raise Requeue(self._options.poll_seconds)

    async def _serves_on(self, machine: Machine) -> bool:
        """Whether its instance has yet to leave it, and it is there for that."""
        if machine.instance_id is None or not machine.is_leaving(self._ports.clock.now()):
            return False
        if not (await self._ports.instance_store.get(machine.instance_id)).is_moving:
            return False
        observed = await self._observe(machine)
        return observed is not None and observed.health is MachineHealth.UP

    async def _let_go(self, machine: Machine) -> None:
        ports = self._ports
        with suppress(NotFound):
            await ports.gateways.stop(seat_of(machine))
        for volume in await ports.volumes.list():
            if volume.attached_to == machine.id:
                await ports.volumes.detach(volume.volume_id, machine.id)

    async def _observe(self, machine: Machine) -> ObservedMachine | None:
        return await self._ports.machines.look_for(machine.id, machine.provider_ref)

    def _event(self, name: EventName, machine: Machine, **detail: str) -> Event:
        return Event(name, self._ports.clock.now(), machine.instance_id, machine.id, detail=detail)


def _launch_spec(machine: Machine) -> LaunchSpec:
    return LaunchSpec(machine.id, machine.volume_id, machine.reserved_instance_id, machine.image, machine.zone)
