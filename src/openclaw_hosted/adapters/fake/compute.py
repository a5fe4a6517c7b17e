"""Fake machines, gateways and volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from openclaw_hosted.adapters.fake.cloud import FakeCloud, FakeMachine, FakeVolume
from openclaw_hosted.domain.errors import Conflict, NotFound
from openclaw_hosted.domain.gateway import GatewaySpec
from openclaw_hosted.domain.naming import InstanceId, MachineId, VolumeId
from openclaw_hosted.ports.gateways import BootstrapTicket, GatewayStatus
from openclaw_hosted.ports.machines import LaunchSpec, MachineHealth, ObservedMachine
from openclaw_hosted.ports.volumes import ObservedVolume


class FakeMachines:
    """`Machines` in memory."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud

    async def launch(self, spec: LaunchSpec) -> str:
        await self._cloud.begin("machines.launch")
        self._cloud.machines.setdefault(spec.machine_id, FakeMachine(spec.machine_id))
        await self._cloud.end("machines.launch")
        return spec.machine_id

    async def observe(self) -> Sequence[ObservedMachine]:
        await self._cloud.begin("machines.observe")
        return [
            ObservedMachine(ref, machine.machine_id, machine.health, machine.address, "fake-1", 0.0)
            for ref, machine in self._cloud.machines.items()
        ]

    async def label(self, provider_ref: str, labels: Mapping[str, str]) -> None:
        await self._cloud.begin("machines.label")
        machine_of(self._cloud, provider_ref)
        self._cloud.labels[provider_ref] = dict(labels)
        await self._cloud.end("machines.label")

    async def start(self, provider_ref: str) -> None:
        await self._cloud.begin("machines.start")
        machine_of(self._cloud, provider_ref).health = MachineHealth.UP
        await self._cloud.end("machines.start")

    async def terminate(self, provider_ref: str) -> None:
        await self._cloud.begin("machines.terminate")
        self._cloud.kill(provider_ref)
        await self._cloud.end("machines.terminate")

    async def room(self) -> int | None:
        return self._cloud.room


class FakeGateways:
    """`Gateways` in memory: a gateway is ready at once."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud

    async def start(self, provider_ref: str, spec: GatewaySpec) -> None:
        await self._cloud.begin("gateways.start")
        machine = machine_of(self._cloud, provider_ref)
        volumes = FakeVolumes(self._cloud)
        await volumes.attach(spec.volume_id, machine.machine_id)
        await volumes.mark(spec.volume_id, spec.instance_id)
        machine.spec, machine.applied_revision = spec, spec.revision
        await self._cloud.end("gateways.start")

    async def apply(self, provider_ref: str, spec: GatewaySpec) -> None:
        await self._cloud.begin("gateways.apply")
        machine = machine_of(self._cloud, provider_ref)
        machine.spec, machine.applied_revision = spec, spec.revision
        await self._cloud.end("gateways.apply")

    async def restart(self, provider_ref: str) -> None:
        await self._cloud.begin("gateways.restart")
        machine_of(self._cloud, provider_ref).restarts += 1
        await self._cloud.end("gateways.restart")

    async def stop(self, provider_ref: str) -> None:
        await self._cloud.begin("gateways.stop")
        if provider_ref in self._cloud.machines:
            self._cloud.machines[provider_ref].spec = None
        await self._cloud.end("gateways.stop")

    async def status(self, provider_ref: str) -> GatewayStatus:
        await self._cloud.begin("gateways.status")
        machine = machine_of(self._cloud, provider_ref)
        running = machine.spec is not None and machine.health is MachineHealth.UP
        return GatewayStatus(running, running, machine.spec.instance_id if machine.spec else None, machine.restarts)

    async def warm_up(self, provider_ref: str) -> None:
        await self._cloud.begin("gateways.warm_up")
        machine_of(self._cloud, provider_ref)

    async def mint_bootstrap(self, provider_ref: str) -> BootstrapTicket:
        await self._cloud.begin("gateways.mint_bootstrap")
        return BootstrapTicket(f"ticket-{machine_of(self._cloud, provider_ref).machine_id}", 0.0)

    async def logs(self, provider_ref: str, lines: int = 200) -> Sequence[str]:
        machine_of(self._cloud, provider_ref)
        return ["gateway ready"][:lines]


class FakeVolumes:
    """`Volumes` in memory."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud

    async def create(self, volume_id: VolumeId) -> None:
        await self._cloud.begin("volumes.create")
        self._cloud.volumes.setdefault(volume_id, FakeVolume())
        await self._cloud.end("volumes.create")

    async def attach(self, volume_id: VolumeId, machine_id: MachineId) -> None:
        volume = self._volume(volume_id)
        if volume.attached_to not in (None, machine_id):
            raise Conflict(f"Machine {volume.attached_to} has the volume.")
        volume.attached_to = machine_id

    async def mark(self, volume_id: VolumeId, instance_id: InstanceId) -> None:
        volume = self._volume(volume_id)
        if volume.instance_id not in (None, instance_id):
            raise Conflict(f"The volume holds the data of {volume.instance_id}.")
        volume.instance_id = instance_id

    async def detach(self, volume_id: VolumeId, machine_id: MachineId) -> None:
        await self._cloud.begin("volumes.detach")
        volume = self._volume(volume_id)
        if volume.attached_to == machine_id:
            volume.attached_to = None
        await self._cloud.end("volumes.detach")

    async def purge(self, volume_id: VolumeId, instance_id: InstanceId) -> None:
        await self._cloud.begin("volumes.purge")
        volume = self._cloud.volumes.get(volume_id)
        if volume is not None:
            if volume.attached_to is not None or volume.instance_id not in (None, instance_id):
                raise Conflict("The volume is in use, or holds another instance's data.")
            del self._cloud.volumes[volume_id]
        await self._cloud.end("volumes.purge")

    async def list(self) -> Sequence[ObservedVolume]:
        return [ObservedVolume(key, volume.instance_id, volume.attached_to) for key, volume in self._cloud.volumes.items()]

    def _volume(self, volume_id: VolumeId) -> FakeVolume:
        if volume_id not in self._cloud.volumes:
            raise NotFound(f"There is no volume {volume_id}.")
        return self._cloud.volumes[volume_id]


def machine_of(cloud: FakeCloud, provider_ref: str) -> FakeMachine:
    """A machine that exists. Raises `NotFound`."""
    if provider_ref not in cloud.machines:
        raise NotFound(f"There is no machine {provider_ref}.")
    return cloud.machines[provider_ref]
