"""A topology that tests change, real targets on loopback, and raw requests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from lab.plane.base import Balancer, Group, HealthCheck, Listener, Rule, Target
from lab.plane.loop import listen
from tests.support.waiting import PATIENCE_SECONDS, until

ARN = "arn:balancer"
DEFAULT = 50001
QUICK = HealthCheck("/healthz", None, 0.05, 0.5, 2, 2, frozenset({200}))
FALLBACK = Rule(DEFAULT, (), (), {}, fixed=(404, "text/plain", "no such route"))

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]


@dataclass
class Backend:
    """A target. Says its name, or whatever `answering` does; its health is `healthy`, which checks read."""

    name: str
    port: int = 0
    healthy: bool = True
    answering: Answering | None = None
    heads: list[str] = field(default_factory=list)
    checks: int = 0

    @property
    def target(self) -> Target:
        return Target("127.0.0.1", self.port)

    @property
    def last(self) -> dict[str, str]:
        """The headers of the newest request, names in lower case; `target` is the address that was asked for."""
        first, *lines = self.heads[-1].split("\r\n")
        pairs = [line.partition(": ") for line in lines if line]
        return {"target": first.split()[1], **{name.lower(): value for name, _, value in pairs}}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            if "ELB-HealthChecker" in head:
                self.checks += 1
                writer.write(plain(200 if self.healthy else 500, ""))
            else:
                self.heads.append(head.strip())
                await (self.answering or self._say_name)(reader, writer, head)
            await writer.drain()

    async def _say_name(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _head: str) -> None:
        writer.write(plain(200, self.name))


def plain(status: int, body: str) -> bytes:
    return f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@contextlib.asynccontextmanager
async def backend(name: str = "a", answering: Answering | None = None, *, healthy: bool = True) -> AsyncIterator[Backend]:
    made = Backend(name, answering=answering, healthy=healthy)
    server = await listen(made.serve, "127.0.0.1")
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await asyncio.sleep(0)


@dataclass
class Cloud:
    """What the emulated API would say of one load balancer with one listener at port 80."""

    rules: tuple[Rule, ...] = (FALLBACK,)
    groups: dict[str, Group] = field(default_factory=dict)
    idle_timeout_seconds: float = 5.0
    listener_port: int = 80

    def topology(self) -> tuple[Balancer, ...]:
        listener = Listener("arn:listener", self.listener_port, self.rules)
        return (Balancer(ARN, "lb.test", (listener,), dict(self.groups), self.idle_timeout_seconds),)

    def group(self, arn: str, *backends: Backend, check: HealthCheck = QUICK) -> str:
        self.groups[arn] = Group(arn, {f"i-{each.name}:{each.port}": each.target for each in backends}, check)
        return arn

    def drain(self, arn: str, each: Backend) -> None:
        """Deregister a target: it drains."""
        targets = {**self.groups[arn].targets, f"i-{each.name}:{each.port}": replace(each.target, draining=True)}
        self.groups[arn] = replace(self.groups[arn], targets=targets)

    def add(self, *rules: Rule) -> None:
        self.rules = (*rules, *self.rules)


def to(*arns: str, priority: int = 10, paths: tuple[str, ...] = (), hosts: tuple[str, ...] = ()) -> Rule:
    return Rule(priority, paths, hosts, dict.fromkeys(arns, 1))


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str


async def ask(
    address: tuple[str, int], target: str = "/", host: str = "lb.test", headers: Mapping[str, str] | None = None, method: str = "GET"
) -> Answer:
    """One request on a connection of its own, its target as it is, byte for byte."""
    reader, writer = await asyncio.open_connection(*address)
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: {host}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    raw = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
    writer.close()
    return parse(raw)


def parse(raw: bytes) -> Answer:
    head, _, body = raw.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    pairs = [line.partition(":") for line in lines]
    return Answer(int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}, body)


async def becomes(read: Callable[[], str], wanted: str) -> None:
    await until(lambda: read() == wanted)
