"""All checks of `doctor`, those included that need an adapter."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from typing import Final

from openclaw_hosted import OPENCLAW_VERSION, datadir
from openclaw_hosted.adapters.local.docker.client import docker
from openclaw_hosted.adapters.local.docker.containers import known_docker_host
from openclaw_hosted.adapters.local.install import installed_release
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.bootstrap.archives import check_backups
from openclaw_hosted.bootstrap.doctor.computer import CHECKS, Finding, Verdict, check_python
from openclaw_hosted.bootstrap.doctor.edge import check_certificate, check_ports
from openclaw_hosted.domain.errors import OpenClawHostedError, PortError
from openclaw_hosted.domain.room import OPERATORS_WAY_OUT, in_gigabytes
from openclaw_hosted.settings import MachineKind, Provider, Settings
from openclaw_hosted.store.open import open_store

TOOLS: Final[Mapping[str, str]] = {
    "curl": "curl", "git": "git", "jq": "jq", "openssh-client": "ssh", "python3-venv": "python3", "ripgrep": "rg", "unzip": "unzip",
}  # fmt: skip
"""Debian's packages that an assistant works with, and a command of each."""


async def examine(settings: Settings) -> Sequence[Finding]:
    """All checks of `doctor`."""
    if settings.provider is Provider.AWS:
        from openclaw_hosted.bootstrap.doctor.aws import examine_aws

        return [check_python(settings), *await examine_aws(settings), await _check_database(settings)]
    machines = await check_machines(settings)
    findings = [check(datadir.as_started(settings)) for check in (*CHECKS, check_backups)]
    return [
        *findings,
        check_ports(datadir.as_started(settings)),
        check_certificate(datadir.as_started(settings), time.time()),
        _check_openclaw(settings),
        machines,
        *([] if machines.verdict is Verdict.OK else [_check_tools()]),
        await _check_volumes(LocalVolumes(settings.data_dir) if (settings.data_dir / "volumes").is_dir() else None),
        await _check_database(settings),
    ]


def _check_openclaw(settings: Settings) -> Finding:
    if installed_release(settings.data_dir) is not None:
        return Finding("openclaw", Verdict.OK, f"OpenClaw {OPENCLAW_VERSION} is installed")
    return Finding(
        "openclaw", Verdict.WARNING, f"OpenClaw {OPENCLAW_VERSION} is not installed yet", "`up` installs it; that needs the npm registry."
    )


async def check_machines(settings: Settings) -> Finding:
    """What machines are, and what isolates them."""
    wanted = datadir.as_started(settings).machines
    shared = Finding(
        "machines", Verdict.WARNING, "they are processes of one system user, so each can read the others' data",
        "Let in only people who may see each other's data, or install Docker (apt-get install docker.io) and start with --machines docker.",
    )  # fmt: skip
    if wanted is MachineKind.PROCESS:
        return shared
    try:
        version = await docker("version", "--format", "{{.Server.Version}}")
    except PortError as problem:
        if wanted is MachineKind.AUTO and known_docker_host(settings.data_dir) is None:
            return shared
        return Finding("machines", Verdict.PROBLEM, str(problem), "Start the Docker engine.")
    return Finding("machines", Verdict.OK, f"they are containers of Docker {version}, isolated from each other and this computer")


async def _check_volumes(volumes: LocalVolumes | None) -> Finding:
    """No instance fills the disk that all share."""
    large = await volumes.crowding() if volumes is not None else ()
    if not large:
        return Finding("volumes", Verdict.OK, "no instance fills the disk")
    named = ", ".join(f"{each.instance_id or each.volume_id} holds {in_gigabytes(each.held_bytes)}" for each in large)
    return Finding("volumes", Verdict.PROBLEM, f"the disk has {in_gigabytes(large[0].free_bytes)} left; {named}", OPERATORS_WAY_OUT)


def _check_tools() -> Finding:
    """What an assistant works with, where machines are processes; the image of Docker machines has it."""
    missing = [package for package, command in TOOLS.items() if shutil.which(command) is None]
    if not missing:
        return Finding("tools", Verdict.OK, "what an assistant works with is there")
    return Finding("tools", Verdict.WARNING, f"users' assistants do without {', '.join(missing)}", f"apt-get install {' '.join(missing)}")


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
