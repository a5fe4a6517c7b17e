"""Forward-auth's protocol on a socket, by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.edge.forward_auth import Answer
from openclaw_hosted.adapters.local.edge.forward_auth_server import ForwardAuthProtocol
from openclaw_hosted.bodies import BODY_LIMIT_BYTES
from tests.support.waiting import PATIENCE_SECONDS, until


def tell(method: str, path: str, headers: Mapping[bytes, bytes], body: bytes) -> Answer:
    """Answers with what reached it."""
    if path == "/broken":
        raise ValueError("broken")
    if path == "/nothing":
        return 204, b"", ((b"x-note", b"none"),)
    return 200, b"%s %s %s %d" % (method.encode(), path.encode(), headers.get(b"cookie", b"-"), len(body)), ()


class Counting(ForwardAuthProtocol):
    """Counts the bytes that have arrived."""

    received = 0

    def data_received(self, data: bytes) -> None:
        Counting.received += len(data)
        super().data_received(data)


@pytest.fixture
async def socket(tmp_path: Path) -> AsyncIterator[Path]:
    connections: set[ForwardAuthProtocol] = set()
    path = tmp_path / "lookup.sock"
    server = await asyncio.get_running_loop().create_unix_server(lambda: Counting(tell, connections), path)
    yield path
    server.close()
    for connection in list(connections):
        connection.close()


async def ask(socket: Path, *pieces: bytes) -> bytes:
    """Send the pieces one by one on one connection, and read until it ends."""
    reader, writer = await asyncio.open_unix_connection(socket)
    for piece in pieces:
        arrived = Counting.received + len(piece)
        writer.write(piece)
        await until(lambda arrived=arrived: Counting.received >= arrived or reader.at_eof(), every=0.001)  # type: ignore[misc]
    answer = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
    writer.close()
    return answer


LAST = b"GET /last HTTP/1.1\r\nConnection: close\r\n\r\n"


async def test_requests_on_one_connection_are_answered_in_turn(socket: Path) -> None:
    answer = await ask(socket, b"GET /a?x=1 HTTP/1.1\r\nCookie: one\r\n\r\nPUT /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", LAST)
    assert [line for line in answer.split(b"\r\n") if b" /" in line] == [
        b"GET /a one 0HTTP/1.1 200 OK",
        b"PUT /b - 3HTTP/1.1 200 OK",
        b"GET /last - 0",
    ]


async def test_a_request_in_pieces_is_put_together(socket: Path) -> None:
    assert b"GET /a/b both 0" in await ask(socket, b"GET /a", b"/b HTTP/1.1\r\nCook", b"ie: both\r\n", b"\r\n", LAST)


async def test_an_answer_without_a_body_says_no_length(socket: Path) -> None:
    answer = await ask(socket, b"GET /nothing HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answer == b"HTTP/1.1 204 No Content\r\nx-note: none\r\n\r\n"


async def test_a_failure_is_answered_and_the_connection_goes_on(socket: Path) -> None:
    answer = await ask(socket, b"GET /broken HTTP/1.1\r\n\r\n", LAST)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.endswith(b"GET /last - 0")


async def test_a_body_that_is_too_large_is_refused(socket: Path) -> None:
    head = b"PUT /a HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (BODY_LIMIT_BYTES + 1)
    assert (await ask(socket, head, b"x" * (BODY_LIMIT_BYTES + 1))).startswith(b"HTTP/1.1 413 ")


async def test_what_is_not_http_ends_the_connection(socket: Path) -> None:
    assert await ask(socket, b"hello\r\n\r\n") == b""
