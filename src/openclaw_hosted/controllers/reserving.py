"""The ids of machines to come: reserved before anything is asked of a provider."""

from __future__ import annotations

from collections.abc import Sequence

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.domain.naming import InstanceId, volume_of
from openclaw_hosted.ports.stores import NewMachine


async def reserve_ids(ports: Ports, options: ControllerOptions, count: int) -> Sequence[InstanceId]:
    """Ids for so many machines, fewer where there is no room for more routes."""
    if not options.shards.count:
        return [ports.ids.instance_id() for _ in range(count)]
    shards = options.shards.allot(await ports.instance_store.routed_ids(), count)
    return [ports.ids.instance_id(shard) for shard in shards]


def new_machine(ports: Ports, options: ControllerOptions, reserved: InstanceId, zone: str = "") -> NewMachine:
    """The row of a machine to be launched, or adopted."""
    return NewMachine(ports.ids.machine_id(), reserved, volume_of(reserved), options.policy.image, options.warmth, zone)
