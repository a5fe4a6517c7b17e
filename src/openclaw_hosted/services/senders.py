"""Who may write to an instance over its channels: OpenClaw holds a stranger's messages back until the owner approves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openclaw_hosted.domain.actor import Actor
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.gateways import Gateways, Seat, SenderRequest
from openclaw_hosted.ports.stores import InstanceStore, MachineStore, PlatformStore
from openclaw_hosted.services.reach import of_its_machine, running_instance, seat_of


@dataclass(frozen=True, slots=True)
class SenderService:
    """Shows an instance's owner who waits, and settles that."""

    _instances: InstanceStore
    _machines: MachineStore
    _platform: PlatformStore
    _gateways: Gateways
    _clock: Clock

    async def waiting(self, actor: Actor, instance_id: str) -> Sequence[SenderRequest]:
        """Who waits, the oldest first. Raises `NotFound` for another user's instance, `StateConflict` while it is not running."""
        _, seat = await self._reach(actor, instance_id)
        return await of_its_machine(self._gateways.sender_requests(seat))

    async def approve(self, actor: Actor, instance_id: str, request_id: str) -> None:
        """Have this sender answered from now on, and tell them. Raises `NotFound` for a request that is gone."""
        await self._settle(actor, instance_id, request_id, EventName.INSTANCE_SENDER_APPROVED)

    async def dismiss(self, actor: Actor, instance_id: str, request_id: str) -> None:
        """Drop the request; the sender may ask again. Raises `NotFound` for one that is gone."""
        await self._settle(actor, instance_id, request_id, EventName.INSTANCE_SENDER_DISMISSED)

    async def _settle(self, actor: Actor, instance_id: str, request_id: str, name: EventName) -> None:
        instance, seat = await self._reach(actor, instance_id)
        await self._gateways.settle_sender(seat, request_id, approve=name is EventName.INSTANCE_SENDER_APPROVED)
        event = Event(name, self._clock.now(), instance_id=instance.id, user_id=instance.owner_id, actor=actor)
        await self._platform.add_event(event)

    async def _reach(self, actor: Actor, instance_id: str) -> tuple[Instance, Seat]:
        instance = await running_instance(self._instances, actor, instance_id)
        return instance, await seat_of(self._machines, instance)
