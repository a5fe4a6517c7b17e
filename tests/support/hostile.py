"""A gateway that a tenant has replaced: it serves whatever the test puts there, and keeps what is sent to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from openclaw_hosted.domain.naming import MachineId
from openclaw_hosted.ports.router import Target
from tests.support.edge import IDS
from tests.support.ports import free_port


@dataclass(frozen=True)
class File:
    """What is answered at a path."""

    body: str
    kind: str = "text/html"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Hostile:
    """Answers `GET` from `files` by path, 404 otherwise, and puts each body that is sent into `loot`."""

    port: int
    files: dict[str, File] = field(default_factory=dict)
    loot: list[str] = field(default_factory=list)
    machine_id: MachineId = field(default_factory=IDS.machine_id)

    @property
    def target(self) -> Target:
        return Target(self.machine_id, self.machine_id, f"127.0.0.1:{self.port}")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if body:
            self.loot.append(body.decode())
        found = self.files.get(scope["path"])
        file = found or File("nothing here")
        named = {"content-type": file.kind, "cache-control": "no-store", **file.headers}
        headers = [(name.lower().encode(), value.encode()) for name, value in named.items()]
        await send({"type": "http.response.start", "status": 200 if found or body else 404, "headers": headers})
        await send({"type": "http.response.body", "body": file.body.encode()})


class _QuietServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@contextlib.asynccontextmanager
async def hostile_gateway(port: int | None = None) -> AsyncIterator[Hostile]:
    """One on a port of its own."""
    gateway = Hostile(port or free_port())
    server = _QuietServer(
        uvicorn.Config(
            gateway, port=gateway.port, ws="none", lifespan="off", log_config=None, server_header=False, timeout_graceful_shutdown=1
        )
    )
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done()
        await asyncio.sleep(0.01)
    try:
        yield gateway
    finally:
        server.should_exit = server.force_exit = True
        await task
