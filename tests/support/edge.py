"""A real edge on a data directory of its own, gateways that tell what reached them, and raw requests."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from openclaw_hosted.adapters.local.edge.programs import LocalEdge
from openclaw_hosted.adapters.local.edge.router import LocalGate, LocalRouter
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.datadir import prepare
from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.cookies import session_cookies
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId
from openclaw_hosted.ports.router import Target
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_SECONDS, until

FAR_FUTURE = 4e9
PAGE = b"<!doctype html><openclaw-app></openclaw-app>"
SEEN = b"<!--seen-->"
"""After it comes what reached the gateway, as JSON."""
IDS = SystemIds()


@dataclass
class Gateway:
    """Stands for OpenClaw: answers each request with what reached it, echoes WebSockets, streams events under `/events`."""

    port: int
    machine_id: MachineId = field(default_factory=IDS.machine_id)
    seen: list[dict[str, Any]] = field(default_factory=list)
    next_event: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def target(self) -> Target:
        return Target(self.machine_id, self.machine_id, f"127.0.0.1:{self.port}")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]]
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        self.seen.append({"path": path, "query": query, "headers": headers, "machine": self.machine_id})
        if scope["type"] == "websocket":
            await _echo_websocket(receive, send)
        elif path.endswith("/events"):
            await self._stream(send)
        else:
            await self._tell(scope["method"], await _body_of(receive), send)

    async def _tell(self, method: str, body: bytes, send: Any) -> None:
        about = json.dumps({**self.seen[-1], "method": method, "body_bytes": len(body)}).encode()
        body = PAGE + SEEN + about
        headers = [(b"content-type", b"text/html"), (b"content-length", b"%d" % len(body)), (b"x-seen", about), (b"server", b"gateway")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _stream(self, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
            await self.next_event.wait()
            self.next_event.clear()
        await send({"type": "http.response.body"})


@dataclass(frozen=True)
class Answer:
    """A raw answer of the edge."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass
class Edge:
    """An edge that runs, and what the control plane speaks to it with."""

    data_dir: Path
    port: int

    def __post_init__(self) -> None:
        prepare(self.data_dir)
        self.local = LocalEdge(self.data_dir, "127.0.0.1", self.port, self.url)
        self.router = LocalRouter(self.data_dir, self.url)
        self.gate = LocalGate(self.data_dir)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def web_socket(self) -> Path:
        return self.data_dir / "run" / "web.sock"

    async def sign_in(self, user: UserId, *, expires_at: float = FAR_FUTURE) -> str:
        """The cookie of a new session."""
        cookie = IDS.token()
        await self.gate.allow(Session(hashlib.sha256(cookie.encode()).hexdigest(), user, 0.0, expires_at))
        return cookie

    async def bound(self, gateway: Gateway) -> tuple[InstanceId, str]:
        """A route to the gateway with an owner who is signed in: the instance's id and the owner's `Cookie` header."""
        instance_id, owner = IDS.instance_id(), IDS.user_id()
        await self.router.bind(instance_id, gateway.target, owner, 1)
        return instance_id, f"{session_cookies('', secure=self.url.startswith('https:'))[0]}={await self.sign_in(owner)}"

    async def ask(self, target: str, cookie: str = "", *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
        """Send `target` as it is, byte for byte."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: localhost:{self.port}", "Connection: close"]
        lines += [f"Cookie: {cookie}"] if cookie else []
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        raw = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
        writer.close()
        await writer.wait_closed()
        return _parse(raw)

    def client(self, cookie: str = "") -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.url.replace("localhost", "127.0.0.1"), headers={"Cookie": cookie} if cookie else {}, timeout=PATIENCE_SECONDS
        )


def seen_by(answer: Answer) -> dict[str, Any]:
    """What the gateway says reached it."""
    about: dict[str, Any] = json.loads(answer.body.partition(SEEN.decode())[2])
    return about


def is_of_gateway(answer: Answer) -> bool:
    """Whether a gateway answered, rather than the platform."""
    return SEEN.decode() in answer.body


@contextlib.asynccontextmanager
async def running_gateway(port: int | None = None) -> AsyncIterator[Gateway]:
    """A gateway on a port of its own."""
    gateway = Gateway(port or free_port())
    config = uvicorn.Config(
        gateway, port=gateway.port, ws="websockets-sansio", lifespan="off", log_config=None, access_log=False, server_header=False,
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = _QuietServer(config)
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started or task.done())
    assert server.started
    try:
        yield gateway
    finally:
        server.should_exit = server.force_exit = True
        await task


class _QuietServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


async def platform_app(scope: Any, receive: Any, send: Any) -> None:
    """Stands for the platform's pages: says who it is and what reached it."""
    headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    await _body_of(receive)
    body = json.dumps({"platform": True, "path": scope["raw_path"].decode("latin-1"), "headers": headers}).encode()
    headers_out = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers_out})
    await send({"type": "http.response.body", "body": body})


async def _echo_websocket(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


async def _body_of(receive: Any) -> bytes:
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body


def _parse(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split()[1]), headers, body.decode(errors="replace"))
