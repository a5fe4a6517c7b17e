"""An edge that is reached by several addresses: each leads to a gateway, which knows one of them alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import websockets

from openclaw_hosted.adapters.local.edge.programs import LocalEdge
from openclaw_hosted.server import WebPlace, serving
from tests.support.edge import Edge, Gateway, platform_app
from tests.support.ports import free_port


@pytest.fixture
async def own_edge(tmp_path: Path) -> AsyncIterator[Edge]:
    made = Edge(tmp_path, free_port())
    others = (f"http://127.0.0.1:{made.port}", "http://claw.lan", f"http://*:{made.port}")
    made.local = LocalEdge(made.data_dir, "127.0.0.1", made.port, made.url, other_addresses=others)
    try:
        async with serving(platform_app, WebPlace(made.web_socket)):
            await made.local.ensure()
            yield made
    finally:
        await made.local.stop()


def socket_at(edge: Edge, host: str, path: str, cookie: str) -> websockets.connect:
    """A WebSocket as a page at this host opens it."""
    headers = {"Cookie": cookie, "Origin": f"http://{host}"}
    return websockets.connect(f"ws://{host}{path}", host="127.0.0.1", port=edge.port, additional_headers=headers)


def origin_told(gateway: Gateway) -> str:
    """The origin in the newest request that reached it."""
    return str(dict(gateway.seen[-1]["headers"])["origin"])


async def test_a_page_at_each_known_address_gets_a_websocket_and_the_gateway_sees_the_one_that_it_knows(
    own_edge: Edge, gateway: Gateway
) -> None:
    instance_id, cookie = await own_edge.bound(gateway)
    for host in (f"localhost:{own_edge.port}", f"127.0.0.1:{own_edge.port}", f"127.0.0.2:{own_edge.port}", "claw.lan"):
        async with socket_at(own_edge, host, f"/{instance_id}/", cookie) as connection:
            await connection.send("hello")
            assert await connection.recv() == "hello"
        assert origin_told(gateway) == own_edge.url
        await own_edge.ask(f"/{instance_id}/x", cookie, method="POST", headers={"Origin": f"http://{host}", "Content-Length": "0"})
        assert origin_told(gateway) == own_edge.url


async def test_a_host_that_somebody_made_lead_here_is_no_address_of_the_platform(own_edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await own_edge.bound(gateway)
    for host in (f"evil.example:{own_edge.port}", f"198.51.100.1:{own_edge.port}", "127.0.0.1:1", "claw.lan:81"):
        with pytest.raises(websockets.InvalidStatus, match="403"):
            await socket_at(own_edge, host, f"/{instance_id}/", cookie)
    assert gateway.seen == []
