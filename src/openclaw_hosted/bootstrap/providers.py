"""The providers: what stands behind the ports of machines, gateways, volumes, credentials and routes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from openclaw_hosted import OPENCLAW_VERSION
from openclaw_hosted.adapters.fake.access import FakeRouter, FakeVault
from openclaw_hosted.adapters.fake.cloud import FakeCloud
from openclaw_hosted.adapters.fake.compute import FakeGateways, FakeMachines, FakeVolumes
from openclaw_hosted.adapters.fake.notices import FakeNotices
from openclaw_hosted.adapters.fake.restore_points import FakeRestorePoints
from openclaw_hosted.adapters.local.docker.client import docker
from openclaw_hosted.adapters.local.docker.containers import DockerHost, DockerRuntime, known_docker_host, prepare_docker
from openclaw_hosted.adapters.local.docker.image import NoImage
from openclaw_hosted.adapters.local.docker.requests import FromMachines
from openclaw_hosted.adapters.local.edge.router import LocalGate, LocalRouter
from openclaw_hosted.adapters.local.gateways import LocalGateways
from openclaw_hosted.adapters.local.install import (
    NODE_DIR,
    PLUGIN_DIR,
    OpenClawRelease,
    ensure_openclaw,
    installed_release,
)
from openclaw_hosted.adapters.local.machines import LocalMachines
from openclaw_hosted.adapters.local.ownership import LocalOwnership
from openclaw_hosted.adapters.local.restore_points import LocalRestorePoints
from openclaw_hosted.adapters.local.runtimes import DOCKER, ProcessRuntime, Runtimes
from openclaw_hosted.adapters.local.sealing import LocalSealer
from openclaw_hosted.adapters.local.vault import LocalVault
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.adapters.meter import KeptMeter
from openclaw_hosted.adapters.outgoing import FROM_MACHINES, FROM_PROCESSES, Outgoing
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.bootstrap.edge import addresses, local_edge
from openclaw_hosted.bootstrap.provided import Progress, Provided, archive_limits
from openclaw_hosted.controllers.context import ControllerOptions
from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.errors import PortError, Unavailable
from openclaw_hosted.domain.naming import UserId
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.router import Gate
from openclaw_hosted.ports.tracing import Watch
from openclaw_hosted.settings import MachineKind, Provider, Settings

NOT_ISOLATED: Final = "Machines are processes of this computer and are not isolated from each other. Let in only people whom you trust."
STAYS_ISOLATED: Final = (
    "Machines stay containers, isolated from each other, so the platform does not start. Mend that and start again, "
    "or choose processes, which isolate nothing: --machines process"
)
FAKE: Final = "The provider is a fake: nothing runs on these machines, and they are forgotten when the platform stops."
REFILL_WAITS_SECONDS: Final = 60.0
FAKE_LAUNCHES: Final = 50
FAKE_WORKERS: Final = 4
"""The fake answers at once: more workers place no more machines, and have users' requests wait (docs/decisions/0023-hot-placement.md)."""


class NoEngine(Unavailable):
    """No Docker engine answers."""


async def provide(
    settings: Settings, mark: str, clock: SystemClock, progress: Progress, stack: AsyncExitStack, watch: Watch | None = None
) -> Provided:
    """The provider that the settings name, with all that its machines need, closed with `stack`. `mark` is the platform's own;
    `watch` sees calls to a cloud. Raises `PortError` with the way out."""
    if settings.provider is Provider.AWS:
        return await _aws(settings, mark, clock, progress, stack, watch or Watch())
    if settings.provider is Provider.FAKE:
        return _fake(settings, mark, clock)
    release = await ensure_openclaw(settings.data_dir, progress)
    return await _local_with_machines(settings, mark, release, clock, progress)


async def known(settings: Settings, mark: str, clock: SystemClock, stack: AsyncExitStack) -> Provided:
    """The provider as it was last used, for commands beside a platform or without one."""
    if settings.provider is Provider.AWS:
        found = await _aws(settings, mark, clock, lambda _: None, stack, Watch())
        return found if found.edge is None else replace(found, gate=EdgeMayBeDown(found.gate))
    return _local(settings, mark, known_runtimes(settings, clock), clock, EdgeMayBeDown(LocalGate(settings.data_dir)))


async def _aws(settings: Settings, mark: str, clock: SystemClock, progress: Progress, stack: AsyncExitStack, watch: Watch) -> Provided:
    """Imported only where it is used: its client is a sixth of what a start imports."""
    from openclaw_hosted.bootstrap.aws import provide_aws

    return await provide_aws(settings, mark, clock, progress, stack, watch)


def known_runtimes(settings: Settings, clock: Clock) -> Runtimes:
    """Those that machines of this data directory were made with."""
    release = installed_release(settings.data_dir) or _absent_release(settings.data_dir)
    return Runtimes(ProcessRuntime(settings.data_dir, release), *_docker_used(settings, clock))


def _docker_used(settings: Settings, clock: Clock) -> tuple[DockerRuntime, ...]:
    host = known_docker_host(settings.data_dir)
    return (DockerRuntime(host, clock, settings.local_models, cpus=settings.machine_cpus),) if host else ()


async def _local_with_machines(settings: Settings, mark: str, release: OpenClawRelease, clock: Clock, progress: Progress) -> Provided:
    """Machines as containers, or as processes where this computer never had what containers need, as processes isolate nothing. Those
    that were made as the other kind go on as such."""
    data_dir, gate = settings.data_dir, LocalGate(settings.data_dir)
    processes, before = ProcessRuntime(data_dir, release), _docker_used(settings, clock)
    if settings.machines is MachineKind.PROCESS:
        return _local(settings, mark, Runtimes(processes, *before), clock, gate)
    try:
        host = await _docker_host(settings, release, progress)
    except PortError as problem:
        if settings.machines is MachineKind.DOCKER:
            raise
        if before or not isinstance(problem, NoEngine | NoImage):
            raise PortError(f"{problem} {STAYS_ISOLATED}") from problem
        note = f"Machines would be containers, isolated from each other, but: {problem}"
        return _local(settings, mark, Runtimes(processes), clock, gate, note)
    containers = DockerRuntime(host, clock, settings.local_models, cpus=settings.machine_cpus)
    return _local(settings, mark, Runtimes(containers, processes), clock, gate)


async def _docker_host(settings: Settings, release: OpenClawRelease, progress: Progress) -> DockerHost:
    """What containers need. Raises `NoEngine`, `NoImage`, or another `PortError` for what may pass."""
    progress("Looking for a Docker engine")
    try:
        await docker("version", "--format", "{{.Server.Version}}")
    except PortError as problem:
        raise NoEngine(str(problem)) from problem
    return await prepare_docker(settings.data_dir, release, progress, settings.local_models)


def _local(settings: Settings, mark: str, runtimes: Runtimes, clock: Clock, gate: Gate, *notes: str) -> Provided:
    data_dir = settings.data_dir
    vault, volumes = LocalVault(data_dir), LocalVolumes(data_dir)
    return Provided(
        machines=LocalMachines(data_dir, runtimes, clock),
        gateways=LocalGateways(data_dir, runtimes, vault, volumes, clock, public_origins=(settings.address,)),
        volumes=volumes,
        points=LocalRestorePoints(data_dir, volumes, archive_limits(settings)),
        vault=vault,
        sealer=LocalSealer(data_dir),
        router=LocalRouter(data_dir, settings.address, mark=mark),
        gate=gate,
        meter=KeptMeter(),
        ownership=LocalOwnership(data_dir),
        options=_pace(runtimes.chosen.image, settings),
        addresses=addresses(settings),
        outgoing=_outgoing(settings, runtimes),
        edge=local_edge(settings, mark),
        warning=None if runtimes.chosen.kind == DOCKER else NOT_ISOLATED,
        notes=notes,
    )


def _outgoing(settings: Settings, runtimes: Runtimes) -> Outgoing:
    """As machines reach it: from within their network, or from this computer where they are its processes."""
    host = known_docker_host(settings.data_dir)
    if runtimes.chosen.kind != DOCKER or host is None:
        return Outgoing(zones=FROM_PROCESSES)
    return Outgoing(FromMachines(host.network, host.image, host.nearby(settings.local_models)), FROM_MACHINES)


def _pace(image: str, settings: Settings) -> ControllerOptions:
    """A start of OpenClaw takes more than one core for some ten seconds (docs/decisions/0056-starts-on-one-computer.md)."""
    policy = PoolPolicy(image=image, starts_compete=True, max_launches_at_once=_cores())
    return ControllerOptions(policy=policy, allowed_origins=(settings.address,), refill_waits_seconds=REFILL_WAITS_SECONDS)


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _fake(settings: Settings, mark: str, clock: Clock) -> Provided:
    """Machines in memory behind the real edge. Its routes are real as well where a gateway stands for those of all machines."""
    cloud = FakeCloud(clock, settings.fake_gateway)
    return Provided(
        machines=FakeMachines(cloud),
        gateways=FakeGateways(cloud),
        volumes=FakeVolumes(cloud),
        points=FakeRestorePoints(cloud),
        vault=FakeVault(cloud),
        sealer=LocalSealer(settings.data_dir),
        router=LocalRouter(settings.data_dir, settings.address, mark=mark)
        if settings.fake_gateway
        else FakeRouter(cloud, settings.address),
        gate=LocalGate(settings.data_dir),
        meter=KeptMeter(),
        ownership=LocalOwnership(settings.data_dir),
        options=ControllerOptions(policy=PoolPolicy(image=OPENCLAW_VERSION, max_launches_at_once=FAKE_LAUNCHES), workers=FAKE_WORKERS),
        addresses=addresses(settings),
        notices=FakeNotices(cloud),
        edge=local_edge(settings, mark),
        warning=FAKE,
    )


class EdgeMayBeDown:
    """A gate for commands that run without a platform: once the edge is back, the control loops tell it who may pass."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def allow(self, session: Session) -> None:
        """Let it pass."""
        with suppress(Unavailable):
            await self._gate.allow(session)

    async def revoke(self, session_hash: str) -> None:
        """Stop to let it pass."""
        with suppress(Unavailable):
            await self._gate.revoke(session_hash)

    async def sessions(self) -> Mapping[str, UserId]:
        """Those that pass now."""
        return await self._gate.sessions()


def _absent_release(data_dir: Path) -> OpenClawRelease:
    """Stands for an OpenClaw that is not installed, where none is started."""
    root = data_dir / "openclaw" / "absent"
    return OpenClawRelease(OPENCLAW_VERSION, root, NODE_DIR / "bin" / "node", root / "openclaw.mjs", PLUGIN_DIR)
