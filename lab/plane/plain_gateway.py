"""A stand-in gateway: a container that starts, serves, crashes and is started again, on the address of its machine."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from lab.plane.documents import at, resolved
from lab.plane.http import Request, Response, serve
from lab.plane.loop import listen
from lab.plane.plain_api import GatewayApi
from lab.plane.plain_volumes import PlainVolume

PORT: Final = 8080
KEPT_LINES: Final = 500
BACK_OFF_SECONDS: Final = 0.2
HANG_SECONDS: Final = 3600.0
REFUSED: Final = 78
PIDS: Final = itertools.count((1 << 22) + 1)
"""No process of this computer has such a number."""


class Fault(StrEnum):
    """What is wrong with a machine, for as long as it is set."""

    NEVER_BOOTS = "never_boots"
    GATEWAY_CRASHES = "gateway_crashes"
    """It ends as soon as it has started, again and again."""
    GATEWAY_HANGS = "gateway_hangs"
    """It takes connections and answers nothing."""
    SETTINGS_REFUSED = "settings_refused"
    """It takes no settings: exit code 78 at its start, an error while it runs."""


@dataclass(frozen=True, slots=True)
class Berth:
    """What a container was made from."""

    instance_id: str
    volume: PlainVolume
    image: str
    reserved: bool = field(default=False, compare=False)
    """Whether it is a spare's."""


class PlainGateway:
    """One container. Everything but reading runs on the event loop of the data plane."""

    def __init__(
        self,
        berth: Berth,
        address: str,
        secrets_file: Callable[[], Mapping[str, str]],
        faults: set[Fault],
        start_seconds: Callable[[], float],
    ) -> None:
        self.berth = berth
        self.instance_id = berth.instance_id
        self.volume = berth.volume
        self.secrets: Mapping[str, str] = {}
        self.live: Mapping[str, str] = {}
        """The file that it reads its secrets from, in the container's memory."""
        self.pid = 0
        """Of the container's first process; 0 while there is none."""
        self.up = False
        """Whether the container runs, as one that is about to start again does, and one that refused its settings."""
        self.said: deque[tuple[float, str]] = deque(maxlen=KEPT_LINES)
        """What it printed as a warning or an error, and when."""
        self.restarts = 0
        self.started_at = 0.0
        self.exit_code: int | None = None
        self.oom = False
        self.running = False
        self._address = address
        self._secrets_file = secrets_file
        self._faults = faults
        self._start_seconds = start_seconds
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._writers: set[asyncio.StreamWriter] = set()
        self._ended: asyncio.Future[int] | None = None
        self._life: asyncio.Task[None] | None = None
        self._api = GatewayApi(self)

    @property
    def closed(self) -> bool:
        """Whether it is a spare's that has no owner yet."""
        return self.berth.reserved and not self.volume.claimed

    @property
    def refused(self) -> bool:
        """Whether it ended because of its settings, and waits for others."""
        return self.up and self.exit_code == REFUSED

    @property
    def rejects_settings(self) -> bool:
        """Whether it takes none."""
        return Fault.SETTINGS_REFUSED in self._faults

    @property
    def lines(self) -> Sequence[str]:
        """What is in its log, oldest first."""
        return tuple(self._lines)

    def log(self, line: str) -> None:
        """Add a line."""
        self._lines.append(line)

    def reload_secrets(self) -> None:
        """Read the secrets file again."""
        self.secrets = dict(self.live)
        self.log("secrets reloaded")

    async def start(self) -> None:
        """Run until `stop`, whatever happens in between but for settings that are refused."""
        self.oom = False
        self._begin()
        self._life = asyncio.create_task(self._live())

    async def stop(self) -> None:
        """End it, and every connection to it."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
            self._life = None
        if self.up:
            self.exit_code = 0 if self.running else self.exit_code
        self.up, self.running, self.pid = False, False, 0

    async def restart(self) -> None:
        """End it; its container starts again, and tries again what was refused."""
        await self.stop()
        self.restarts += 1
        await self.start()

    async def crash(self, exit_code: int, *, oom: bool) -> None:
        """End the process, not the container: it is started again."""
        if self._ended is not None and not self._ended.done():
            self.oom = oom
            self._ended.set_result(exit_code)

    def _begin(self) -> None:
        self.up, self.running, self.exit_code = True, True, None
        self.pid, self.started_at = next(PIDS), time.time()

    async def _live(self) -> None:
        while True:
            ended = await self._run()
            self.running, self.exit_code = False, ended
            if ended == REFUSED:
                return
            self.pid = 0
            await asyncio.sleep(BACK_OFF_SECONDS)
            self.restarts += 1
            self._begin()

    async def _run(self) -> int:
        """One process, from its start to its exit code."""
        self.live = self.secrets = dict(self._secrets_file())
        self.log(f"starting {self.berth.image} for {self.instance_id}")
        await asyncio.sleep(self._start_seconds())
        complaint = self._complaint()
        if complaint:
            return self._failed(REFUSED, complaint)
        if Fault.GATEWAY_CRASHES in self._faults:
            return self._failed(1, "Gateway failed to start: it crashed")
        self._ended = asyncio.get_running_loop().create_future()
        server = await listen(self._connected, sock=bound(self._address))
        self.log("[gateway] ready")
        try:
            return self._failed(await self._ended, "Gateway ended unexpectedly")
        finally:
            server.close()
            for writer in list(self._writers):
                writer.transport.abort()

    def _complaint(self) -> str | None:
        if self.rejects_settings:
            return "Gateway start blocked: invalid config"
        if resolved(at(self.volume.config, ("gateway", "auth", "token")), self.secrets) is None:
            return "Gateway start blocked: Refusing to bind without auth"
        return None

    def _failed(self, exit_code: int, message: str) -> int:
        self.said.append((time.time(), message))
        self.log(message)
        return exit_code

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await serve(reader, writer, self._answer)
        finally:
            self._writers.discard(writer)

    async def _answer(self, request: Request) -> Response:
        self.log(json.dumps({"message": f"{request.method} {request.path}"}))
        if Fault.GATEWAY_HANGS in self._faults:
            await asyncio.sleep(HANG_SECONDS)
        return await self._api(request)


def bound(address: str) -> socket.socket:
    """A socket at the gateway's port there; it listens once a server takes it. Raises `OSError` where another has that address."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, PORT))
    except OSError:
        made.close()
        raise
    return made
