"""Requests for a user, sent from within the network of machines: what they reach is what a gateway reaches, and nothing else.

Each is sent by a container of its own, which holds nothing else and is gone afterwards: no tenant's program sees another user's key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

from openclaw_hosted.adapters.fetching import Answer
from openclaw_hosted.adapters.local.docker.client import docker
from openclaw_hosted.adapters.local.docker.network import MachineNetwork
from openclaw_hosted.adapters.outgoing import Destination
from openclaw_hosted.domain.addresses import LocalModels
from openclaw_hosted.domain.errors import PortError
from openclaw_hosted.domain.foreign import FOREIGN_BYTES

AT_ONCE: Final = 2
ENGINE_SECONDS: Final = 20.0
"""What Docker may take to start and remove a container."""
SEND: Final = f"curl --disable --config - | head --bytes {FOREIGN_BYTES}"
NO_STATUS: Final = 0


@dataclass(frozen=True, slots=True)
class FromMachines:
    """Sends requests as machines on this network would."""

    network: MachineNetwork
    image: str
    local: LocalModels
    _few: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE), repr=False)

    def as_seen(self, url: str) -> str:
        return self.local.as_seen(url)

    async def send(self, destination: Destination, headers: Mapping[str, str], seconds: float) -> Answer:
        """Waits its turn: each takes memory and a second of a processor."""
        config = _config(destination, headers, seconds)
        try:
            async with self._few:
                output = await docker(*self._command(), stdin=config.encode(), seconds=seconds + ENGINE_SECONDS)
        except PortError:
            raise httpx.ConnectError("the request could not be sent") from None
        body, _, status = output.rpartition("\n")
        if not status.isdecimal() or int(status) == NO_STATUS:
            raise httpx.ConnectError("nothing answers, or without end")
        return Answer(int(status), body.encode())

    def _command(self) -> tuple[str, ...]:
        return (
            "run", "--rm", "--interactive", "--network", self.network.name, "--read-only", "--user", "1000:1000", "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges", "--memory", "64m", "--pids-limit", "32", "--log-driver", "none",
            "--entrypoint", "/bin/sh", self.image, "-c", SEND,
        )  # fmt: skip


def _config(destination: Destination, headers: Mapping[str, str], seconds: float) -> str:
    """For curl, which reads it from its standard input: a key stands in no command."""
    numbers = ",".join(f"[{number}]" if ":" in number else number for number in destination.numbers)
    options = {
        "url": str(destination.url),
        "write-out": "\\n%{http_code}",
        "proto": "=http,https",
        "noproxy": "*",
        "max-time": str(seconds),
    }
    if destination.host not in destination.numbers:
        options["resolve"] = f"{destination.host}:{destination.port}:{numbers}"
    lines = [*options.items(), *(("header", f"{name}: {value}") for name, value in headers.items())]
    return "silent\ngloboff\n" + "".join(f'{name} = "{_quoted(value)}"\n' for name, value in lines)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
