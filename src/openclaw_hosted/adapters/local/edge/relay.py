"""Open connections of users to their gateways: WebSockets and event streams. What ends a user's right to a new one ends these as well.

The edge judges a request once, when it begins, and then has no means to end one connection alone (docs/decisions/0045-open-connections.md).
So it leads those that stay open through here. Bytes pass as they are. Once a second each connection is asked what a new request would be
asked: is the session valid, is it the owner's, and does the route still lead to this machine. It learns of no event, so none can be missed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast

HEAD_LIMIT_BYTES: Final = 64 * 1024
CONNECTIONS_PER_INSTANCE: Final = 200
CONNECT_SECONDS: Final = 5.0
SWEEP_SECONDS: Final = 1.0
HANDSHAKE: Final = (b"connection", b"upgrade", b"sec-websocket-accept", b"sec-websocket-protocol", b"sec-websocket-extensions")
"""All that a gateway may say to a browser as it switches protocols."""
SWITCHING: Final = b"101"
END: Final = b"\r\n\r\n"
FIELDS: Final = (b"x-relay-instance", b"x-relay-session", b"x-relay-to")


@dataclass(frozen=True, slots=True)
class Pass:
    """On what grounds a connection is open: whose session, to which instance, at which address of its machine."""

    instance_id: str
    session: str
    address: str


class Relay:
    """All open connections. `is_good` says whether a pass would be given now."""

    def __init__(self, is_good: Callable[[Pass], bool]) -> None:
        self._is_good = is_good
        self._open: dict[Inbound, Pass] = {}
        self._count: Counter[str] = Counter()

    def connection(self) -> Inbound:
        """The protocol for a connection that the edge makes."""
        return Inbound(self)

    def sweep(self) -> None:
        """End the connections whose grounds are gone; no other one notices."""
        for connection, given in list(self._open.items()):
            if not self._is_good(given):
                connection.end()

    def end_all(self) -> None:
        """End every connection."""
        for connection in list(self._open):
            connection.end()

    def admit(self, connection: Inbound, asked: Pass) -> bool:
        """Whether it may be opened: its grounds are good, and its instance has not very many open."""
        if self._count[asked.instance_id] >= CONNECTIONS_PER_INSTANCE or not self._is_good(asked):
            return False
        self._open[connection] = asked
        self._count[asked.instance_id] += 1
        return True

    def forget(self, connection: Inbound) -> None:
        """It is closed."""
        given = self._open.pop(connection, None)
        if given is not None:
            self._count -= Counter((given.instance_id,))


class _Side(asyncio.Protocol):
    """One of the two halves of a connection; reads no faster than the other half is written."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self._head: bytes | None = b""
        """What came of the head so far; None once it has passed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self._head is None:
            self.pass_on(data)
            return
        self._head += data
        if END in self._head:
            self.head_received(*self._head.split(END, 1))
        elif len(self._head) > HEAD_LIMIT_BYTES:
            self.end()

    def head_received(self, head: bytes, rest: bytes) -> None:
        """The head of the request, or of an answer, is complete."""
        raise NotImplementedError

    def pass_on(self, data: bytes) -> None:
        """Write to the other half."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        """Called by the loop."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Called by the loop."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Called by the loop. What was written to the other half is still sent."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def end(self) -> None:
        """Close both halves at once."""
        for side in (self, self.other):
            if side is not None and side.transport is not None:
                side.transport.abort()


class Inbound(_Side):
    """The half towards the edge."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self._relay = relay
        self._connecting: asyncio.Task[None] | None = None

    def head_received(self, head: bytes, rest: bytes) -> None:
        """Open the other half to where the edge says, and pass the request on without what it says."""
        first, *lines = head.split(b"\r\n")
        fields = {name.lower(): value.strip().decode("latin-1") for name, _, value in (line.partition(b":") for line in lines)}
        asked = Pass(*(fields.get(name, "") for name in FIELDS))
        if self.transport is None or not self._relay.admit(self, asked):
            self.end()
            return
        self._head = None
        self.transport.pause_reading()
        kept = [line for line in lines if line.partition(b":")[0].lower() not in FIELDS]
        self._connecting = asyncio.get_running_loop().create_task(self._connect(asked.address, b"\r\n".join([first, *kept]) + END + rest))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._relay.forget(self)
        if self._connecting is not None:
            self._connecting.cancel()
        super().connection_lost(exc)

    async def _connect(self, address: str, request: bytes) -> None:
        """Where nothing answers, the edge finds its connection closed, and says so to the user."""
        host, _, port = address.rpartition(":")
        outbound = Outbound(self)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().create_connection(lambda: outbound, host.strip("[]"), int(port))
        except (OSError, ValueError):
            self.end()
            return
        self.other = outbound
        self.pass_on(request)
        with suppress(RuntimeError):
            if self.transport is not None:
                self.transport.resume_reading()


class Outbound(_Side):
    """The half towards the gateway."""

    def __init__(self, inbound: Inbound) -> None:
        super().__init__()
        self.other = inbound

    def head_received(self, head: bytes, rest: bytes) -> None:
        """Pass the answer's head on: as it is, for the edge to go through, but of a handshake only what belongs to it."""
        first, *lines = head.split(b"\r\n")
        status = first.split(b" ")[1:2]
        if status == [SWITCHING]:
            lines = [line for line in lines if line.partition(b":")[0].strip().lower() in HANDSHAKE]
        elif status and status[0].startswith(b"1"):
            self._head = b""
            self.data_received(rest)
            return
        self._head = None
        self.pass_on(b"\r\n".join([first, *lines]) + END + rest)
