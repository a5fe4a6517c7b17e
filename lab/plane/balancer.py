"""Load balancers that really pass requests on: what stands behind the emulated ELBv2.

Every listener is a socket on 127.0.0.1 at a free port. What it does follows the topology, which is read anew ten times a second. Rules,
health checks, fail-open and the errors are those of an Application Load Balancer; see the modules beside this one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

import h11

from lab.plane.answers import Answer, failure, header, redirect
from lab.plane.base import Balancer, Group, Listener, Rule, Target, Topology
from lab.plane.checks import Checks
from lab.plane.loop import LoopThread, listen
from lab.plane.proxy import ClientConnection, Terms
from lab.plane.rules import Turns, rule_for, split_host

REFRESH_SECONDS: Final = 0.1
CONNECT_TIMEOUT_SECONDS: Final = 10.0
LOG: Final = logging.getLogger(__name__)

Key = tuple[str, int]
"""ARN of the load balancer and port of the listener."""


class LabBalancers:
    """The load balancers of a topology (`Balancers`), from the constructor until `close`."""

    def __init__(self, topology: Topology, *, connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS) -> None:
        self._topology = topology
        self._connect_timeout_seconds = connect_timeout_seconds
        self._checks = Checks()
        self._turns = Turns()
        self._now: Mapping[Key, tuple[Balancer, Listener]] = {}
        self._servers: dict[Key, asyncio.Server] = {}
        self._alone = asyncio.Lock()
        self._thread = LoopThread("lab-balancers")
        self._thread.call(self._start())

    def address(self, arn: str, port: int) -> tuple[str, int]:
        """Where the listener can be reached; see `Balancers`. Reads the topology anew. Raises `LookupError` for one that is not in it."""
        self._thread.call(self._refresh())
        server = self._servers[(arn, port)]
        host, number = server.sockets[0].getsockname()
        return host, number

    def health(self, group_arn: str, target: str) -> str:
        """See `Balancers.health`; at most as old as the last refresh."""
        return self._checks.health(group_arn, target)

    def close(self) -> None:
        """Stop serving; connections are cut. Does nothing twice."""
        for server in self._servers.values():
            self._thread.soon(server.close)
        self._servers = {}
        self._thread.close()

    async def _start(self) -> None:
        await self._refresh()
        self._follower = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self._refresh()
            except Exception:
                LOG.exception("The lab's load balancers could not read their topology")

    async def _refresh(self) -> None:
        async with self._alone:
            balancers = await asyncio.to_thread(self._topology)
            self._now = {(balancer.arn, listener.port): (balancer, listener) for balancer in balancers for listener in balancer.listeners}
            self._checks.update(balancers)
            for key in self._servers.keys() - self._now.keys():
                self._servers.pop(key).close()
            for key in self._now.keys() - self._servers.keys():
                self._servers[key] = await self._listen(key)

    async def _listen(self, key: Key) -> asyncio.Server:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await ClientConnection(reader, writer, lambda: self._terms(key)).serve()

        return await listen(connected, "127.0.0.1")

    def _terms(self, key: Key) -> Terms:
        if key not in self._now:
            raise ConnectionResetError("This listener is gone.")
        balancer, listener = self._now[key]
        terms = Terms(
            listener.port, balancer.idle_timeout_seconds, self._connect_timeout_seconds,
            lambda request: self._choose(balancer, listener, terms.scheme, request),
        )  # fmt: skip
        return terms

    def _choose(self, balancer: Balancer, listener: Listener, scheme: str, request: h11.Request) -> Target:
        host = header(list(request.headers), b"host")
        target = request.target.decode("latin-1")
        rule = rule_for(listener, host, target.partition("?")[0])
        if rule.fixed is not None:
            status, content_type, body = rule.fixed
            raise Answer(status, content_type, body.encode())
        if rule.redirect is not None:
            raise redirect(*rule.redirect, host=split_host(host), target=target, scheme=scheme, port=listener.port)
        group = self._group(balancer, listener, rule)
        names = self._checks.eligible(group) if group else []
        if group is None or not names:
            raise failure(503)
        return group.targets[self._turns.target(group.arn, names)]

    def _group(self, balancer: Balancer, listener: Listener, rule: Rule) -> Group | None:
        """By weight alone: a group without healthy targets does not lose its turn to another."""
        arn = self._turns.group(f"{listener.arn} {rule.priority}", dict(rule.forward))
        return balancer.groups.get(arn) if arn else None
