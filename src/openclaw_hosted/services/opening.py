"""Open an instance: the user clicks, and is in.

Open arms a grant that the same session may redeem once, within a minute, for a ticket into the gateway. Over HTTPS OpenClaw's own
page fetches the ticket; elsewhere the ticket travels in the fragment of a one-time link, which no server or log sees.
"""

from __future__ import annotations

from dataclasses import dataclass

from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.actor import Actor
from openclaw_hosted.domain.errors import NotAllowed
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.gateways import BootstrapTicket, Gateways, Names
from openclaw_hosted.ports.router import Gate, Router
from openclaw_hosted.ports.stores import AccountStore, InstanceStore, MachineStore, PlatformStore
from openclaw_hosted.services.gatekeeping import allow, check_own
from openclaw_hosted.services.reach import of_its_machine, running_instance, seat_of

GRANT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class BootstrapAnswer:
    """What OpenClaw's page expects from `.well-known/openclaw/browser-bootstrap`."""

    token: str
    profile: str = "owner"

    def __repr__(self) -> str:
        return f"BootstrapAnswer(profile={self.profile!r})"


@dataclass(frozen=True, slots=True)
class OpeningService:
    """Leads an instance's owner, and nobody else, into OpenClaw's own page."""

    _instances: InstanceStore
    _machines: MachineStore
    _accounts: AccountStore
    _platform: PlatformStore
    _gateways: Gateways
    _router: Router
    _gate: Gate
    _clock: Clock

    async def open(self, actor: Actor, session: Session, instance_id: InstanceId) -> str:
        """Where to send the browser. Raises `NotFound` for another user's instance, `StateConflict` while it is not running."""
        check_own(actor, session)
        instance = await running_instance(self._instances, actor, instance_id)
        await allow(self._gate, self._accounts, self._clock, session)
        address = self._router.public_url(instance.id)
        if self._router.signs_in(instance.id):
            await self._accounts.arm_grant(session.hash, instance.id, self._clock.now() + GRANT_SECONDS)
        else:
            address = one_time_link(address, await self._mint(instance))
        await self._opened(actor, instance)
        return address

    async def open_link(self, actor: Actor, instance_id: InstanceId) -> str:
        """A one-time link into the instance, for whoever holds it, to be opened within minutes in a signed-in browser."""
        instance = await running_instance(self._instances, actor, instance_id)
        link = one_time_link(self._router.public_url(instance.id), await self._mint(instance))
        await self._opened(actor, instance)
        return link

    async def redeem(self, actor: Actor, session: Session, instance_id: InstanceId) -> BootstrapAnswer:
        """The answer to OpenClaw's page. Raises `NotAllowed` without a grant that this session armed just now."""
        check_own(actor, session)
        instance = await running_instance(self._instances, actor, instance_id)
        if not await self._accounts.redeem_grant(session.hash, instance.id, self._clock.now()):
            raise NotAllowed("Open the instance from its page; this way in is good once, for a minute.")
        return BootstrapAnswer((await self._mint(instance)).token)

    async def _opened(self, actor: Actor, instance: Instance) -> None:
        event = Event(EventName.INSTANCE_OPENED, self._clock.now(), instance.id, user_id=instance.owner_id, actor=actor)
        await self._platform.add_event(event)

    async def _mint(self, instance: Instance) -> BootstrapTicket:
        owner = await self._accounts.user(instance.owner_id)
        names = Names(owner.email.partition("@")[0])
        return await of_its_machine(self._gateways.mint_bootstrap(await seat_of(self._machines, instance), names))


def one_time_link(address: str, ticket: BootstrapTicket) -> str:
    """The address with a ticket in its fragment, as OpenClaw's page reads it."""
    return f"{address}#bootstrapToken={ticket.token}&bootstrapProfile=owner"
