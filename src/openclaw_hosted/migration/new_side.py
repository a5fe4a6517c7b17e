"""What a migration asks of this platform, as an operator and in the name of a user.

It writes what is wanted, as a user's own request would, and waits for the control loops to bring it about: they run elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.actor import Actor, Party, Via
from openclaw_hosted.domain.errors import NotFound, StateConflict, Unavailable
from openclaw_hosted.domain.gateway import (
    CHANNEL_CREDENTIALS,
    DEFAULT_SETTINGS,
    USER_CREDENTIALS,
    Channel,
    Credentials,
    CredentialsChange,
    GatewaySettings,
)
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.migration import OldSettings
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.ports.clock import Clock, Ids
from openclaw_hosted.ports.gateways import Gateways, Seat
from openclaw_hosted.ports.models import KeyTester
from openclaw_hosted.ports.router import Router, Target
from openclaw_hosted.ports.stores import InstanceStore, MachineStore
from openclaw_hosted.services import AccountService, InstanceService
from openclaw_hosted.services.instances import ChangeRequest, CreateRequest
from openclaw_hosted.services.reach import seat_of

OPERATOR: Final = Actor(Party.OPERATOR, Role.ADMIN, Via.COMMAND_LINE)
STOP_SECONDS: Final = 60.0
ANSWERS_SECONDS: Final = 60.0
"""For so long a gateway that is to rest may fail to answer, before it is stopped instead."""
BEGIN_SECONDS: Final = 120.0
"""For so long one that stood by may take to be ready."""


@dataclass(frozen=True, slots=True)
class NewSide:
    """The platform, as far as a migration is concerned. `patience_seconds` bounds each wait for the control loops."""

    accounts: AccountService
    instances: InstanceService
    instance_store: InstanceStore
    machine_store: MachineStore
    gateways: Gateways
    router: Router
    keys: KeyTester
    clock: Clock
    ids: Ids
    fleet_cap: int
    poll_seconds: float = 0.2
    patience_seconds: float = 900.0

    async def check_room(self) -> None:
        """Raise `StateConflict` where there is neither a spare nor room for another machine."""
        live = await self.machine_store.list_live()
        if not any(machine.state is MachineState.AVAILABLE for machine in live) and len(live) >= self.fleet_cap:
            raise StateConflict(f"The fleet has all the {self.fleet_cap} machines that it may have, and none is spare. Raise FLEET_CAP.")

    async def check_key(self, settings: OldSettings) -> None:
        """Raise `StateConflict` where the model provider does not take the user's key."""
        report = await self.keys.try_model_key(settings.settings, settings.credentials)
        if not report.ok:
            raise StateConflict(f"The model provider does not take the key: {report.message}")

    async def account(self, email: str) -> UserId:
        """The account with this address, made if missing. Nobody knows its password: the user sets one by a reset link."""
        try:
            return (await self.accounts.user_by_email(email)).id
        except NotFound:
            return (await self.accounts.create_user(OPERATOR, email, self.ids.token())).id

    async def create(self, owner: UserId, name: str, key: str) -> InstanceId:
        """An empty instance without credentials; the same for the same key."""
        request = CreateRequest(name, DEFAULT_SETTINGS, CredentialsChange())
        instance, _ = await self.instances.create(_as(owner), request, key)
        return instance.id

    async def set_up(self, instance_id: InstanceId, found: OldSettings, *, channels: bool) -> None:
        """Have the user's settings and credentials in force; without `channels`, no bot is spoken for."""
        instance = await self.instance_store.get(instance_id)
        settings = found.settings if channels else without_channels(found.settings)
        wanted = {name: value for name, value in found.credentials.items() if name in needed_credentials(settings)}
        change = ChangeRequest(settings=settings, credentials=CredentialsChange(wanted))
        await self.instances.change(_as(instance.owner_id), instance_id, change)
        await self.settled(instance_id)

    async def silence(self, instance_id: InstanceId) -> None:
        """Have it speak for no bot any more."""
        instance = await self.instance_store.get(instance_id)
        if instance.settings.channels:
            change = ChangeRequest(settings=without_channels(instance.settings))
            await self.instances.change(_as(instance.owner_id), instance_id, change)
            await self.settled(instance_id)

    async def settled(self, instance_id: InstanceId) -> Instance:
        """Wait until it runs, with all in force that was asked for. Raises `StateConflict` where it was given up."""

        async def look() -> Instance | None:
            instance = await self.instance_store.get(instance_id)
            if instance.phase is Phase.FAILED or instance.desired is DesiredState.DELETED:
                raise StateConflict(f"The new instance is {instance.phase}: {instance.last_error or 'nobody says why'}.")
            done = instance.applied_revision == instance.revision and instance.restarts_done >= instance.restarts_asked
            return instance if instance.phase is Phase.RUNNING and instance.sealed_revision is None and done else None

        return await self._until(look, "The new instance does not run yet. Do the control loops run?")

    async def restart(self, instance_id: InstanceId) -> None:
        """Have its gateway started anew, and wait for it."""
        instance = await self.instance_store.get(instance_id)
        await self.instances.restart(_as(instance.owner_id), instance_id)
        await self.settled(instance_id)

    async def seat(self, instance_id: InstanceId) -> Seat:
        """Where its gateway is now. Raises `Unavailable` while it has no machine."""
        return await seat_of(self.machine_store, await self.instance_store.get(instance_id))

    async def rest(self, instance_id: InstanceId) -> Seat:
        """Have its gateway write nothing for two minutes; one that does not answer is stopped."""
        until = self.clock.now() + ANSWERS_SECONDS
        while True:
            seat = await self.seat(instance_id)
            try:
                if await self.gateways.suspend(seat, finish=True):
                    return seat
                until = self.clock.now() + ANSWERS_SECONDS
            except Unavailable:
                if self.clock.now() >= until:
                    await self.gateways.stop(seat, within_seconds=STOP_SECONDS)
                    return seat
            await self.clock.sleep(self.poll_seconds)

    async def stand_by(self, instance_id: InstanceId) -> Seat | None:
        """Have OpenClaw loaded for its next start, and its gateway ended; None, and nothing done, where that can't be. Raises
        `Unavailable` where it takes long; ask again."""
        seat = await self.seat(instance_id)
        return seat if await self.gateways.stand_by(seat) else None

    async def begin(self, instance_id: InstanceId) -> None:
        """Have a gateway that stands by begin, and wait for it; one that does not come is left to the control loops."""
        seat, until = await self.seat(instance_id), self.clock.now() + BEGIN_SECONDS
        await self.gateways.restart(seat)
        while not (await self.gateways.status(seat)).ready:
            if self.clock.now() >= until:
                await self.restart(instance_id)
                return
            await self.clock.sleep(self.poll_seconds)
        await self.settled(instance_id)

    async def probe(self, instance_id: InstanceId) -> None:
        """Go the way that the user's request would. Raises `Unavailable`, or `StateConflict` where it does not run."""
        instance = await self.instance_store.get(instance_id)
        if instance.phase is not Phase.RUNNING or instance.machine_id is None:
            raise StateConflict(f"The new instance is {instance.phase}, not running.")
        seat = await self.seat(instance_id)
        status = await self.gateways.status(seat)
        if not status.ready:
            raise Unavailable(f"The new gateway is not ready: {status.problem or 'it is starting'}.")
        await self.router.probe(instance_id, Target(instance.machine_id, seat.provider_ref, seat.address or ""))

    def url(self, instance_id: InstanceId) -> str:
        """Its address."""
        return self.router.public_url(instance_id)

    async def is_wanted(self, instance_id: InstanceId) -> bool:
        """Whether nobody has asked for its end."""
        return (await self.instance_store.get(instance_id)).desired is DesiredState.RUNNING

    async def delete(self, instance_id: InstanceId) -> None:
        """Ask for its end."""
        instance = await self.instance_store.get(instance_id)
        await self.instances.delete(_as(instance.owner_id), instance_id)

    async def removed(self, instance_id: InstanceId) -> None:
        """Ask for its end, and wait until its gateway has stopped and its machine is gone."""
        if await self.is_wanted(instance_id):
            await self.delete(instance_id)

        async def look() -> Instance | None:
            instance = await self.instance_store.get(instance_id)
            return instance if instance.phase in (Phase.DELETED, Phase.PURGED) else None

        await self._until(look, "The new instance has not ended yet. Do the control loops run?")

    async def _until(self, look: Callable[[], Awaitable[Instance | None]], message: str) -> Instance:
        until = self.clock.now() + self.patience_seconds
        while (found := await look()) is None:
            if self.clock.now() >= until:
                raise StateConflict(message)
            await self.clock.sleep(self.poll_seconds)
        return found


def without_channels(settings: GatewaySettings) -> GatewaySettings:
    """The same, speaking for no bot."""
    return replace(settings, channels=frozenset[Channel]())


def needed_credentials(settings: GatewaySettings) -> frozenset[str]:
    """The credentials that may be set with these settings: those of channels that are off are not."""
    unused = {name for channel, names in CHANNEL_CREDENTIALS.items() if channel not in settings.channels for name in names}
    return frozenset(USER_CREDENTIALS - unused)


def usable(found: OldSettings) -> Credentials:
    """What of the credentials has a place here."""
    return {name: value for name, value in found.credentials.items() if name in needed_credentials(found.settings)}


def _as(owner: UserId) -> Actor:
    return Actor(owner, Role.USER, Via.COMMAND_LINE)
