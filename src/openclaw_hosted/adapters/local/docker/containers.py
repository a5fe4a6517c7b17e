"""Gateways in containers: one hardened container a machine, under the machine's own supervisor.

The supervisor keeps `docker run` going as it keeps a process going, so a restart of the engine, a crash and a refusal of settings are
handled in one way for both kinds of machines, with or without a control plane.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from openclaw_hosted.adapters.local.beneath import chown_tree
from openclaw_hosted.adapters.local.docker.client import docker_environment, docker_path
from openclaw_hosted.adapters.local.docker.image import Progress, ensure_image, image_uid
from openclaw_hosted.adapters.local.docker.local_models import ensure_relay, remove_relay
from openclaw_hosted.adapters.local.docker.network import MachineNetwork, ensure_guard, ensure_network, remove_network
from openclaw_hosted.adapters.local.environment import certificate_files, passed_on
from openclaw_hosted.adapters.local.files import read_json, write_json
from openclaw_hosted.adapters.local.install import OpenClawRelease
from openclaw_hosted.adapters.local.processes.process import ProcessStatus, Program
from openclaw_hosted.adapters.local.runtimes import (
    DOCKER,
    REFUSED_SETTINGS_EXIT_CODE,
    STOP_TIMEOUT_SECONDS,
    Berth,
)
from openclaw_hosted.adapters.openclaw.config import Places
from openclaw_hosted.domain.addresses import LocalModel, LocalModels
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.ports.clock import Clock

PORT: Final = 8080
MEMORY: Final = "2048m"
"""An OpenClaw with two plugins of channels takes more than 1536 MB in its second turn (docs/decisions/0063-memory-of-a-container.md)."""
PROCESSES: Final = 512
CPU_SHARES: Final = 512
"""Half of what others get: where all want more than there is, the platform and the edge come first."""
CPU_PERIOD_MICROSECONDS: Final = 100_000
HOME: Final = "/home/node"
STATE: Final = f"{HOME}/.openclaw"
CERTIFICATES: Final = "/run/certificates"
SECRETS: Final = "/run/openclaw"
PLUGIN: Final = "/opt/oc-hosted"
TMP: Final = "/tmp:mode=1777,size=256m"  # noqa: S108 - inside the container
HOST_FILE: Final = "docker.json"
GUARD_SECONDS: Final = 60.0
CLEAR_SECONDS: Final = 30.0
HOST_NAME: Final = "openclaw"
"""What each container calls itself, and its neighbours may ask for; the same after a restart and on another machine."""
MACHINE_LABEL: Final = "openclaw-hosted.machine"
REMOVE: Final = """
all() { "$1" ps --all --quiet --no-trunc --filter "label=$2"; }
found=$(all "$1" "$2") || exit
[ -z "$found" ] || "$1" rm --force --volumes $found
found=$(all "$1" "$2") && [ -z "$found" ]
"""


@dataclass(frozen=True, slots=True)
class DockerHost:
    """What all machines of a data directory share, as docker.json says."""

    image: str
    network: MachineNetwork

    def nearby(self, models: Iterable[LocalModel]) -> LocalModels:
        """Those of `models` that are on this computer, as its machines see them."""
        return LocalModels(self.network.gateway, frozenset(model for model in models if model.is_on_this_computer))


async def prepare_docker(data_dir: Path, release: OpenClawRelease, progress: Progress, models: Collection[LocalModel] = ()) -> DockerHost:
    """Have image, network, firewall and the ways to local models in place. Raises `Unavailable` or `PortError` with the way out."""
    return await prepare_network(data_dir, await ensure_image(release, progress), models)


async def prepare_network(data_dir: Path, image: str, models: Collection[LocalModel] = ()) -> DockerHost:
    """Have network, firewall and the ways to local models in place for machines that run this image."""
    host = DockerHost(image, await ensure_network(data_dir))
    local = host.nearby(models)
    await ensure_guard(host.network, image, local.ports)
    await ensure_relay(host.network, image, local)
    write_json(data_dir / HOST_FILE, asdict(host))
    return host


def known_docker_host(data_dir: Path) -> DockerHost | None:
    """What was prepared last; None where Docker was never used."""
    body = read_json(data_dir / HOST_FILE)
    return DockerHost(body["image"], MachineNetwork(**body["network"])) if body else None


async def remove_docker(host: DockerHost) -> None:
    """Take network, firewall and the ways to local models away, once no machine is left."""
    await remove_relay(host.network)
    await remove_network(host.network, host.image)


class DockerRuntime:
    """Gateways are containers."""

    kind = DOCKER
    waits = False
    """A container has its volume from its start, and one of an older image would begin at once."""

    def __init__(self, host: DockerHost, clock: Clock, models: Collection[LocalModel] = (), *, cpus: float | None = None) -> None:
        """`cpus` is how many processors' time one machine may take; see `cpu_limit`."""
        self._host = host
        self._local = host.nearby(models)
        self._cpus = cpu_limit(cpus)
        self._clock = clock
        self._guarded_at: float | None = None
        self._guarding = asyncio.Lock()

    @property
    def image(self) -> str:
        """The tag of the image."""
        return self._host.image

    def places(self, directory: Path, port: int) -> Places:  # noqa: ARG002
        """Paths of the container, the same in each."""
        return Places(
            PORT, "lan", f"{SECRETS}/secrets.json", "/tmp/openclaw.jsonl", PLUGIN, (f"{self._host.network.gateway}/32",),  # noqa: S108
            local_models=self._local,
        )  # fmt: skip

    def program(self, berth: Berth) -> Program:
        """`docker run`, which ends as the container ends."""
        mounts, certificates = _certificates()
        variables = {**passed_on(), **certificates}
        options = (*_options(berth, self._host.network.name, sorted(variables)), *_processors(self._cpus), *mounts)
        return Program(
            argv=(_docker(), "run", *options, berth.image),
            env={**docker_environment(), **variables},
            cwd="/",
            log=str(berth.log_path),
            stop_timeout_seconds=STOP_TIMEOUT_SECONDS,
            never_restart_exit_codes=(REFUSED_SETTINGS_EXIT_CODE,),
            cleanup=_removal(berth.directory),
        )

    def hand_over(self, path: Path) -> None:
        """Only root has to: for others the gateway runs as their own user."""
        if os.getuid() == 0:
            chown_tree(path, image_uid())

    def is_its_own(self, pid: object, process: ProcessStatus) -> bool:  # noqa: ARG002
        """What answers at the published port is in the container: the engine holds the port."""
        return process.child_pid is not None

    def clear(self, directory: Path) -> bool:
        """Remove a container whose supervisor was killed."""
        command, nowhere = _removal(directory), subprocess.DEVNULL
        try:
            done = subprocess.run(
                command, stdin=nowhere, stdout=nowhere, stderr=nowhere, timeout=CLEAR_SECONDS, check=False, env=docker_environment()
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    async def make_ready(self) -> None:
        """Put the firewall and the relay in place, once a minute however often asked: something else may have flushed it."""
        async with self._guarding:
            now = self._clock.monotonic()
            if self._guarded_at is None or now - self._guarded_at >= GUARD_SECONDS:
                await ensure_guard(self._host.network, self._host.image, self._local.ports)
                if self._local.models:
                    await ensure_relay(self._host.network, self._host.image, self._local)
                self._guarded_at = now


def cpu_limit(cpus: float | None) -> float:
    """What is set, or else half of this computer's processors, and one at least: one machine that loops leaves the others room."""
    return cpus or max(1.0, (os.cpu_count() or 1) / 2)


def _label(directory: Path) -> str:
    """Tells the container of the machine in this directory. Its name is Docker's choice: any container of a network may ask for names."""
    return f"{MACHINE_LABEL}={directory.name}"


def _removal(directory: Path) -> tuple[str, ...]:
    """Removes a machine's container, and fails unless the engine says that there is none."""
    return ("/bin/sh", "-c", REMOVE, "sh", _docker(), _label(directory))


def _docker() -> str:
    path = docker_path()
    if path is None:
        raise Unavailable("Docker is not installed any more; its machines can't be started. Install it (apt-get install docker.io).")
    return path


def _options(berth: Berth, network: str, variables: list[str]) -> list[str]:
    """The container's limits. Variables are passed by name, as their values may be secret."""
    uid = image_uid()
    return [
        "--hostname", HOST_NAME, "--init", "--log-driver", "none", "--restart", "no",
        "--label", _label(berth.directory), "--label", f"openclaw-hosted.instance={berth.instance_id}",
        "--memory", MEMORY, "--memory-swap", MEMORY, "--pids-limit", str(PROCESSES), "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges", "--user", f"{uid}:{uid}", "--read-only",
        "--tmpfs", TMP, "--mount", f"type=bind,src={berth.home_dir},dst={HOME}",
        "--mount", f"type=bind,src={berth.state_dir},dst={STATE}", "--mount", f"type=bind,src={berth.secrets_dir},dst={SECRETS},readonly",
        "--network", network, "--publish", f"127.0.0.1:{berth.port}:{PORT}",
        *(part for variable in variables for part in ("--env", variable)),
    ]  # fmt: skip


def _certificates() -> tuple[list[str], dict[str, str]]:
    """Options that show the files of certificates inside, each once, and the variables that name them there."""
    files = certificate_files()
    inside = {path: f"{CERTIFICATES}/{number}.pem" for number, path in enumerate(dict.fromkeys(files.values()))}
    mounts = [part for path, there in inside.items() for part in ("--mount", f"type=bind,src={path},dst={there},readonly")]
    return mounts, {name: inside[path] for name, path in files.items()}


def _processors(cpus: float) -> list[str]:
    """A quota, as Docker refuses more `--cpus` than it has."""
    quota = round(cpus * CPU_PERIOD_MICROSECONDS)
    return ["--cpu-shares", str(CPU_SHARES), "--cpu-period", str(CPU_PERIOD_MICROSECONDS), "--cpu-quota", str(quota)]
