"""What a provider brings along to be held against the contracts of its ports."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from openclaw_hosted.domain.gateway import Credential, GatewaySpec
from openclaw_hosted.ports.clock import Ids
from openclaw_hosted.ports.gateways import Gateways
from openclaw_hosted.ports.machines import LaunchSpec, MachineHealth, Machines
from openclaw_hosted.ports.vault import Vault
from openclaw_hosted.ports.volumes import ObservedVolume, Volumes

MOST_PASSES = 3000


class ProviderHarness(Protocol):
    """One provider with nothing on it yet. A test module gives it as the fixture `harness`."""

    @property
    def machines(self) -> Machines: ...

    @property
    def gateways(self) -> Gateways: ...

    @property
    def volumes(self) -> Volumes: ...

    @property
    def vault(self) -> Vault: ...

    @property
    def ids(self) -> Ids: ...

    @property
    def image(self) -> str:
        """A release that its machines can run."""
        ...

    async def time_passes(self) -> None:
        """Let a moment pass, as the provider counts time."""
        ...

    async def break_machine(self, provider_ref: str) -> None:
        """Have a machine stop by itself, as by a power failure."""
        ...


async def eventually(harness: ProviderHarness, condition: Callable[[], Awaitable[object]]) -> None:
    """Let time pass until the condition holds."""
    for _ in range(MOST_PASSES):
        if await condition():
            return
        await harness.time_passes()
    raise AssertionError("it did not happen in time")


def launch_spec(harness: ProviderHarness) -> LaunchSpec:
    return LaunchSpec(harness.ids.machine_id(), harness.ids.volume_id(), harness.ids.instance_id(), harness.image)


async def health_of(harness: ProviderHarness, provider_ref: str) -> MachineHealth | None:
    """None for a machine that is gone."""
    return next((m.health for m in await harness.machines.observe() if m.provider_ref == provider_ref), None)


async def launched(harness: ProviderHarness, spec: LaunchSpec) -> str:
    """A machine that is up."""
    ref = await harness.machines.launch(spec)

    async def is_up() -> bool:
        return await health_of(harness, ref) is MachineHealth.UP

    await eventually(harness, is_up)
    return ref


async def terminated(harness: ProviderHarness, provider_ref: str) -> None:
    """Terminate a machine and see it gone."""
    await harness.machines.terminate(provider_ref)

    async def is_gone() -> bool:
        return await health_of(harness, provider_ref) is None

    await eventually(harness, is_gone)


async def volume(harness: ProviderHarness, volume_id: str) -> ObservedVolume | None:
    return next((v for v in await harness.volumes.list() if v.volume_id == volume_id), None)


async def ready_to_start(harness: ProviderHarness) -> tuple[str, GatewaySpec]:
    """A machine with its volume and credentials; no gateway on it yet."""
    spec = launch_spec(harness)
    ref = await launched(harness, spec)
    await harness.volumes.create(spec.volume_id, ref)
    await harness.vault.put(spec.reserved_instance_id, {Credential.GATEWAY_TOKEN: harness.ids.token()}, 0)
    await harness.vault.grant(spec.reserved_instance_id, ref)
    return ref, GatewaySpec(spec.reserved_instance_id, 0, spec.volume_id, harness.image)
