"""`openclaw-hosted up`, `serve` and `down`: the platform on this computer, from nothing to an address, and back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from openclaw_hosted import datadir
from openclaw_hosted.bootstrap import Platform, open_platform, stop_everything
from openclaw_hosted.cli.output import CommandError, Exit, out, say
from openclaw_hosted.cli.progress import Progress
from openclaw_hosted.datadir import Role
from openclaw_hosted.logging import logging_to
from openclaw_hosted.server import serving
from openclaw_hosted.settings import MachineKind, Provider, Settings, load_settings

STOP_SECONDS = 30.0


class ServeRole(StrEnum):
    """Which parts of the control plane a process runs."""

    WEB = "web"
    CONTROLLER = "controller"
    ALL = "all"

    @property
    def roles(self) -> tuple[Role, ...]:
        """The parts one by one."""
        return (Role.WEB, Role.CONTROLLER) if self is ServeRole.ALL else (Role(self),)


DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Where everything is kept. [OPENCLAW_HOSTED_DATA_DIR]", show_default=False)
]
Port = Annotated[
    int | None, typer.Option("--port", min=1, max=65535, help="Port of the web address; 8080 by default. [PORT]", show_default=False)
]
Host = Annotated[
    str | None,
    typer.Option("--host", help="Address to listen on; this computer alone by default, 0.0.0.0 for all. [HOST]", show_default=False),
]
Spares = Annotated[
    int | None, typer.Option("--spares", min=0, help="How many spares to keep ready; 2 by default. [POOL_SPARE_COUNT]", show_default=False)
]
MachinesOption = Annotated[
    MachineKind | None,
    typer.Option("--machines", help="What machines are; containers where Docker answers, by default. [MACHINES]", show_default=False),
]


def up(
    port: Port = None, host: Host = None, data_dir: DataDirOption = None, spares: Spares = None, machines: MachinesOption = None
) -> None:
    """Start the whole platform on this computer: OpenClaw, the edge, the web page. Ctrl-C stops it; instances run on."""
    settings = _settings(port, host, data_dir, spares, machines)
    datadir.prepare(settings.data_dir)
    log = settings.data_dir / "logs" / "platform.log"
    with datadir.held(settings.data_dir, ServeRole.ALL.roles), logging_to(settings.log_level, log):
        uvloop.run(_up(settings))


def serve(
    role: Annotated[ServeRole, typer.Option(help="Which parts to run in this process.")] = ServeRole.ALL,
    port: Port = None,
    host: Host = None,
    data_dir: DataDirOption = None,
    spares: Spares = None,
    machines: MachinesOption = None,
    replica: Annotated[int, typer.Option(min=1, max=9, help="Which of several controllers this is; more than one needs Postgres.")] = 1,
) -> None:
    """Run the control plane, or a part of it, under a process manager: logs on standard error, nothing else printed."""
    settings = _settings(port, host, data_dir, spares, machines)
    _check_replica(settings, role, replica)
    datadir.prepare(settings.data_dir)
    with datadir.held(settings.data_dir, role.roles, replica), logging_to(settings.log_level, None):
        uvloop.run(_serve(settings, role))


def down(data_dir: DataDirOption = None) -> None:
    """Stop everything of a data directory: the control plane, the edge, and all gateways. Data is kept."""
    settings = _settings(data_dir=data_dir)
    if not settings.data_dir.is_dir():
        say(f"Nothing runs on {settings.data_dir}: there is no such directory.")
        return
    for pid in datadir.holders(settings.data_dir) - {0, os.getpid()}:
        _stop_control_plane(settings.data_dir, pid)
    with Progress() as progress:
        stopped = asyncio.run(stop_everything(settings, progress))
    say(f"Stopped {stopped} programs of {settings.data_dir}; its data is kept." if stopped else f"Nothing runs on {settings.data_dir}.")


async def _up(settings: Settings) -> None:
    stop = _stop_event()
    with Progress() as progress:
        async with _running(settings, ServeRole.ALL, progress) as (platform, setup_link):
            progress.close()
            _welcome(platform, setup_link)
            await stop.wait()
            out.print("\nStopping the control plane …", markup=False)
    out.print(_what_runs_on(settings), markup=False)


def _what_runs_on(settings: Settings) -> str:
    if settings.provider is not Provider.LOCAL:
        return "Stopped. Instances and spares run on."
    return (
        f"Stopped. Instances and spares run on; this stops them as well, data kept:\n  openclaw-hosted down --data-dir {settings.data_dir}"
    )


async def _serve(settings: Settings, role: ServeRole) -> None:
    stop = _stop_event()
    with Progress(quiet=True) as progress:
        async with _running(settings, role, progress):
            await stop.wait()


@asynccontextmanager
async def _running(settings: Settings, role: ServeRole, progress: Progress) -> AsyncIterator[tuple[Platform, str | None]]:
    """The platform, and the link that makes its first account, where there is none; it exists before the first page is served."""
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(open_platform(settings, progress))
        setup_link = await platform.first_account()
        if Role.WEB in role.roles:
            await stack.enter_async_context(serving(platform.web_app(), platform.web_place))
        if Role.CONTROLLER in role.roles:
            await platform.start_edge(progress)
            await stack.enter_async_context(platform.controlling())
        yield platform, setup_link


def _stop_event() -> asyncio.Event:
    """Set by the first Ctrl-C or SIGTERM; the second ends the process at once."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if event.is_set():
            os._exit(130)
        event.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked)
    return event


def _stop_control_plane(data_dir: Path, pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise CommandError(f"Process {pid} belongs to another user of this computer; stop it as that user.") from error
    deadline = time.monotonic() + STOP_SECONDS
    while pid in datadir.holders(data_dir):
        if time.monotonic() > deadline:
            raise CommandError(f"The control plane (process {pid}) does not stop; end it with: kill -9 {pid}")
        time.sleep(0.05)


def _check_replica(settings: Settings, role: ServeRole, replica: int) -> None:
    if replica == 1:
        return
    if role is not ServeRole.CONTROLLER:
        raise CommandError("--replica is for --role controller: a data directory has one web page.", Exit.USAGE)
    if not settings.database_url.startswith("postgres"):
        raise CommandError("Several controllers need Postgres: set DATABASE_URL=postgresql://USER:PASSWORD@HOST/NAME.", Exit.USAGE)


def _settings(
    port: int | None = None,
    host: str | None = None,
    data_dir: Path | None = None,
    spares: int | None = None,
    machines: str | None = None,
) -> Settings:
    given = {"PORT": port, "HOST": host, "OPENCLAW_HOSTED_DATA_DIR": data_dir, "POOL_SPARE_COUNT": spares, "MACHINES": machines}
    return load_settings(given)


def _welcome(platform: Platform, setup_link: str | None) -> None:
    out.print(f"\nOpenClaw Hosted is running at {platform.address}", style="bold", markup=False)
    if setup_link is not None:
        out.print(f"\nMake the first account (this link works once, within a day):\n  {setup_link}", markup=False)
    for note in platform.notes:
        out.print(f"\nNote: {note}", markup=False)
    out.print(f"\nLogs are in {platform.settings.data_dir / 'logs'}. Ctrl-C stops the control plane; instances run on.", markup=False)
