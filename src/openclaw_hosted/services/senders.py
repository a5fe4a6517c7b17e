"""Who may write to an instance over its channels: OpenClaw holds a stranger's messages back until the owner approves them."""

from __future__ import annotations

from collections.abc import Sequence

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.gateways import Gateways, Seat, SenderRequest
from openclaw_hosted.ports.stores import InstanceStore, MachineStore, PlatformStore
from openclaw_hosted.services.reach import running_instance, seat_of


class SenderService:
    """Shows an instance's owner who waits, and settles that."""

    def __init__(self, instances: InstanceStore, machines: MachineStore, platform: PlatformStore, gateways: Gateways, clock: Clock) -> None:
        self._instances = instances
        self._machines = machines
        self._platform = platform
        self._gateways = gateways
        self._clock = clock

    async def waiting(self, user: User, instance_id: str) -> Sequence[SenderRequest]:
        """Who waits, the oldest first. Raises `NotFound` for another user's instance, `StateConflict` while it is not running."""
        _, seat = await self._reach(user, instance_id)
        return await self._gateways.sender_requests(seat)

    async def approve(self, user: User, instance_id: str, request_id: str) -> None:
        """Have this sender answered from now on, and tell them. Raises `NotFound` for a request that is gone."""
        await self._settle(user, instance_id, request_id, EventName.INSTANCE_SENDER_APPROVED)

    async def dismiss(self, user: User, instance_id: str, request_id: str) -> None:
        """Drop the request; the sender may ask again. Raises `NotFound` for one that is gone."""
        await self._settle(user, instance_id, request_id, EventName.INSTANCE_SENDER_DISMISSED)

    async def _settle(self, user: User, instance_id: str, request_id: str, name: EventName) -> None:
        instance, seat = await self._reach(user, instance_id)
        await self._gateways.settle_sender(seat, request_id, approve=name is EventName.INSTANCE_SENDER_APPROVED)
        await self._platform.add_event(Event(name, self._clock.now(), instance_id=instance.id, user_id=user.id))

    async def _reach(self, user: User, instance_id: str) -> tuple[Instance, Seat]:
        instance = await running_instance(self._instances, user, instance_id)
        return instance, await seat_of(self._machines, instance)
