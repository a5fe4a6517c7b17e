"""All checks of `doctor`, those included that need an adapter."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from openclaw_hosted import OPENCLAW_VERSION, datadir
from openclaw_hosted.adapters.local.docker.client import docker
from openclaw_hosted.adapters.local.docker.containers import known_docker_host
from openclaw_hosted.adapters.local.edge.tls import certificate_lifetime
from openclaw_hosted.adapters.local.install import installed_release
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.bootstrap.archives import check_backups
from openclaw_hosted.bootstrap.doctor.computer import CHECKS, Finding, Verdict, check_python
from openclaw_hosted.bootstrap.edge import check_port
from openclaw_hosted.domain.errors import OpenClawHostedError, PortError
from openclaw_hosted.domain.room import OPERATORS_WAY_OUT, in_gigabytes
from openclaw_hosted.settings import MachineKind, Provider, Settings, Tls
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
        _check_port(datadir.as_started(settings)),
        _check_certificate(datadir.as_started(settings), time.time()),
        _check_openclaw(settings),
        machines,
        *([] if machines.verdict is Verdict.OK else [_check_tools()]),
        await _check_volumes(LocalVolumes(settings.data_dir) if (settings.data_dir / "volumes").is_dir() else None),
        await _check_database(settings),
    ]


def _check_port(settings: Settings) -> Finding:
    """The ports are free, or ours."""
    try:
        check_port(settings)
    except PortError as problem:
        return Finding("port", Verdict.PROBLEM, str(problem), "Choose another with --port, or stop what has it.")
    return Finding("port", Verdict.OK, f"{settings.host}:{settings.port} is free, or this platform's own")


def _check_certificate(settings: Settings, now: float) -> Finding:
    """The certificate that browsers get; Caddy gets another when a third of its time is left."""
    if settings.tls is Tls.OFF:
        return Finding("certificate", Verdict.OK, "none is needed: TLS=off")
    lifetime = certificate_lifetime(settings.tls_dir, urlsplit(settings.address).hostname or "")
    if lifetime is None:
        return Finding("certificate", Verdict.WARNING, "there is none yet", "It is made, or fetched, when the platform starts.")
    begins, ends = lifetime
    until = datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%d %H:%M UTC")
    way_out = "Start the platform. With TLS=acme, the authority has to reach it on port 80 or 443; logs/caddy.log says what it answered."
    if ends <= now:
        return Finding("certificate", Verdict.PROBLEM, f"it was good until {until}", way_out)
    if ends - now < (ends - begins) / 6:
        return Finding("certificate", Verdict.WARNING, f"it is good until {until} only, and was not renewed", way_out)
    return Finding("certificate", Verdict.OK, f"it is good until {until}, and is renewed before")


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
