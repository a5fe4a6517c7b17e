"""Bodies that never come to an end wait at the edge; the platform is not asked, and goes on for everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from openclaw_hosted.server import WebPlace, serving
from tests.support.edge import Edge, platform_app
from tests.support.waiting import PATIENCE_SECONDS

ARCHIVE = "POST /api/v1/archives HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/gzip\r\nConnection: close\r\n"
HEAD = "POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
MANY = 300


@asynccontextmanager
async def unfinished(edge: Edge, head: str, body: bytes, number: int) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """So many requests that have begun, and do not end."""
    writers = []
    for _ in range(number):
        _, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(head.encode() + b"\r\n" + body)
        writers.append(writer)
    try:
        yield writers
    finally:
        for writer in writers:
            writer.close()


@pytest.mark.parametrize("head", ["Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"])
async def test_unfinished_bodies_do_not_reach_the_platform(edge: Edge, head: str) -> None:
    asked = []

    async def app(scope: object, receive: object, send: object) -> None:
        asked.append(scope)
        await platform_app(scope, receive, send)

    async with serving(app, WebPlace(edge.web_socket)):
        body = b"a=" if "Length" in head else b"2\r\na=\r\n"
        async with unfinished(edge, HEAD + head, body, MANY):
            assert (await edge.ask("/healthz")).status == 200
            assert len(asked) == 1


async def test_a_large_body_is_refused_before_the_platform_takes_it(edge: Edge) -> None:
    async with serving(platform_app, WebPlace(edge.web_socket)):
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write((HEAD + "Connection: close\r\nContent-Length: 66000\r\n\r\n").encode() + b"x" * 66_000)
        answer = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 413")


async def test_an_archive_reaches_the_platform_piece_by_piece(edge: Edge) -> None:
    began, sizes = asyncio.Event(), list[int]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
            began.set()
        sizes.append(size)
        await PlainTextResponse("taken")(scope, receive, send)

    async with serving(app, WebPlace(edge.web_socket)):
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write((ARCHIVE + "Content-Length: 200000000\r\n\r\n").encode() + b"x" * 100_000)
        await asyncio.wait_for(began.wait(), PATIENCE_SECONDS)
        for _ in range(1999):
            writer.write(b"x" * 100_000)
            await writer.drain()
        answer = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert sizes == [200_000_000]
