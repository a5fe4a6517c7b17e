"""What the edge compresses: the platform's static files and its API, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openclaw_hosted.server import WebPlace, serving
from tests.support.edge import Edge, Gateway

pytestmark = pytest.mark.xdist_group("packing")
LONG = "x" * 5000


async def said(scope: Any, receive: Any, send: Any) -> None:
    """Stands for the platform: a long page, a long JSON answer, and events."""
    await receive()
    kinds = {"/api/v1/events": b"text/event-stream", "/account": b"text/html", "/static/app.css": b"text/css; charset=utf-8"}
    kind = kinds.get(scope["path"], b"application/json")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind), (b"etag", b'"1"')]})
    if kind == b"text/event-stream":
        await send({"type": "http.response.body", "body": b"data: 0\n\n", "more_body": True})
        await receive()
    else:
        await send({"type": "http.response.body", "body": LONG.encode()})


@pytest.fixture
async def platform(edge: Edge) -> Any:
    async with serving(said, WebPlace(edge.web_socket)):
        yield


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize("packing", ["gzip", "zstd"])
@pytest.mark.parametrize("path", ["/api/v1/instances", "/static/app.css"])
async def test_the_api_and_static_files_are_compressed(edge: Edge, path: str, packing: str) -> None:
    async with edge.client() as client, client.stream("GET", path, headers={"Accept-Encoding": packing}) as answer:
        packed = b"".join([piece async for piece in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == packing
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert len(packed) < len(LONG) / 10


@pytest.mark.usefixtures("platform")
async def test_a_page_is_not_for_it_holds_a_token(edge: Edge) -> None:
    async with edge.client() as client:
        answer = await client.get("/account", headers={"Accept-Encoding": "gzip, zstd"})
    assert "content-encoding" not in answer.headers
    assert answer.text == LONG


@pytest.mark.usefixtures("platform")
async def test_an_event_arrives_when_it_is_sent(edge: Edge) -> None:
    async with edge.client() as client, client.stream("GET", "/api/v1/events", headers={"Accept-Encoding": "gzip, zstd"}) as answer:
        assert await asyncio.wait_for(anext(answer.aiter_raw()), 60) == b"data: 0\n\n"
    assert "content-encoding" not in answer.headers


@pytest.mark.usefixtures("platform")
async def test_what_a_gateway_answers_passes_as_it_is(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    async with edge.client(cookie) as client:
        for path in ("/", "/static/app.css"):
            answer = await client.get(f"/{instance_id}{path}", headers={"Accept-Encoding": "gzip, zstd", "X-Filler": LONG})
            assert answer.status_code == 200
            assert "content-encoding" not in answer.headers
