"""One client's connection to a listener: requests one after the other, each passed on to a target, WebSockets until they end.

The requests go out byte for byte but for the headers that an Application Load Balancer sets. Unlike one, this opens a connection to the
target for each request.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import h11

from lab.plane.answers import Answer, Headers, failure, header
from lab.plane.base import Target

CHUNK: Final = 65536
MOST_HEADER_BYTES: Final = 65536
HEAR_OUT_SECONDS: Final = 5.0
HOP_BY_HOP: Final = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"upgrade"})
OF_THE_WORLD: Final = "192.0.2.1"
"""An address for documentation (RFC 5737). OpenClaw refuses a proxy that names a loopback client."""
SET_HERE: Final = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-port"})
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

Choose = Callable[[h11.Request], Target]
"""The target of a request. Raises `Answer` where there is none."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a listener says about its connections."""

    port: int
    idle_seconds: float
    connect_seconds: float
    choose: Choose

    @property
    def scheme(self) -> str:
        """The lab's sockets speak plain HTTP; what arrives at port 443 counts as HTTPS that was ended in front of it."""
        return "https" if self.port == 443 else "http"


class ClientConnection:
    """Serves one connection. `terms` gives what holds when the next request comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, terms: Callable[[], Terms]) -> None:
        self._reader = reader
        self._writer = writer
        self._terms = terms
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEADER_BYTES)
        self._head_only = False
        self._client: str = writer.get_extra_info("peername")[0]

    async def serve(self) -> None:
        """Until either side is done, or nothing moved for as long as the idle time-out."""
        try:
            while await self._request():
                self._http.start_next_cycle()
        except (OSError, h11.LocalProtocolError):
            return
        finally:
            self._writer.close()

    async def _request(self) -> bool:
        """Serve the next one; False once the connection is over."""
        terms = self._terms()
        try:
            async with asyncio.timeout(terms.idle_seconds):
                request = await self._event()
        except TimeoutError:
            return False
        except h11.RemoteProtocolError:
            await self._answer(failure(400))
            return False
        if not isinstance(request, h11.Request):
            return False
        self._head_only = request.method == b"HEAD"
        try:
            await self._pass_on(request, self._terms())
        except Answer as answer:
            return await self._answer(answer)
        return self._is_done()

    async def _pass_on(self, request: h11.Request, terms: Terms) -> None:
        target = terms.choose(request)
        try:
            async with asyncio.timeout(terms.connect_seconds):
                reader, writer = await asyncio.open_connection(target.address, target.port)
        except TimeoutError:
            raise failure(504) from None
        except OSError:
            raise failure(502) from None
        try:
            await _Exchange(self, request, terms, reader, writer).run()
        finally:
            writer.close()

    async def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                self._http.send(h11.InformationalResponse(status_code=100, headers=[]))
                self._writer.write(CONTINUE)
            self._http.receive_data(await self._reader.read(CHUNK))
        return event

    async def _answer(self, answer: Answer) -> bool:
        """Send it, unless another one has begun; whether the connection can go on."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return False
        await self.send(h11.Response(status_code=answer.status, headers=answer.headers))
        if not self._head_only:
            await self.send(h11.Data(data=answer.body))
        await self.send(h11.EndOfMessage())
        await self._hear_out()
        return self._is_done()

    async def _hear_out(self) -> None:
        """Read the rest of a request that was answered early: closing on unread data would take the answer from the client."""
        with suppress(TimeoutError, h11.RemoteProtocolError):
            async with asyncio.timeout(HEAR_OUT_SECONDS):
                while self._http.their_state is h11.SEND_BODY:
                    await self.body()

    def _is_done(self) -> bool:
        return self._http.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}

    async def send(self, event: h11.Response | h11.InformationalResponse | h11.Data | h11.EndOfMessage) -> None:
        """Send a part of the answer."""
        self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()

    async def body(self) -> bytes | None:
        """The next piece of the request's body; None at its end."""
        event = await self._event()
        return bytes(event.data) if isinstance(event, h11.Data) else None

    @property
    def address(self) -> str:
        """The client's; one of this computer stands for one of the world, as no client of a real load balancer is on its loopback."""
        return OF_THE_WORLD if self._client.startswith("127.") else self._client

    def switch(self) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
        """What the client sent after its upgrade, and its raw streams."""
        return self._http.trailing_data[0], self._reader, self._writer


class _Exchange:
    """A request and its answer, between the client and one target."""

    def __init__(
        self, client: ClientConnection, request: h11.Request, terms: Terms, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._client = client
        self._request = request
        self._terms = terms
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEADER_BYTES)

    async def run(self) -> None:
        """Pass both on as they come. Raises `Answer` where the target gave none."""
        self._writer.write(self._http.send(self._outgoing()) or b"")
        try:
            async with asyncio.timeout(self._terms.idle_seconds) as self._idle:
                upload = asyncio.create_task(self._upload())
                try:
                    await self._download()
                finally:
                    upload.cancel()
                    await asyncio.gather(upload, return_exceptions=True)
        except TimeoutError:
            raise failure(504) from None
        except (h11.RemoteProtocolError, ConnectionError):
            raise failure(502) from None

    def _outgoing(self) -> h11.Request:
        given = list(self._request.headers.raw_items())
        upgrade = header(given, b"upgrade")
        kept = [(name, value) for name, value in given if name.lower() not in HOP_BY_HOP | SET_HERE | {b"expect"}]
        if upgrade.lower() == "websocket":
            kept += [(b"Connection", b"Upgrade"), (b"Upgrade", upgrade.encode("latin-1"))]
        else:
            kept += [(b"Connection", b"close")]
        return h11.Request(method=self._request.method, target=self._request.target, headers=[*kept, *self._forwarded(given)])

    def _forwarded(self, given: Headers) -> Headers:
        before = ", ".join(value.decode("latin-1") for name, value in given if name.lower() == b"x-forwarded-for")
        told = {
            "X-Forwarded-For": f"{before}, {self._client.address}" if before else self._client.address,
            "X-Forwarded-Proto": self._terms.scheme,
            "X-Forwarded-Port": str(self._terms.port),
        }
        if not header(given, b"x-amzn-trace-id"):
            told["X-Amzn-Trace-Id"] = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"
        return [(name.encode(), value.encode("latin-1")) for name, value in told.items()]

    def _moved(self) -> None:
        self._idle.reschedule(asyncio.get_running_loop().time() + self._terms.idle_seconds)

    async def _upload(self) -> None:
        while (piece := await self._client.body()) is not None:
            self._moved()
            self._writer.write(self._http.send(h11.Data(data=piece)) or b"")
            await self._writer.drain()
        self._writer.write(self._http.send(h11.EndOfMessage()) or b"")
        await self._writer.drain()

    async def _download(self) -> None:
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(CHUNK))
                self._moved()
            elif isinstance(event, h11.InformationalResponse):
                if event.status_code == 101:
                    await self._client.send(h11.InformationalResponse(status_code=101, headers=list(event.headers.raw_items())))
                    return await self._relay()
            elif isinstance(event, h11.Response):
                await self._client.send(h11.Response(status_code=event.status_code, headers=_coming(event), reason=event.reason))
            elif isinstance(event, h11.Data):
                await self._client.send(h11.Data(data=event.data))
            elif isinstance(event, h11.EndOfMessage):
                return await self._client.send(h11.EndOfMessage())
            else:
                raise failure(502)

    async def _relay(self) -> None:
        early, reader, writer = self._client.switch()
        self._writer.write(early)
        writer.write(self._http.trailing_data[0])
        both = [asyncio.create_task(self._copy(reader, self._writer)), asyncio.create_task(self._copy(self._reader, writer))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await source.read(CHUNK):
                self._moved()
                sink.write(piece)
                await sink.drain()


def _coming(answer: h11.Response) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in answer.headers.raw_items() if name.lower() not in HOP_BY_HOP]
