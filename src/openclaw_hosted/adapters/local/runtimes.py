"""How a machine of this computer runs its gateway: as a process, or in a container."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import psutil

from openclaw_hosted.adapters.local.install import OpenClawRelease
from openclaw_hosted.adapters.local.processes import ProcessStatus, Program
from openclaw_hosted.adapters.openclaw.config import Places
from openclaw_hosted.domain.errors import PortError

REFUSED_SETTINGS_EXIT_CODE: Final = 78
STOP_TIMEOUT_SECONDS: Final = 330.0
"""OpenClaw 2026.9.6 ends at once when idle, and lets a turn under way go on for up to 315 s."""
PASSED_ON: Final = (
    "LANG", "TZ", "NODE_EXTRA_CA_CERTS", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy",
)  # fmt: skip
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
"""Never reached by a proxy, whatever the environment says."""
PROCESS: Final = "process"
DOCKER: Final = "docker"


@dataclass(frozen=True, slots=True)
class Berth:
    """A machine's directory, and what its gateway is to be started with."""

    directory: Path
    port: int
    """On this computer's loopback."""
    image: str
    instance_id: str
    state_dir: Path

    @property
    def log_path(self) -> Path:
        """What the gateway prints."""
        return self.directory / "gateway.log"

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

    def __init__(self, data_dir: Path, release: OpenClawRelease) -> None:
        self._compile_cache = data_dir.resolve() / "compile-cache"
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
        home = berth.directory / "home"
        for folder in (home, berth.directory / "tmp"):
            folder.mkdir(mode=0o700, exist_ok=True)
        return Program(
            argv=(str(self._release.node), str(self._release.entry), "gateway"),
            env={
                **passed_on(),
                "PATH": f"{self._release.node.parent}:/usr/local/bin:/usr/bin:/bin",
                "HOME": str(home),
                "TMPDIR": str(berth.directory / "tmp"),
                "OPENCLAW_HOME": str(home),
                "OPENCLAW_STATE_DIR": str(berth.state_dir),
                "OPENCLAW_CONFIG_PATH": str(berth.state_dir / "openclaw.json"),
                "OPENCLAW_NO_RESPAWN": "1",
                "OPENCLAW_DISABLE_BONJOUR": "1",
                "NODE_COMPILE_CACHE": str(self._compile_cache),
            },
            cwd=str(home),
            log=str(berth.log_path),
            stop_timeout_seconds=STOP_TIMEOUT_SECONDS,
            never_restart_exit_codes=(REFUSED_SETTINGS_EXIT_CODE,),
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


def passed_on() -> dict[str, str]:
    """What a gateway takes over from the platform's environment."""
    known = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    told = ",".join(os.environ[name] for name in ("NO_PROXY", "no_proxy") if name in os.environ)
    direct = ",".join(dict.fromkeys([*LOOPBACK, *(host.strip() for host in told.split(",") if host.strip())]))
    return {**known, "NO_PROXY": direct, "no_proxy": direct}
