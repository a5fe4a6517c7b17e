"""What commands do without a platform: stop what runs, build the image, read a vault."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from openclaw_hosted.adapters.local.docker.containers import known_docker_host, remove_docker
from openclaw_hosted.adapters.local.docker.image import ensure_image, image_bytes
from openclaw_hosted.adapters.local.files import subfolders
from openclaw_hosted.adapters.local.install import ensure_openclaw
from openclaw_hosted.adapters.local.machines import machine_facts
from openclaw_hosted.adapters.local.processes.process import SupervisedProcess
from openclaw_hosted.adapters.local.vault import LocalVault
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.bootstrap.providers import known_runtimes
from openclaw_hosted.domain.errors import PortError, Unavailable
from openclaw_hosted.domain.gateway import Credentials
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.settings import Settings

STOP_SECONDS: Final = 345.0
"""A little more than a gateway gets to finish a turn."""
POLL_SECONDS: Final = 0.05

Progress = Callable[[str], None]


async def build_image(settings: Settings, progress: Progress) -> tuple[str, int]:
    """The image of Docker machines, built unless it is there: its tag, and its bytes on disk."""
    release = await ensure_openclaw(settings.data_dir, progress)
    tag = await ensure_image(release, progress)
    return tag, await image_bytes(tag)


def open_vault(data_dir: Path) -> Callable[[InstanceId], Credentials]:
    """Reads an instance's credentials, for measurements that have to ask a gateway itself."""
    vault = LocalVault(data_dir)
    return lambda instance_id: asyncio.run(vault.get(instance_id))


async def stop_everything(settings: Settings, progress: Progress) -> int:
    """End the edge and all gateways of a data directory, those that lost their supervisor too, and wait until nothing is left; returns
    how many supervisors there were. They are wanted still: the next start brings them back."""
    edge, machines = (subfolders(settings.data_dir / kind) for kind in ("edge", "machines"))
    processes = [SupervisedProcess(folder) for folder in (*edge, *machines)]
    alive = sum(process.is_alive() for process in processes)
    if alive:
        progress(f"Stopping {alive} programs")
    await asyncio.gather(*(_end(process) for process in processes))
    runtimes = known_runtimes(settings, SystemClock())
    await asyncio.gather(*(asyncio.to_thread(runtimes.of(machine_facts(folder).kind).clear, folder) for folder in machines))
    host = known_docker_host(settings.data_dir)
    if host is not None:
        with suppress(PortError):
            await remove_docker(host)
    return alive


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
