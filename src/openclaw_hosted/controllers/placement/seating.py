"""An instance and its machine, as ports are told of them."""

from __future__ import annotations

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.domain.gateway import GatewaySpec
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.naming import volume_of
from openclaw_hosted.ports.router import Target


def target_of(machine: Machine) -> Target:
    """Where its route leads."""
    assert machine.provider_ref is not None
    assert machine.address is not None
    return Target(machine.id, machine.provider_ref, machine.address)


def spec_of(instance: Instance, machine: Machine, options: ControllerOptions) -> GatewaySpec:
    """What its gateway is to be."""
    return GatewaySpec(
        instance.id,
        instance.generation,
        volume_of(instance.id),
        machine.image,
        instance.settings,
        instance.revision,
        options.allowed_origins,
        instance.name,
    )


async def label(ports: Ports, instance: Instance, machine: Machine) -> None:
    """Write on the machine whose it is."""
    assert machine.provider_ref is not None
    await ports.machines.label(machine.provider_ref, {"Status": "assigned", "UserId": instance.owner_id, "InstanceId": instance.id})
