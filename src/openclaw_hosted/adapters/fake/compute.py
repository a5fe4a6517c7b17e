"""Fake machines, gateways and volumes."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence

from openclaw_hosted.adapters.fake.cloud import FakeCloud, FakeMachine, FakeVolume
from openclaw_hosted.domain.errors import Conflict, Denied, NoCapacity, NotFound, Unavailable
from openclaw_hosted.domain.gateway import CredentialsChange, GatewaySpec
from openclaw_hosted.domain.loglines import LogWish, chosen
from openclaw_hosted.domain.naming import InstanceId, MachineId, VolumeId
from openclaw_hosted.domain.usage import DayOfUse
from openclaw_hosted.ports.gateways import STAND_BY_SECONDS, BootstrapTicket, GatewayStatus, Names, Seat, SenderRequest
from openclaw_hosted.ports.machines import LaunchSpec, MachineHealth, ObservedMachine, one_of
from openclaw_hosted.ports.volumes import LargeVolume, ObservedVolume

TICKET_SECONDS = 600.0
REFUSED_EXIT_CODE = 78
REFUSAL = "models.providers.openai: not a provider"


class FakeMachines:
    """`Machines` in memory."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud

    async def launch(self, spec: LaunchSpec) -> str:
        async with self._cloud.call("machines.launch"):
            refs = [ref for ref, machine in self._cloud.machines.items() if machine.machine_id == spec.machine_id]
            return refs[0] if refs else self._launch(spec)

    def _launch(self, spec: LaunchSpec) -> str:
        cloud, ref, now = self._cloud, self._cloud.new_ref(spec.machine_id), self._cloud.clock.now()
        zone = spec.zone or self._zone()
        if self._room_in(zone) <= 0:
            raise NoCapacity(f"There is no room in zone {zone or 'any'}.")
        boots_at = now + cloud.pace.boot()
        health = MachineHealth.BOOTING if boots_at > now else MachineHealth.UP
        new = FakeMachine(spec.machine_id, now, health, zone, address=cloud.gateway_address, boots_at=boots_at)
        new.listed_at, new.reserved_instance_id, new.image = now + cloud.pace.listing(), spec.reserved_instance_id, spec.image
        cloud.add(ref, new)
        return ref

    def _zone(self) -> str:
        """The next in turn that has room, if any has."""
        zones = self._cloud.zones
        turn = len(self._cloud.machines) % len(zones)
        return next((zone for zone in (*zones[turn:], *zones[:turn]) if self._room_in(zone) > 0), "")

    def _room_in(self, zone: str) -> float:
        used = sum(machine.zone == zone for machine in self._cloud.machines.values())
        return self._cloud.capacity.get(zone, math.inf) - used if zone else 0

    async def adopt(self, provider_ref: str, spec: LaunchSpec) -> None:
        async with self._cloud.call("machines.adopt"):
            machine = self._cloud.machine(provider_ref)
            machine.machine_id = machine.machine_id or spec.machine_id
            machine.reserved_instance_id, machine.image = spec.reserved_instance_id, spec.image

    async def observe(self) -> Sequence[ObservedMachine]:
        async with self._cloud.call("machines.observe"):
            now = self._cloud.clock.now()
            labels = self._cloud.labels
            return [
                _observed(ref, machine, labels.get(ref, {})) for ref, machine in self._cloud.machines.items() if machine.listed_at <= now
            ]

    async def look_for(self, machine_id: MachineId, provider_ref: str | None) -> ObservedMachine | None:
        return one_of(await self.observe(), machine_id, provider_ref)

    async def label(self, provider_ref: str, labels: Mapping[str, str]) -> None:
        async with self._cloud.call("machines.label"):
            self._cloud.machine(provider_ref)
            self._cloud.labels[provider_ref] = dict(labels)

    async def start(self, provider_ref: str) -> None:
        async with self._cloud.call("machines.start"):
            machine = self._cloud.machine(provider_ref)
            if machine.health is MachineHealth.STOPPED:
                machine.health = MachineHealth.UP

    async def terminate(self, provider_ref: str) -> None:
        async with self._cloud.call("machines.terminate"):
            self._cloud.end(provider_ref)

    async def economize(self, provider_refs: Sequence[str]) -> Collection[str]:
        async with self._cloud.call("machines.economize"):
            found = [ref for ref in provider_refs if ref in self._cloud.machines]
            for ref in found:
                self._cloud.machines[ref].thrifty = True
            return found

    async def room(self) -> int | None:
        async with self._cloud.call("machines.room"):
            return self._cloud.room


def _observed(ref: str, machine: FakeMachine, labels: Mapping[str, str]) -> ObservedMachine:
    known, serves_user = machine.machine_id or None, labels.get("Status") == "assigned"
    return ObservedMachine(
        ref, known, machine.health, machine.address, machine.zone, machine.launched_at, serves_user=serves_user, adoptable=known is None,
        labels=labels, reserved_instance_id=machine.reserved_instance_id, image=machine.image,
    )  # fmt: skip


class FakeGateways:
    """`Gateways` in memory: a gateway is ready at once."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud

    async def start(self, seat: Seat, spec: GatewaySpec) -> None:
        async with self._cloud.call("gateways.start"):
            machine = self._newest(seat.provider_ref, spec)
            attach(self._cloud, spec.volume_id, machine.machine_id)
            mark(self._cloud, spec.volume_id, spec.instance_id)
            self._check_granted(seat.provider_ref, spec)
            if machine.spec is None or machine.spec.instance_id != spec.instance_id or machine.refuses or machine.down:
                machine.spec, machine.down = spec, False
                machine.ready_at = self._cloud.clock.now() + self._cloud.pace.gateway()

    async def prepare(self, seat: Seat, spec: GatewaySpec) -> None:
        async with self._cloud.call("gateways.prepare"):
            machine = self._newest(seat.provider_ref, spec)
            if machine.spec is not None and machine.spec.instance_id != spec.instance_id:
                machine.spec, machine.suspended = None, False

    async def stand_by(self, seat: Seat) -> bool:
        async with self._cloud.call("gateways.stand_by"):
            machine = self._up(seat.provider_ref)
            if machine.spec is None or not self._cloud.loads_ahead:
                return False
            machine.stands_by_until = self._cloud.clock.now() + STAND_BY_SECONDS
            return True

    async def apply(self, seat: Seat, spec: GatewaySpec, given: CredentialsChange | None = None) -> None:  # noqa: ARG002 - it keeps none
        async with self._cloud.call("gateways.apply"):
            machine = self._newest(seat.provider_ref, spec)
            if machine.spec is None or machine.spec.instance_id != spec.instance_id:
                raise Conflict(f"Machine {seat.provider_ref} does not serve {spec.instance_id}.")
            self._check_granted(seat.provider_ref, spec)
            machine.spec, machine.outdated = spec, False

    async def restart(self, seat: Seat, *, at_once: bool = False) -> None:
        async with self._cloud.call("gateways.restart"):
            machine, now = self._up(seat.provider_ref), self._cloud.clock.now()
            if now < machine.stopped_at and not at_once:
                return
            machine.restarts += 1
            machine.hangs, machine.down, machine.stands_by_until = machine.hangs and not at_once, False, None
            machine.stopped_at = now if at_once else now + self._cloud.pace.turn()
            machine.ready_at = machine.stopped_at + self._cloud.pace.gateway()

    async def revive(self, seat: Seat) -> None:
        async with self._cloud.call("gateways.revive"):
            machine = self._up(seat.provider_ref)
            lapsed = machine.stands_by_until is not None and machine.stands_by_until <= self._cloud.clock.now()
            if machine.down or lapsed:
                machine.down, machine.stands_by_until, machine.restarts = False, None, machine.restarts + 1
                machine.ready_at = self._cloud.clock.now() + self._cloud.pace.gateway()

    async def suspend(self, seat: Seat, *, finish: bool = False) -> bool:
        async with self._cloud.call("gateways.suspend"):
            machine = self._up(seat.provider_ref)
            if not self._cloud.ready(machine):
                raise Unavailable(f"The gateway on {seat.provider_ref} does not answer.")
            rests = machine.busy_until <= self._cloud.clock.now()
            machine.suspended = rests or finish
            return rests

    async def resume(self, seat: Seat) -> None:
        async with self._cloud.call("gateways.resume"):
            self._up(seat.provider_ref).suspended = False

    async def stop(self, seat: Seat, *, within_seconds: float | None = None) -> None:  # noqa: ARG002 - it ends at once
        async with self._cloud.call("gateways.stop"):
            if seat.provider_ref in self._cloud.machines:
                self._cloud.machines[seat.provider_ref].spec = None
                self._cloud.machines[seat.provider_ref].suspended = False
                self._cloud.machines[seat.provider_ref].stands_by_until = None

    async def status(self, seat: Seat) -> GatewayStatus:
        async with self._cloud.call("gateways.status"):
            machine = self._cloud.machine(seat.provider_ref)
            stopping = machine.answers and self._cloud.clock.now() < machine.stopped_at
            ready = self._cloud.ready(machine)
            serves = machine.spec.instance_id if machine.spec is not None and ready else None
            return GatewayStatus(
                running=machine.answers or machine.hangs or machine.stands_by_until is not None,
                ready=ready,
                stopping=stopping,
                instance_id=serves,
                started_at=float(machine.restarts),
                restarts=machine.restarts,
                exit_code=REFUSED_EXIT_CODE if machine.refuses else None,
                problem=REFUSAL if machine.refuses else None,
                outdated=machine.outdated,
                claimed=machine.generation > 0 if machine.answers else None,
                stands_by=machine.stands_by_until is not None and self._cloud.clock.now() < machine.stands_by_until,
            )

    async def warm_up(self, seat: Seat) -> None:
        async with self._cloud.call("gateways.warm_up"):
            self._cloud.machine(seat.provider_ref)

    async def keep_warm(self, seat: Seat) -> None:
        async with self._cloud.call("gateways.keep_warm"):
            self._cloud.machine(seat.provider_ref)

    async def mint_bootstrap(self, seat: Seat, names: Names | None = None) -> BootstrapTicket:  # noqa: ARG002 - it has no page
        async with self._cloud.call("gateways.mint_bootstrap"):
            self._cloud.machine(seat.provider_ref)
            return BootstrapTicket(self._cloud.new_ticket(), self._cloud.clock.now() + TICKET_SECONDS)

    async def usage(self, seat: Seat, days: int) -> Sequence[DayOfUse]:  # noqa: ARG002
        async with self._cloud.call("gateways.usage"):
            self._cloud.machine(seat.provider_ref)
            return []

    async def sender_requests(self, seat: Seat) -> Sequence[SenderRequest]:
        async with self._cloud.call("gateways.sender_requests"):
            return list(self._cloud.machine(seat.provider_ref).senders.values())

    async def settle_sender(self, seat: Seat, request_id: str, *, approve: bool) -> None:
        async with self._cloud.call("gateways.settle_sender"):
            machine = self._cloud.machine(seat.provider_ref)
            if machine.senders.pop(request_id, None) is None:
                raise NotFound("This request is gone.")
            machine.settled[request_id] = approve

    async def logs(self, seat: Seat, lines: int = 200) -> Sequence[str]:
        async with self._cloud.call("gateways.logs"):
            return self._cloud.machine(seat.provider_ref).log[-lines:]

    async def find_lines(self, seats: Sequence[Seat], pattern: str, since: float) -> Mapping[InstanceId, Sequence[str]] | None:
        if not self._cloud.searches_logs:
            return None
        async with self._cloud.call("gateways.find_lines"):
            said = {seat.instance_id: self._matching(seat.provider_ref, pattern, since) for seat in seats}
            return {instance_id: lines for instance_id, lines in said.items() if lines}

    def _matching(self, provider_ref: str, pattern: str, since: float) -> Sequence[str]:
        machine = self._cloud.machines.get(provider_ref)
        lines = chosen(machine.log, LogWish(since=since)) if machine is not None else ()
        return [line.text for line in lines if re.search(pattern, line.text)]

    def _newest(self, provider_ref: str, spec: GatewaySpec) -> FakeMachine:
        """The machine, if it has seen no later generation."""
        machine = self._up(provider_ref)
        if machine.generation > spec.generation:
            raise Conflict(f"The machine has seen generation {machine.generation}, which is later than {spec.generation}.")
        machine.generation = spec.generation
        return machine

    def _up(self, provider_ref: str) -> FakeMachine:
        machine = self._cloud.machine(provider_ref)
        if machine.health is not MachineHealth.UP:
            raise Unavailable(f"Machine {provider_ref} does not answer.")
        return machine

    def _check_granted(self, provider_ref: str, spec: GatewaySpec) -> None:
        secret = self._cloud.secrets.get(spec.instance_id)
        if secret is None or secret.retired or secret.granted_to != provider_ref:
            raise Denied(f"Machine {provider_ref} may not read the credentials of {spec.instance_id}.")


class FakeVolumes:
    """`Volumes` in memory. `large` is what crowds its disk."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud
        self.large: Sequence[LargeVolume] = ()

    async def crowding(self) -> Sequence[LargeVolume]:
        return self.large

    async def create(self, volume_id: VolumeId, provider_ref: str) -> None:
        async with self._cloud.call("volumes.create"):
            self._cloud.volumes.setdefault(volume_id, FakeVolume(self._cloud.machine(provider_ref).zone))

    async def attach(self, volume_id: VolumeId, machine_id: MachineId) -> None:
        async with self._cloud.call("volumes.attach"):
            attach(self._cloud, volume_id, machine_id)

    async def mark(self, volume_id: VolumeId, instance_id: InstanceId) -> None:
        async with self._cloud.call("volumes.mark"):
            mark(self._cloud, volume_id, instance_id)

    async def detach(self, volume_id: VolumeId, machine_id: MachineId) -> None:
        async with self._cloud.call("volumes.detach"):
            volume = volume_of(self._cloud, volume_id)
            if volume.attached_to == machine_id:
                volume.attached_to = None

    async def purge(self, volume_id: VolumeId, instance_id: InstanceId) -> None:
        async with self._cloud.call("volumes.purge"):
            volume = self._cloud.volumes.get(volume_id, FakeVolume())
            if volume.attached_to is not None or volume.instance_id not in (None, instance_id):
                raise Conflict("The volume is in use, or holds another instance's data.")
            self._cloud.volumes.pop(volume_id, None)

    async def look_at(self, volume_id: VolumeId) -> ObservedVolume | None:
        async with self._cloud.call("volumes.look_at"):
            volume = self._cloud.volumes.get(volume_id)
            return None if volume is None else ObservedVolume(volume_id, volume.instance_id, volume.attached_to, volume.zone)

    async def list(self) -> Sequence[ObservedVolume]:
        async with self._cloud.call("volumes.list"):
            return [ObservedVolume(key, volume.instance_id, volume.attached_to, volume.zone) for key, volume in self._cloud.volumes.items()]


def volume_of(cloud: FakeCloud, volume_id: VolumeId) -> FakeVolume:
    """A volume that exists. Raises `NotFound`."""
    if volume_id not in cloud.volumes:
        raise NotFound(f"There is no volume {volume_id}.")
    return cloud.volumes[volume_id]


def attach(cloud: FakeCloud, volume_id: VolumeId, machine_id: MachineId) -> None:
    """Attach it, as a machine or the platform does."""
    volume = volume_of(cloud, volume_id)
    if volume.attached_to not in (None, machine_id):
        raise Conflict(f"Machine {volume.attached_to} has the volume.")
    machine = next((each for each in cloud.machines.values() if each.machine_id == machine_id), None)
    if machine is not None and machine.zone != volume.zone:
        raise Conflict(f"The volume is in zone {volume.zone}, the machine in {machine.zone}.")
    volume.attached_to = machine_id


def mark(cloud: FakeCloud, volume_id: VolumeId, instance_id: InstanceId) -> None:
    """Mark it, as a machine or the platform does."""
    volume = volume_of(cloud, volume_id)
    if volume.instance_id not in (None, instance_id):
        raise Conflict(f"The volume holds the data of {volume.instance_id}.")
    volume.instance_id = instance_id
