"""A platform: its parts, wired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from openclaw_hosted import __version__, datadir, local_socket
from openclaw_hosted.adapters.keytester import HttpKeyTester
from openclaw_hosted.adapters.local.edge.tls import root_certificate
from openclaw_hosted.adapters.local.files import subfolders
from openclaw_hosted.adapters.local.machines import ports_of_machines
from openclaw_hosted.adapters.local.processes.process import SupervisedProcess
from openclaw_hosted.adapters.outgoing import Outgoing, Own
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.bootstrap.archives import HOUR_SECONDS, scheduled_backups
from openclaw_hosted.bootstrap.claiming import claim
from openclaw_hosted.bootstrap.edge import check_port, tls_notes
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.bootstrap.providers import known, provide
from openclaw_hosted.controllers import ControlLoops
from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.actor import SETUP
from openclaw_hosted.domain.cost import Deployment
from openclaw_hosted.domain.errors import OpenClawHostedError, StateConflict
from openclaw_hosted.domain.gateway import SHIPPED_CHANNELS
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.ports.stores import Caps
from openclaw_hosted.server import WebPlace, serving
from openclaw_hosted.services import (
    AccountService,
    CostService,
    InstanceService,
    KeyService,
    OpeningService,
    OperationsService,
    RoomService,
    SenderService,
    Services,
)
from openclaw_hosted.settings import Settings, Tls
from openclaw_hosted.store.open import Store, open_store
from openclaw_hosted.web import LocalDoor, WebOptions, create_app

DAY_SECONDS: Final = 86_400.0

Progress = Callable[[str], None]
Readiness = Callable[[], Awaitable[dict[str, bool]]]


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform, wired; each part is started by whoever runs it."""

    settings: Settings
    mark: str
    store: Store
    services: Services
    provided: Provided
    loops: ControlLoops
    notes: tuple[str, ...]
    """What its operator should know, in a line each."""

    @property
    def address(self) -> str:
        """What users open, without a trailing slash."""
        return self.provided.addresses.public

    @property
    def web_place(self) -> WebPlace:
        """Where the web application listens: on a socket for this computer's edge, or else on the port."""
        if self.provided.edge is not None:
            return WebPlace(socket=self.settings.run_dir / "web.sock")
        return WebPlace(
            host=self.settings.host,
            port=self.settings.port,
            trusted_proxies=(*self.provided.trusted_proxies, *self.settings.trusted_proxies),
        )

    @asynccontextmanager
    async def serving_web(self) -> AsyncIterator[None]:
        """Serve the pages and the API for the length of the block, to the network and, without a password, to this computer's commands."""
        app = create_app(self.services, _web_options(self.settings, self.mark, self.provided, self._readiness))
        local = WebPlace(socket=local_socket.path_of(self.settings.data_dir), private=True)
        async with serving(app, self.web_place), serving(LocalDoor(app), local):
            yield

    async def start_edge(self, progress: Progress) -> None:
        """Have this computer's edge run with these settings, if there is one; an edge that does already is left alone."""
        if self.provided.edge is not None:
            progress("Starting the edge")
            await self.provided.edge.ensure()
        datadir.remember(self.settings)

    async def first_account(self) -> str | None:
        """Make the first account as the settings say; without them, a one-time link that makes it. None where there is one.

        Another part of the control plane that starts at the same moment may be faster.
        """
        accounts, settings = self.services.accounts, self.settings
        if not await accounts.needs_setup():
            return None
        if settings.admin_email is None or settings.admin_password is None:
            return f"{self.address}/setup/{await accounts.setup_link(SETUP)}"
        with suppress(StateConflict):
            await accounts.create_user(SETUP, settings.admin_email, settings.admin_password.get_secret_value(), Role.ADMIN)
        return None

    @asynccontextmanager
    async def controlling(self) -> AsyncIterator[None]:
        """Run the control loops for the length of the block."""
        task = asyncio.create_task(self.loops.run(), name="control-loops")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _readiness(self) -> dict[str, bool]:
        return await _readiness(self.settings, self.store, self.provided)


@asynccontextmanager
async def open_platform(settings: Settings, progress: Progress) -> AsyncIterator[Platform]:
    """The platform of `settings`: database migrated, OpenClaw installed, everything wired, nothing running yet."""
    check_port(settings)
    progress("Opening the database")
    store = await open_store(settings.database_url)
    try:
        clock, ids = SystemClock(), SystemIds()
        async with AsyncExitStack() as stack:
            mark = await store.mark()
            provided = await provide(settings, mark, clock, progress, stack)
            await claim(provided.ownership, mark, settings.take_over)
            services = _services(settings, store, provided, clock, ids)
            loops = ControlLoops(_control_ports(settings, store, provided, clock, ids), _control_options(settings, provided))
            notes = (*((provided.warning,) if provided.warning else ()), *provided.notes, *tls_notes(settings))
            yield Platform(settings, mark, store, services, provided, loops, notes)
    finally:
        await store.aclose()


@asynccontextmanager
async def local_api(settings: Settings, *, create: bool) -> AsyncIterator[LocalDoor]:
    """The API alone, over the database and what runs already, for a command of this computer on whose data directory no platform runs.
    Raises `Unavailable` where there is none at all, unless it is to `create` one."""
    settings = datadir.as_started(settings)
    if not create:
        datadir.check_platform(settings)
    datadir.prepare(settings.data_dir)
    store = await open_store(settings.database_url, create=create)
    try:
        clock = SystemClock()
        async with AsyncExitStack() as stack:
            mark = await store.mark()
            provided = await known(settings, mark, clock, stack)
            services = _services(settings, store, provided, clock, SystemIds())
            yield LocalDoor(create_app(services, _web_options(settings, mark, provided, partial(_readiness, settings, store, provided))))
    finally:
        await store.aclose()


def _services(settings: Settings, store: Store, provided: Provided, clock: SystemClock, ids: SystemIds) -> Services:
    caps = Caps(settings.instances_total, settings.instances_per_user)
    return Services(
        instances=InstanceService(
            store.instances,
            store.machines,
            provided.gateways,
            provided.router,
            provided.sealer,
            store.hints,
            clock,
            ids,
            caps,
            provided.options.shards,
            SHIPPED_CHANNELS,
        ),
        opening=OpeningService(
            store.instances, store.machines, store.accounts, store.platform, provided.gateways, provided.router, provided.gate, clock
        ),
        senders=SenderService(store.instances, store.machines, store.platform, provided.gateways, clock),
        accounts=AccountService(store.accounts, store.platform, provided.gate, clock, ids),
        operations=OperationsService(store.machines, store.instances, store.platform, store.hints, clock, _policy(settings, provided)),
        costs=CostService(
            store.machines,
            store.instances,
            store.platform,
            _policy(settings, provided),
            provided.options.deployment or Deployment(),
            billed=provided.options.deployment is not None,
        ),
        keys=KeyService(HttpKeyTester(_outgoing(settings, provided)), clock),
        room=RoomService(store.instances, provided.volumes, clock),
    )


def _outgoing(settings: Settings, provided: Provided) -> Outgoing:
    own = Own(frozenset({settings.public_host}) - {"localhost"}, lambda: {*settings.ports, *ports_of_machines(settings.data_dir)})
    return replace(provided.outgoing, named=settings.local_models, own=own)


def _control_ports(settings: Settings, store: Store, provided: Provided, clock: SystemClock, ids: SystemIds) -> Ports:
    return Ports(
        machines=provided.machines,
        gateways=provided.gateways,
        vault=provided.vault,
        sealer=provided.sealer,
        router=provided.router,
        gate=provided.gate,
        volumes=provided.volumes,
        meter=provided.meter,
        clock=clock,
        ids=ids,
        machine_store=store.machines,
        instance_store=store.instances,
        account_store=store.accounts,
        platform_store=store.platform,
        hints=store.hints,
        backups=scheduled_backups(settings),
        notices=provided.notices,
    )


def _control_options(settings: Settings, provided: Provided) -> ControllerOptions:
    return replace(
        provided.options,
        policy=_policy(settings, provided),
        warmth=settings.warmth,
        retention_seconds=settings.retention_days * DAY_SECONDS,
        events_kept_seconds=settings.events_days * DAY_SECONDS,
        machines_kept_seconds=settings.machines_days * DAY_SECONDS,
        backup_seconds=settings.backup_every_hours * HOUR_SECONDS,
    )


def _policy(settings: Settings, provided: Provided) -> PoolPolicy:
    return replace(provided.options.policy, spares=settings.spares, spread=settings.spread, fleet_cap=settings.fleet_cap)


def _web_options(settings: Settings, mark: str, provided: Provided, readiness: Readiness) -> WebOptions:
    return WebOptions(
        addresses=provided.addresses,
        is_one_place=provided.edge is not None,
        mark=mark,
        secure_cookies=provided.addresses.public.startswith("https://"),
        authority=partial(root_certificate, settings.tls_dir) if settings.tls is Tls.INTERNAL else None,
        isolation_note=provided.warning,
        version=__version__,
        retention_days=int(settings.retention_days),
        readiness=readiness,
    )


async def _readiness(settings: Settings, store: Store, provided: Provided) -> dict[str, bool]:
    checks = {
        "database": await _does(store.ping()),
        "writing": await _does(store.check_writing()),
        "disk": datadir.free_bytes(settings.data_dir) >= datadir.LEAST_FREE_BYTES,
        "control loops": datadir.holder(settings.data_dir, datadir.Role.CONTROLLER) is not None,
    }
    if provided.edge is None:
        return checks
    edge = [SupervisedProcess(folder).status().state == "running" for folder in subfolders(settings.data_dir / "edge")]
    return {**checks, "edge": bool(edge) and all(edge)}


async def _does(check: Awaitable[None]) -> bool:
    """Whether a check passes."""
    try:
        await check
    except OpenClawHostedError:
        return False
    return True
