"""What `openclaw-hosted adopt` works with: an empty database, and the provider as it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from openclaw_hosted import datadir
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.bootstrap.providers import known
from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.actor import SETUP
from openclaw_hosted.domain.errors import NotFound, Unavailable
from openclaw_hosted.domain.naming import MachineId, UserId
from openclaw_hosted.ports.router import Route, Router
from openclaw_hosted.services import AccountService
from openclaw_hosted.services.adoption import AdoptionService, Provider, Routes
from openclaw_hosted.settings import Settings
from openclaw_hosted.store.open import Store, open_store

DAY_SECONDS = 86_400.0


class EdgeMayBeAway:
    """The routes of this computer's edge. While it does not run nobody passes, and each route is made anew once it does."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def list(self) -> Sequence[Route]:
        """All routes, or none."""
        try:
            return await self._router.list()
        except Unavailable:
            return ()

    async def machines(self) -> Sequence[MachineId]:
        """As the router has them."""
        return await self._router.machines()


@dataclass(frozen=True, slots=True)
class Adoption:
    """An adoption, and the accounts that come of it."""

    service: AdoptionService
    accounts: AccountService
    store: Store
    address: str
    """What links to pages of the platform start with."""

    async def link(self, user_id: UserId) -> tuple[str, str]:
        """The e-mail address of an account, and a one-time link with which its password is set."""
        user = await self.store.accounts.user(user_id)
        return user.email, f"{self.address}/reset/{await self.accounts.reset_link(SETUP, user_id)}"

    async def make_admin(self, email: str) -> str | None:
        """Have the account with this address be an admin's. Without one, a one-time link that makes it."""
        try:
            user = await self.accounts.user_by_email(email)
        except NotFound:
            return f"{self.address}/setup/{await self.accounts.setup_link(SETUP)}"
        await self.accounts.set_role(SETUP, user.id, Role.ADMIN)
        return None


@asynccontextmanager
async def adopting(settings: Settings) -> AsyncIterator[Adoption]:
    """For the length of the block, while no control plane runs on the data directory. Raises `StateConflict` where one does."""
    settings = datadir.as_started(settings)
    datadir.prepare(settings.data_dir)
    with datadir.held(settings.data_dir, tuple(datadir.Role)):
        store = await open_store(settings.database_url)
        try:
            async with AsyncExitStack() as stack:
                clock = SystemClock()
                provided = await known(settings, await store.mark(), clock, stack)
                yield Adoption(
                    adoption_service(settings, provided, store, clock),
                    AccountService(store.accounts, store.platform, provided.gate, clock, SystemIds()),
                    store,
                    provided.addresses.public,
                )
        finally:
            await store.aclose()


def adoption_service(settings: Settings, provided: Provided, store: Store, clock: SystemClock) -> AdoptionService:
    """On this provider, into this store."""
    routes: Routes = provided.router if provided.edge is None else EdgeMayBeAway(provided.router)
    provider = Provider(provided.machines, provided.gateways, provided.volumes, provided.vault, routes, provided.ownership, provided.points)
    return AdoptionService(provider, store.adoption, clock, warmth=settings.warmth, retention_seconds=settings.retention_days * DAY_SECONDS)
