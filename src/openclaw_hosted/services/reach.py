"""From what a user names to what answers: their instance, and the machine that it runs on."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, TypeVar

from openclaw_hosted.domain.actor import Actor
from openclaw_hosted.domain.errors import NotFound, StateConflict, Unavailable
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.naming import InstanceId, is_instance_id
from openclaw_hosted.domain.words import PHASE_WORDS
from openclaw_hosted.ports.gateways import Seat
from openclaw_hosted.ports.stores import InstanceStore, MachineStore

Answer = TypeVar("Answer")
REPLACED: Final = "Its machine is being replaced. Try again in a moment."


async def owned(instances: InstanceStore, actor: Actor, instance_id: str) -> Instance:
    """One of the actor's own, a purged one as well. Raises `NotFound`, for another user's too."""
    if not is_instance_id(instance_id):
        raise NotFound(f"There is no instance {instance_id[:40]!r}.")
    instance = await instances.get(InstanceId(instance_id))
    if instance.owner_id != actor.id:
        raise NotFound(f"There is no instance {instance_id!r}.")
    return instance


async def own_instance(instances: InstanceStore, actor: Actor, instance_id: str) -> Instance:
    """One of the actor's own that still keeps something. Raises `NotFound`, for another user's as well."""
    instance = await owned(instances, actor, instance_id)
    if instance.phase is Phase.PURGED:
        raise NotFound(f"There is no instance {instance_id!r}.")
    return instance


async def running_instance(instances: InstanceStore, actor: Actor, instance_id: str) -> Instance:
    """One of the actor's own that runs. Raises `NotFound`, or `StateConflict` while it does not run."""
    instance = await own_instance(instances, actor, instance_id)
    if instance.phase is not Phase.RUNNING:
        raise StateConflict(f"Its state is “{PHASE_WORDS[instance.phase]}”. It opens once that is “{PHASE_WORDS[Phase.RUNNING]}”.")
    return instance


async def seat_of(machines: MachineStore, instance: Instance) -> Seat:
    """Its machine. Raises `Unavailable` where it has none just now."""
    machine = await machines.get(instance.machine_id) if instance.machine_id else None
    if machine is None or machine.provider_ref is None:
        raise Unavailable(REPLACED)
    return Seat(machine.provider_ref, instance.id, instance.generation, machine.address)


async def of_its_machine(asked: Awaitable[Answer]) -> Answer:
    """What its machine is asked. Raises `Unavailable` where the provider has that no more, though the row does not say so yet."""
    try:
        return await asked
    except NotFound:
        raise Unavailable(REPLACED) from None
