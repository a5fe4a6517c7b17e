"""A small HTTP server on h11, for what the lab answers itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import h11

IDLE_SECONDS: Final = 75.0
MOST_BODY_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    client: str
    """The address that it came from."""

    def json(self) -> dict[str, Any]:
        """The body. Raises `ValueError` unless it is a JSON object."""
        content = json.loads(self.body)
        if not isinstance(content, dict):
            raise ValueError("not a JSON object")
        return content


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(status: int, content: Mapping[str, Any]) -> Response:
    """An answer in JSON."""
    return Response(status, json.dumps(content).encode(), "application/json", {"Cache-Control": "no-store"})


Handle = Callable[[Request], Awaitable[Response]]


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handle: Handle) -> None:
    """Answer the requests of one connection until the client is done."""
    connection = h11.Connection(h11.SERVER)
    try:
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                request = await _read(connection, reader, writer.get_extra_info("peername")[0])
            if request is None:
                return
            response = await handle(request)
            writer.write(_encoded(connection, request, response))
            await writer.drain()
            if connection.our_state is not h11.DONE:
                return
            connection.start_next_cycle()
    except (OSError, TimeoutError, h11.ProtocolError):
        return
    finally:
        writer.close()


async def _read(connection: h11.Connection, reader: asyncio.StreamReader, client: str) -> Request | None:
    head: h11.Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MOST_BODY_BYTES:
                return None
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            parts = urlsplit(head.target.decode("latin-1"))
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
            return Request(head.method.decode(), parts.path, dict(parse_qsl(parts.query)), headers, body, client)
        else:
            return None


def _encoded(connection: h11.Connection, request: Request, response: Response) -> bytes:
    told = {"Content-Type": response.content_type, "Content-Length": str(len(response.body)), **response.headers}
    sent = connection.send(h11.Response(status_code=response.status, headers=list(told.items()))) or b""
    if request.method != "HEAD":
        sent += connection.send(h11.Data(data=response.body)) or b""
    return sent + (connection.send(h11.EndOfMessage()) or b"")
