"""The one place that wires: which adapter stands behind which port, and what is started in which order."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx

from openclaw_hosted import __version__, datadir
from openclaw_hosted.adapters.fake.access import FakeRouter, FakeVault
from openclaw_hosted.adapters.fake.cloud import FakeCloud
from openclaw_hosted.adapters.fake.compute import FakeGateways, FakeMachines, FakeVolumes
from openclaw_hosted.adapters.keytester import HttpKeyTester
from openclaw_hosted.adapters.local.edge import LocalEdge, echo_base_url
from openclaw_hosted.adapters.local.gateways import LocalGateways
from openclaw_hosted.adapters.local.install import (
    NODE_DIR,
    OPENCLAW_VERSION,
    PLUGIN_DIR,
    OpenClawRelease,
    ensure_openclaw,
    installed_release,
)
from openclaw_hosted.adapters.local.machines import LocalMachines
from openclaw_hosted.adapters.local.processes import SupervisedProcess
from openclaw_hosted.adapters.local.router import LocalGate, LocalRouter
from openclaw_hosted.adapters.local.sealing import LocalSealer
from openclaw_hosted.adapters.local.vault import LocalVault
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.controllers import ControlLoops
from openclaw_hosted.controllers.ports import ControllerOptions, Ports
from openclaw_hosted.doctor import CHECKS, Finding, Verdict, port_is_free
from openclaw_hosted.domain.account import Role, Session, User
from openclaw_hosted.domain.errors import NotFound, OpenClawHostedError, StateConflict, Unavailable
from openclaw_hosted.domain.gateway import SHIPPED_CHANNELS, Credentials
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.ports.gateways import Gateways
from openclaw_hosted.ports.machines import Machines
from openclaw_hosted.ports.router import Gate, Router
from openclaw_hosted.ports.stores import Caps
from openclaw_hosted.ports.vault import Sealer, Vault
from openclaw_hosted.ports.volumes import Volumes
from openclaw_hosted.services import AccountService, InstanceService, KeyService, OpeningService, OperationsService, Services
from openclaw_hosted.settings import Provider, Settings
from openclaw_hosted.store.open import Store, open_store
from openclaw_hosted.web import WebOptions, create_app
from openclaw_hosted.web.security import require_caller

ISOLATION_NOTE: Final = "Machines are processes of this computer and are not isolated from each other. Let in only people whom you trust."
FAKE_LAUNCHES: Final = 50
FAKE_NOTE: Final = "The provider is a fake: nothing runs on these machines, and they are forgotten when the platform stops."
STOP_SECONDS: Final = 40.0
DAY_SECONDS: Final = 86_400.0
POLL_SECONDS: Final = 0.05
OPERATOR: Final = User(UserId("operator"), "operator@localhost", Role.ADMIN, 0.0)
"""Who acts in a command on this computer before there is an account; owns nothing."""

Progress = Callable[[str], None]

__all__ = ["OPENCLAW_VERSION", "Platform", "create_account", "examine", "local_api", "open_platform", "open_vault", "stop_everything"]


@dataclass(frozen=True, slots=True)
class Provided:
    """The ports of one provider."""

    machines: Machines
    gateways: Gateways
    volumes: Volumes
    vault: Vault
    sealer: Sealer
    router: Router
    gate: Gate


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform on one computer, wired; each part is started by whoever runs it."""

    settings: Settings
    store: Store
    services: Services
    edge: LocalEdge
    loops: ControlLoops
    notes: tuple[str, ...]
    """What its operator should know, in a line each."""

    @property
    def web_socket(self) -> Path:
        """Where the edge expects the web application."""
        return self.settings.run_dir / "web.sock"

    def web_app(self) -> Any:
        """The pages and the API."""
        return create_app(self.services, _web_options(self.settings, self._readiness))

    async def start_edge(self, progress: Progress) -> None:
        """Have the edge run with these settings; an edge that does already is left alone."""
        progress("Starting the edge")
        await self.edge.ensure()
        datadir.remember(self.settings)

    async def first_account(self) -> str | None:
        """Make the first account as the settings say; without them, a one-time link that makes it. None where there is one.

        Another part of the control plane that starts at the same moment may be faster.
        """
        accounts, settings = self.services.accounts, self.settings
        if not await accounts.needs_setup():
            return None
        if settings.admin_email is None or settings.admin_password is None:
            return f"{settings.address}/setup/{await accounts.setup_link()}"
        with suppress(StateConflict):
            await accounts.create_user(settings.admin_email, settings.admin_password.get_secret_value(), Role.ADMIN)
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
        return await _readiness(self.settings, self.store)


@asynccontextmanager
async def open_platform(settings: Settings, progress: Progress) -> AsyncIterator[Platform]:
    """The platform of `settings`: database migrated, OpenClaw installed, everything wired, nothing running yet."""
    _check_port(settings)
    progress("Opening the database")
    store = await open_store(settings.database_url)
    try:
        clock, ids = SystemClock(), SystemIds()
        edge = LocalEdge(settings.data_dir, settings.host, settings.port, settings.address)
        ports = await _provide(settings, clock, progress)
        services = _services(settings, store, ports, clock, ids)
        loops = ControlLoops(_control_ports(store, ports, clock, ids), _control_options(settings))
        yield Platform(settings, store, services, edge, loops, (_note(settings),))
    finally:
        await store.aclose()


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[tuple[Services, Store]]:
    """The use cases alone, over the database and what runs already; for commands beside a platform, or without one."""
    datadir.prepare(settings.data_dir)
    store = await open_store(settings.database_url)
    try:
        clock = SystemClock()
        ports = _local_ports(settings, installed_release(settings.data_dir) or _absent_release(settings.data_dir), clock)
        ports = replace(ports, gate=EdgeMayBeDown(ports.gate))
        yield _services(settings, store, ports, clock, SystemIds()), store
    finally:
        await store.aclose()


@asynccontextmanager
async def local_api(settings: Settings, acting: str | None, *, needs_account: bool) -> AsyncIterator[httpx.AsyncClient]:
    """The API inside this process, acting as `acting` (an e-mail address), else as the first admin. Whoever may write the data
    directory may do that."""
    settings = datadir.as_started(settings)
    async with open_services(settings) as (services, store):
        user = await _acting_user(services, acting, needs_account=needs_account)

        async def ready() -> dict[str, bool]:
            return await _readiness(settings, store)

        app = create_app(services, _web_options(settings, ready))
        app.dependency_overrides[require_caller] = lambda: user
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=settings.address) as client:
            yield client


def create_account(settings: Settings, email: str, password: str, role: Role) -> None:
    """Make an account with a password. Raises `InvalidInput`, or `StateConflict` when the address is taken."""

    async def make() -> None:
        async with open_services(settings) as (services, _):
            await services.accounts.create_user(email, password, role)

    asyncio.run(make())


def open_vault(data_dir: Path) -> Callable[[InstanceId], Credentials]:
    """Reads an instance's credentials, for measurements that have to ask a gateway itself."""
    vault = LocalVault(data_dir)
    return lambda instance_id: asyncio.run(vault.get(instance_id))


async def stop_everything(settings: Settings, progress: Progress) -> int:
    """End the edge and all gateways of a data directory and wait until nothing is left; returns how many there were. They are
    wanted still: the next start brings them back."""
    folders = [folder for kind in ("edge", "machines") for folder in _subfolders(settings.data_dir / kind)]
    processes = [process for process in map(SupervisedProcess, folders) if process.is_alive()]
    if processes:
        progress(f"Stopping {len(processes)} programs")
    await asyncio.gather(*(_end(process) for process in processes))
    return len(processes)


async def examine(settings: Settings) -> Sequence[Finding]:
    """All checks of `doctor`."""
    findings = [check(datadir.as_started(settings)) for check in CHECKS]
    return [*findings, _check_openclaw(settings), await _check_database(settings)]


async def _provide(settings: Settings, clock: SystemClock, progress: Progress) -> Provided:
    if settings.provider is Provider.FAKE:
        return _fake_ports(settings, clock)
    return _local_ports(settings, await ensure_openclaw(settings.data_dir, progress), clock)


def _fake_ports(settings: Settings, clock: SystemClock) -> Provided:
    """Machines in memory behind the real edge. Its routes are real as well where a gateway stands for those of all machines."""
    cloud = FakeCloud(clock, settings.fake_gateway)
    return Provided(
        machines=FakeMachines(cloud),
        gateways=FakeGateways(cloud),
        volumes=FakeVolumes(cloud),
        vault=FakeVault(cloud),
        sealer=LocalSealer(settings.data_dir),
        router=LocalRouter(settings.data_dir, settings.address) if settings.fake_gateway else FakeRouter(cloud, settings.address),
        gate=LocalGate(settings.data_dir),
    )


def _local_ports(settings: Settings, release: OpenClawRelease, clock: SystemClock) -> Provided:
    data_dir = settings.data_dir
    vault, volumes = LocalVault(data_dir), LocalVolumes(data_dir)
    gateways = LocalGateways(
        data_dir, release, vault, volumes, clock, echo_base_url=echo_base_url(data_dir), public_origins=_origins(settings)
    )
    return Provided(
        machines=LocalMachines(data_dir, clock),
        gateways=gateways,
        volumes=volumes,
        vault=vault,
        sealer=LocalSealer(data_dir),
        router=LocalRouter(data_dir, settings.address),
        gate=LocalGate(data_dir),
    )


class EdgeMayBeDown:
    """A gate for commands that run without a platform: once the edge is back, the control loops tell it who may pass."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def admit(self, session: Session) -> None:
        """Let it pass."""
        with suppress(Unavailable):
            await self._gate.admit(session)

    async def dismiss(self, session_hash: str) -> None:
        """Stop to let it pass."""
        with suppress(Unavailable):
            await self._gate.dismiss(session_hash)

    async def sessions(self) -> Mapping[str, UserId]:
        """Those that pass now."""
        return await self._gate.sessions()


def _services(settings: Settings, store: Store, provided: Provided, clock: SystemClock, ids: SystemIds) -> Services:
    caps = Caps(settings.instances_total, settings.instances_per_user)
    return Services(
        instances=InstanceService(
            store.instances, store.machines, provided.gateways, provided.router, provided.sealer, store.hints, clock, ids, caps
        ),
        opening=OpeningService(
            store.instances, store.machines, store.accounts, store.platform, provided.gateways, provided.router, provided.gate, clock
        ),
        accounts=AccountService(store.accounts, store.platform, provided.gate, clock, ids),
        operations=OperationsService(store.machines, store.instances, store.platform, store.hints, clock, _policy(settings)),
        keys=KeyService(HttpKeyTester(allow_private=True), clock),
    )


def _control_ports(store: Store, provided: Provided, clock: SystemClock, ids: SystemIds) -> Ports:
    return Ports(
        machines=provided.machines,
        gateways=provided.gateways,
        vault=provided.vault,
        sealer=provided.sealer,
        router=provided.router,
        gate=provided.gate,
        volumes=provided.volumes,
        clock=clock,
        ids=ids,
        machine_store=store.machines,
        instance_store=store.instances,
        account_store=store.accounts,
        platform_store=store.platform,
        hints=store.hints,
    )


def _control_options(settings: Settings) -> ControllerOptions:
    return ControllerOptions(
        policy=_policy(settings),
        warmth=settings.warmth,
        allowed_origins=_origins(settings),
        retention_seconds=settings.retention_days * DAY_SECONDS,
    )


def _note(settings: Settings) -> str:
    return FAKE_NOTE if settings.provider is Provider.FAKE else ISOLATION_NOTE


def _policy(settings: Settings) -> PoolPolicy:
    policy = PoolPolicy(spares=settings.spares, fleet_cap=settings.fleet_cap, image=OPENCLAW_VERSION)
    return replace(policy, max_launches_at_once=FAKE_LAUNCHES) if settings.provider is Provider.FAKE else policy


def _web_options(settings: Settings, readiness: Callable[[], Awaitable[dict[str, bool]]]) -> WebOptions:
    return WebOptions(
        public_url=settings.address,
        secure_cookies=settings.address.startswith("https://"),
        isolation_note=_note(settings),
        version=__version__,
        retention_days=int(settings.retention_days),
        readiness=readiness,
        channels=tuple(sorted(SHIPPED_CHANNELS)),
    )


def _origins(settings: Settings) -> tuple[str, ...]:
    """The origins from which OpenClaw's page may be used; on localhost also by number."""
    local = f"http://localhost:{settings.port}"
    return (local, f"http://127.0.0.1:{settings.port}") if settings.address == local else (settings.address,)


async def _acting_user(services: Services, email: str | None, *, needs_account: bool) -> User:
    if email is not None:
        return await services.accounts.user_by_email(email)
    admins = [user for user in await services.accounts.users() if user.role is Role.ADMIN and not user.disabled]
    if admins:
        return admins[0]
    if needs_account:
        raise NotFound("There is no account yet. Make one: openclaw-hosted users create EMAIL --admin")
    return OPERATOR


async def _readiness(settings: Settings, store: Store) -> dict[str, bool]:
    try:
        await store.ping()
        database = True
    except OpenClawHostedError:
        database = False
    edge = [SupervisedProcess(folder).status().state == "running" for folder in _subfolders(settings.data_dir / "edge")]
    loops = datadir.holder(settings.data_dir, datadir.Role.CONTROLLER) is not None
    return {"database": database, "edge": bool(edge) and all(edge), "control loops": loops}


def _check_port(settings: Settings) -> None:
    """Raise `StateConflict` when another program has the port; the edge of this data directory may."""
    known = datadir.as_started(Settings.model_construct(data_dir=settings.data_dir))
    same = (known.host, known.port) == (settings.host, settings.port)
    ours = same and SupervisedProcess(settings.data_dir / "edge" / "caddy").is_alive()
    if not ours and not port_is_free(settings.host, settings.port):
        raise StateConflict(f"{settings.host}:{settings.port} is taken by another program. Stop it, or choose another port: --port 8081")


async def _end(process: SupervisedProcess) -> None:
    pid = process.status().supervisor_pid
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = asyncio.get_running_loop().time() + STOP_SECONDS
    while process.is_alive() or not process.end_leftovers():
        if asyncio.get_running_loop().time() > deadline:
            raise Unavailable(f"{process.directory} (process {pid}) did not stop within {STOP_SECONDS:.0f} seconds.")
        await asyncio.sleep(POLL_SECONDS)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")) if folder.is_dir() else []


def _absent_release(data_dir: Path) -> OpenClawRelease:
    """Stands for an OpenClaw that is not installed, where none is started."""
    root = data_dir / "openclaw" / "absent"
    return OpenClawRelease(OPENCLAW_VERSION, root, NODE_DIR / "bin" / "node", root / "openclaw.mjs", PLUGIN_DIR)


def _check_openclaw(settings: Settings) -> Finding:
    if installed_release(settings.data_dir) is not None:
        return Finding("openclaw", Verdict.OK, f"OpenClaw {OPENCLAW_VERSION} is installed")
    return Finding(
        "openclaw", Verdict.WARNING, f"OpenClaw {OPENCLAW_VERSION} is not installed yet", "`up` installs it; that needs the npm registry."
    )


async def _check_database(settings: Settings) -> Finding:
    if settings.database is None and not (settings.data_dir / "platform.sqlite").exists():
        return Finding("database", Verdict.OK, "SQLite, made by `up`")
    try:
        store = await open_store(settings.database_url, upgrade=False)
        try:
            return Finding("database", Verdict.OK, f"it answers; schema {await store.platform.schema_version()}")
        finally:
            await store.aclose()
    except OpenClawHostedError as error:
        return Finding("database", Verdict.PROBLEM, str(error), "Check DATABASE_URL, and that the server runs.")
