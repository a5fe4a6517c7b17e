"""How a machine of this computer runs its gateway: as a process, or in a container."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import psutil

from openclaw_hosted.adapters.local.environment import certificate_files, passed_on
from openclaw_hosted.adapters.local.install import OpenClawRelease
from openclaw_hosted.adapters.local.processes.commands import ensure_commands
from openclaw_hosted.adapters.local.processes.process import ProcessStatus, Program
from openclaw_hosted.adapters.openclaw.config import Places
from openclaw_hosted.domain.errors import PortError

REFUSED_SETTINGS_EXIT_CODE: Final = 78
STOP_TIMEOUT_SECONDS: Final = 330.0
"""OpenClaw 2026.9.6 ends at once when idle, and lets a turn under way go on for up to 315 s."""
OWN_PATH: Final = "OPENCLAW_PATH_BOOTSTRAPPED"
"""OpenClaw takes PATH as it is. Else it puts the folder of its Node.js first, where an npm lies that does not run (`ensure_commands`)."""
SKILL_TOOLS: Final = ".openclaw/tools/node/npm/bin"
"""Where OpenClaw 2026.9.6 installs what skills need, below the home."""
NICE: Final = 5
"""Of a gateway that is a process: where all want more processor time than there is, the platform and the edge come first."""
IN_ONE_PROCESS: Final = "OPENCLAW_PACKAGED_COMPILE_CACHE_RESPAWNED"
"""OpenClaw takes NODE_COMPILE_CACHE as it is. Else it starts itself once more for a folder below that, and the first one stays: 58 MB."""
PROCESS: Final = "process"
DOCKER: Final = "docker"
WAIT_FILE: Final = "wait"


@dataclass(frozen=True, slots=True)
class Berth:
    """A machine's directory, and what its gateway is to be started with."""

    directory: Path
    port: int
    """On this computer's loopback."""
    image: str
    instance_id: str
    state_dir: Path
    home_dir: Path
    """Of whoever uses the machine; it lies on the volume, beside the state."""

    @property
    def log_path(self) -> Path:
        """What the gateway prints."""
        return self.directory / "gateway.log"

    @property
    def wait_path(self) -> Path:
        """While this file is there, a program that can wait does not begin (oc-hosted/ahead.mjs)."""
        return self.directory / WAIT_FILE

    @property
    def secrets_dir(self) -> Path:
        """Holds what OpenClaw reads credentials from."""
        return self.directory / "secrets"


class Runtime(Protocol):
    """One way to run gateways."""

    @property
    def kind(self) -> str:
        """`process` or `docker`, as machine.json says."""
        ...

    @property
    def waits(self) -> bool:
        """Whether its programs heed `Berth.wait_path`."""
        ...

    @property
    def image(self) -> str:
        """What a new machine runs."""
        ...

    def places(self, directory: Path, port: int) -> Places:
        """Where the gateway of the machine in this directory finds things."""
        ...

    def program(self, berth: Berth) -> Program:
        """What the machine's supervisor keeps running."""
        ...

    def hand_over(self, path: Path) -> None:
        """Have a file or folder, and all below it, belong to whom the gateway runs as. Costs nothing where it does."""
        ...

    def is_its_own(self, pid: object, process: ProcessStatus) -> bool:
        """Whether what says that it is process `pid` is what the supervisor started."""
        ...

    def clear(self, directory: Path) -> bool:
        """End what is left of a machine without a supervisor; whether nothing is."""
        ...

    async def make_ready(self) -> None:
        """Have what machines share in place before one is launched or started. Raises `Unavailable`."""
        ...


class Runtimes:
    """Those that this platform knows; machines made before another was chosen go on with theirs."""

    def __init__(self, chosen: Runtime, *others: Runtime) -> None:
        self.chosen = chosen
        self._known: Mapping[str, Runtime] = {runtime.kind: runtime for runtime in (*others, chosen)}

    def of(self, kind: str) -> Runtime:
        """That of machines of this kind."""
        return self._known.get(kind, self.chosen)

    async def keep_ready(self) -> None:
        """Look after what machines share. Does not raise: those that need it say so themselves."""
        for runtime in self._known.values():
            with suppress(PortError):
                await runtime.make_ready()


class ProcessRuntime:
    """Gateways are processes of this computer, and share its user: nothing isolates them."""

    kind = PROCESS
    waits = True

    def __init__(self, data_dir: Path, release: OpenClawRelease) -> None:
        self._compile_cache = data_dir.resolve() / "compile-cache" / release.version
        self._commands = data_dir.resolve() / "commands"
        self._release = release

    @property
    def image(self) -> str:
        """The release of OpenClaw."""
        return self._release.version

    def places(self, directory: Path, port: int) -> Places:
        """Paths of this computer."""
        secrets = str(directory / "secrets" / "secrets.json")
        return Places(port, "loopback", secrets, str(directory / "openclaw.jsonl"), str(self._release.plugin), ("127.0.0.1/32",))

    def program(self, berth: Berth) -> Program:
        """Node.js with OpenClaw."""
        home, tmp = berth.home_dir, berth.directory / "tmp"
        tmp.mkdir(mode=0o700, exist_ok=True)
        ensure_commands(self._commands, self._release)
        return Program(
            argv=(str(self._release.node), "--import", str(self._release.plugin / "ahead.mjs"), str(self._release.entry), "gateway"),
            env={
                **passed_on(),
                **{name: str(path) for name, path in certificate_files().items()},
                "PATH": f"{home}/.local/bin:{home}/{SKILL_TOOLS}:{self._commands}:/usr/local/bin:/usr/bin:/bin",
                "NPM_CONFIG_PREFIX": str(home / ".local"),
                "HOME": str(home),
                "TMPDIR": str(tmp),
                "OPENCLAW_HOME": str(home),
                "OPENCLAW_STATE_DIR": str(berth.state_dir),
                "OPENCLAW_CONFIG_PATH": str(berth.state_dir / "openclaw.json"),
                "OPENCLAW_NO_RESPAWN": "1",
                "OPENCLAW_DISABLE_BONJOUR": "1",
                OWN_PATH: "1",
                IN_ONE_PROCESS: "1",
                "NODE_COMPILE_CACHE": str(self._compile_cache),
                "OPENCLAW_HOSTED_WAIT": str(berth.wait_path),
            },
            cwd=str(home),
            log=str(berth.log_path),
            stop_timeout_seconds=STOP_TIMEOUT_SECONDS,
            never_restart_exit_codes=(REFUSED_SETTINGS_EXIT_CODE,),
            nice=NICE,
        )

    def hand_over(self, path: Path) -> None:
        """All of it belongs to one user."""

    def is_its_own(self, pid: object, process: ProcessStatus) -> bool:
        """Whether it is the supervisor's child or below it."""
        if not isinstance(pid, int) or process.child_pid is None:
            return False
        try:
            return pid == process.child_pid or any(parent.pid == process.child_pid for parent in psutil.Process(pid).parents())
        except psutil.Error:
            return False

    def clear(self, directory: Path) -> bool:  # noqa: ARG002
        """Nothing is left that the supervisor's mark does not tell."""
        return True

    async def make_ready(self) -> None:
        """Processes share nothing that has to be made."""
