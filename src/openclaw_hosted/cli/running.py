"""What `openclaw-hosted up`, `serve` and `down` do. Loads the whole platform, which takes seconds."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import uvloop

from openclaw_hosted import datadir
from openclaw_hosted.bootstrap import Platform, open_platform, stop_everything
from openclaw_hosted.choices import Provider
from openclaw_hosted.cli.output import CommandError, out, say
from openclaw_hosted.cli.progress import Progress
from openclaw_hosted.cli.stopping import stop_event
from openclaw_hosted.datadir import Role
from openclaw_hosted.logging import logging_to
from openclaw_hosted.settings import Settings

STOP_SECONDS = 30.0


def up(settings: Settings) -> None:
    """Run all of it in this process, and tell of it, until Ctrl-C."""
    datadir.prepare(settings.data_dir)
    log = settings.data_dir / "logs" / "platform.log"
    roles = tuple(Role)
    with private_files(), datadir.held(settings.data_dir, roles), logging_to(settings.log_level, log):
        uvloop.run(_up(settings, roles))


def serve(settings: Settings, roles: tuple[Role, ...], replica: int) -> None:
    """Run these parts of it in this process, until Ctrl-C."""
    datadir.prepare(settings.data_dir)
    with private_files(), datadir.held(settings.data_dir, roles, replica), logging_to(settings.log_level, None):
        uvloop.run(_serve(settings, roles))


@contextmanager
def private_files() -> Iterator[None]:
    """What this process makes during the block is for nobody else on this computer."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@logging_to("warning", None)
def down(settings: Settings) -> None:
    """Stop everything of a data directory."""
    for pid in datadir.holders(settings.data_dir) - {0, os.getpid()}:
        _stop_control_plane(settings.data_dir, pid)
    with Progress() as progress:
        stopped = asyncio.run(stop_everything(settings, progress))
    say(f"Stopped {stopped} programs of {settings.data_dir}; its data is kept." if stopped else f"Nothing runs on {settings.data_dir}.")


async def _up(settings: Settings, roles: tuple[Role, ...]) -> None:
    stop = stop_event()
    with Progress() as progress:
        async with _running(settings, roles, progress) as (platform, setup_link):
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


async def _serve(settings: Settings, roles: tuple[Role, ...]) -> None:
    stop = stop_event()
    with Progress(quiet=True) as progress:
        async with _running(settings, roles, progress):
            await stop.wait()


@asynccontextmanager
async def _running(settings: Settings, roles: tuple[Role, ...], progress: Progress) -> AsyncIterator[tuple[Platform, str | None]]:
    """The platform, and the link that makes its first account, where there is none; it exists before the first page is served."""
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(open_platform(settings, progress))
        setup_link = await platform.first_account()
        if Role.WEB in roles:
            await stack.enter_async_context(platform.serving_web())
        if Role.CONTROLLER in roles:
            await platform.start_edge(progress)
            await stack.enter_async_context(platform.controlling())
        _keep_out_of_collections()
        yield platform, setup_link


def _keep_out_of_collections() -> None:
    """What is loaded by now stays as long as the process: a full collection that looked at it, too, would stop everything meanwhile."""
    gc.collect()
    gc.freeze()


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


def _welcome(platform: Platform, setup_link: str | None) -> None:
    out.print(f"\nOpenClaw Hosted is running at {platform.address}", style="bold", markup=False)
    if setup_link is not None:
        out.print(f"\nMake the first account (this link works once, within a day):\n  {setup_link}", markup=False)
    for note in platform.notes:
        out.print(f"\nNote: {note}", markup=False)
    out.print(f"\nLogs are in {platform.settings.data_dir / 'logs'}. Ctrl-C stops the control plane; instances run on.", markup=False)
