"""The local provider on a data directory of its own, for tests."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from openclaw_hosted.adapters.local.docker.containers import DockerHost, DockerRuntime
from openclaw_hosted.adapters.local.gateways import LocalGateways
from openclaw_hosted.adapters.local.install import OpenClawRelease
from openclaw_hosted.adapters.local.machines import LocalMachines
from openclaw_hosted.adapters.local.processes.process import SupervisedProcess
from openclaw_hosted.adapters.local.runtimes import ProcessRuntime, Runtimes
from openclaw_hosted.adapters.local.vault import LocalVault
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.domain.addresses import LocalModel
from openclaw_hosted.domain.gateway import Credential, GatewaySpec
from openclaw_hosted.ports.machines import LaunchSpec, MachineHealth
from tests.support.seats import seat
from tests.support.waiting import until


@dataclass
class Computer:
    """A data directory and the local provider on it."""

    data_dir: Path
    release: OpenClawRelease
    docker: DockerHost | None = None
    """Where given, machines are containers."""
    models: Collection[LocalModel] = ()
    """Those of this computer that containers reach."""
    clock: SystemClock = field(default_factory=SystemClock)
    ids: SystemIds = field(default_factory=SystemIds)
    opened: list[LocalGateways] = field(default_factory=list)

    def __post_init__(self) -> None:
        processes = ProcessRuntime(self.data_dir, self.release)
        self.runtimes = Runtimes(DockerRuntime(self.docker, self.clock, self.models), processes) if self.docker else Runtimes(processes)
        self.machines = self.new_machines()
        self.vault = LocalVault(self.data_dir)
        self.volumes = LocalVolumes(self.data_dir)
        self.gateways = self.new_gateways()

    @property
    def image(self) -> str:
        """What its machines run."""
        return self.runtimes.chosen.image

    def new_machines(self) -> LocalMachines:
        """As a control plane makes them when it starts."""
        return LocalMachines(self.data_dir, self.runtimes, self.clock)

    def new_gateways(self, origin: str = "http://localhost:8080") -> LocalGateways:
        """As a control plane makes them when it starts."""
        made = LocalGateways(self.data_dir, self.runtimes, self.vault, self.volumes, self.clock, public_origins=[origin])
        self.opened.append(made)
        return made

    def process(self, provider_ref: str) -> SupervisedProcess:
        return SupervisedProcess(self.data_dir / "machines" / provider_ref)

    async def launch(self) -> tuple[str, GatewaySpec]:
        """A machine with its volume and credentials, as the pool makes them; its gateway is not started."""
        instance_id, machine_id, volume_id = self.ids.instance_id(), self.ids.machine_id(), self.ids.volume_id()
        await self.volumes.create(volume_id, machine_id)
        await self.vault.put(instance_id, {Credential.GATEWAY_TOKEN: self.ids.token()}, 0)
        await self.vault.grant(instance_id, machine_id)
        ref = await self.machines.launch(LaunchSpec(machine_id, volume_id, instance_id, self.image))
        return ref, GatewaySpec(instance_id, 0, volume_id, self.image)

    async def is_ready(self, ref: str) -> bool:
        """Whether the gateway has proved itself."""
        return (await self.gateways.status(seat(ref))).ready

    async def health(self, ref: str) -> MachineHealth | None:
        """What the provider says of the machine; None where it is gone."""
        return next((m.health for m in await self.machines.observe() if m.provider_ref == ref), None)

    async def clear(self) -> None:
        """End all machines."""
        for machine in await self.machines.observe():
            await self.machines.terminate(machine.provider_ref)
        await until(self._is_empty)
        for gateways in self.opened:
            await gateways.aclose()

    async def _is_empty(self) -> bool:
        return not await self.machines.observe()
