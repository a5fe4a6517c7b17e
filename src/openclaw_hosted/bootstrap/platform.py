"""A platform: its parts, wired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from openclaw_hosted import __version__, datadir, local_socket
from openclaw_hosted.adapters.local.edge.tls import root_certificate
from openclaw_hosted.adapters.local.files import subfolders
from openclaw_hosted.adapters.local.processes.process import SupervisedProcess
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.bootstrap.alarms import alarm_channels, alarm_limits, mailer
from openclaw_hosted.bootstrap.archives import HOUR_SECONDS, scheduled_backups
from openclaw_hosted.bootstrap.claiming import claim
from openclaw_hosted.bootstrap.edge import check_port, tls_notes
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.bootstrap.providers import known, provide
from openclaw_hosted.bootstrap.services import services_of
from openclaw_hosted.bootstrap.shared import Shared, share
from openclaw_hosted.bootstrap.telemetry import telemetry
from openclaw_hosted.controllers import ControlLoops
from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.tallying import Tallying
from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.actor import SETUP
from openclaw_hosted.domain.errors import OpenClawHostedError, StateConflict
from openclaw_hosted.domain.restore_point import RestorePointPolicy
from openclaw_hosted.ports.tracing import Tracer
from openclaw_hosted.ports.webhooks import Telling
from openclaw_hosted.server import WebPlace, serving
from openclaw_hosted.services import Services
from openclaw_hosted.settings import Settings, Tls
from openclaw_hosted.settings_operating import load_operating_settings
from openclaw_hosted.store.open import Store, open_store
from openclaw_hosted.web import LocalDoor, WebOptions, create_app
from openclaw_hosted.web.models_events import event_out

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
    tracer: Tracer

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
        options = replace(_web_options(self.settings, self.mark, self.provided, self._readiness), tracer=self.tracer)
        app = create_app(self.services, options)
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
            watched = await stack.enter_async_context(telemetry(load_operating_settings(), mark, clock))
            provided = await provide(settings, mark, clock, progress, stack, watched.watch)
            await claim(provided.ownership, mark, settings.take_over)
            shared = share(settings, store, provided, clock, ids)
            services = services_of(shared)
            ports = replace(
                _control_ports(shared),
                watch=watched.watch,
                exporting=watched.exporting(partial(_readiness, settings, store, provided), services.metrics),
            )
            loops = ControlLoops(ports, _control_options(shared))
            await stack.enter_async_context(Tallying(watched.watch.tally, store.history, clock).running())
            notes = (*((provided.warning,) if provided.warning else ()), *provided.notes, *tls_notes(settings))
            yield Platform(settings, mark, store, services, provided, loops, notes, watched.watch.tracer)
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
            services = services_of(share(settings, store, provided, clock, SystemIds()))
            yield LocalDoor(create_app(services, _web_options(settings, mark, provided, partial(_readiness, settings, store, provided))))
    finally:
        await store.aclose()


@asynccontextmanager
async def beside(settings: Settings) -> AsyncIterator[tuple[Store, Provided, Services]]:
    """The parts that a command needs that works beside a platform whose control loops run elsewhere. Raises `Unavailable` where there is
    no platform."""
    settings = datadir.as_started(settings)
    datadir.check_platform(settings)
    store = await open_store(settings.database_url, create=False)
    try:
        clock = SystemClock()
        async with AsyncExitStack() as stack:
            provided = await known(settings, await store.mark(), clock, stack)
            yield store, provided, services_of(share(settings, store, provided, clock, SystemIds()))
    finally:
        await store.aclose()


def _control_ports(shared: Shared) -> Ports:
    settings, store, provided, clock = shared.settings, shared.store, shared.provided, shared.clock
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
        ids=shared.ids,
        machine_store=store.machines,
        instance_store=store.instances,
        account_store=store.accounts,
        platform_store=store.platform,
        points=provided.points,
        point_store=store.restore_points,
        hints=store.hints,
        backups=scheduled_backups(settings),
        notices=provided.notices,
        webhook_store=store.webhooks,
        telling=Telling(shared.webhooks, lambda event, people: event_out(event, people).model_dump(mode="json")),
        alarms=store.alarms,
        alarm_channels=alarm_channels(shared.operating, shared.webhooks, clock),
        history=store.history,
        target=shared.target,
        news=store.news,
        mailer=mailer(shared.operating),
    )


def _control_options(shared: Shared) -> ControllerOptions:
    settings, provided = shared.settings, shared.provided
    return replace(
        provided.options,
        policy=shared.policy,
        warmth=settings.warmth,
        retention_seconds=settings.retention_days * DAY_SECONDS,
        events_kept_seconds=settings.events_days * DAY_SECONDS,
        machines_kept_seconds=settings.machines_days * DAY_SECONDS,
        elsewhere_seconds=settings.elsewhere_minutes * 60.0,
        restore_points=RestorePointPolicy(settings.points_every_hours * HOUR_SECONDS, settings.points_keep),
        backup_seconds=settings.backup_every_hours * HOUR_SECONDS,
        address=provided.addresses.public,
        limits=alarm_limits(shared.operating),
    )


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
        points_every_hours=settings.points_every_hours,
        points_keep=settings.points_keep,
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
