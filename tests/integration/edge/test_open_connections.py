"""What ends a user's right to a new connection ends the open ones, within seconds, and nobody else's."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from openclaw_hosted.adapters.local.edge.forward_auth import EdgeState, ForwardAuth
from openclaw_hosted.adapters.local.edge.relay import CONNECTIONS_PER_INSTANCE, Inbound, Pass, Relay
from openclaw_hosted.domain.naming import InstanceId, UserId
from tests.support.edge import IDS, Edge, Gateway, running_gateway
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.usefixtures("platform"), pytest.mark.xdist_group("open connections")]
End = Callable[[Edge, InstanceId, UserId, str], Awaitable[None]]


async def sign_out(edge: Edge, instance_id: InstanceId, owner: UserId, session: str) -> None:
    del instance_id, owner
    await edge.gate.revoke(session)


async def delete(edge: Edge, instance_id: InstanceId, owner: UserId, session: str) -> None:
    del owner, session
    await edge.router.release(instance_id)


async def hand_over(edge: Edge, instance_id: InstanceId, owner: UserId, session: str) -> None:
    del owner, session
    route = next(route for route in await edge.router.list() if route.instance_id == instance_id)
    body = await edge.router._lookup.get(f"/routes/{instance_id}")
    await edge.router._lookup.put(f"/routes/{instance_id}", {**body, "owner": IDS.user_id(), "generation": route.generation + 1})


async def replace_machine(edge: Edge, instance_id: InstanceId, owner: UserId, session: str) -> None:
    del session
    async with running_gateway() as other:
        await edge.router.bind(instance_id, other.target, owner, 2)


@asynccontextmanager
async def connected(edge: Edge, instance_id: InstanceId, cookie: str) -> AsyncIterator[ClientConnection]:
    address = f"ws://localhost:{edge.port}/{instance_id}/"
    async with websockets.connect(address, additional_headers={"Cookie": f"ochs={cookie}"}) as connection:
        await connection.send("hello")
        assert await connection.recv() == "hello"
        yield connection


@pytest.mark.parametrize("end", [sign_out, delete, hand_over, replace_machine])
async def test_an_open_websocket_ends_with_the_right_to_it_and_no_other_does(edge: Edge, gateway: Gateway, end: End) -> None:
    instance_id, owner = IDS.instance_id(), IDS.user_id()
    await edge.router.bind(instance_id, gateway.target, owner, 1)
    cookie, another = await edge.sign_in(owner), await edge.sign_in(owner)
    others_id, others_cookie = await edge.bound(gateway)
    async with AsyncExitStack() as stack:
        mine = await stack.enter_async_context(connected(edge, instance_id, cookie))
        of_another_session = await stack.enter_async_context(connected(edge, instance_id, another))
        others = await stack.enter_async_context(connected(edge, others_id, others_cookie.partition("=")[2]))
        await end(edge, instance_id, owner, hashlib.sha256(cookie.encode()).hexdigest())
        async with asyncio.timeout(PATIENCE_SECONDS):
            await mine.wait_closed()
        still_open = [others, of_another_session] if end is sign_out else [others]
        for connection in still_open:
            await connection.send("still")
            assert await connection.recv() == "still"


async def test_an_event_stream_ends_with_the_session(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    async with (
        edge.client(cookie) as client,
        client.stream("GET", f"/{instance_id}/events", headers={"Accept": "text/event-stream"}) as answer,
    ):
        pieces = answer.aiter_text()
        assert await anext(pieces) == "data: 0\n\n"
        await edge.gate.revoke(hashlib.sha256(cookie.partition("=")[2].encode()).hexdigest())
        with pytest.raises((httpx.RemoteProtocolError, StopAsyncIteration)):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await anext(pieces)


async def test_much_passes_both_ways_whole(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    async with connected(edge, instance_id, cookie.partition("=")[2]) as connection:
        for size in (1, 70_000, 900_000):
            await connection.send("x" * size)
            assert len(await connection.recv()) == size


async def test_a_handshake_says_no_more_than_a_handshake(edge: Edge) -> None:
    """Browsers take cookies from it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        early = b"HTTP/1.1 103 Early Hints\r\nLink: </account>; rel=preload\r\n\r\n"
        switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSet-Cookie: ochs=theirs; Path=/\r\n"
        writer.write(early + switch + b"Strict-Transport-Security: max-age=1\r\nSec-WebSocket-Accept: x\r\n\r\nfirst")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    gateway = Gateway(server.sockets[0].getsockname()[1])
    instance_id, cookie = await edge.bound(gateway)
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    lines = [
        f"GET /{instance_id}/ HTTP/1.1",
        f"Host: localhost:{edge.port}",
        f"Cookie: {cookie}",
        "Connection: Upgrade",
        "Upgrade: websocket",
    ]
    lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", ""]
    writer.write("\r\n".join(lines).encode())
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_SECONDS)).decode().lower()
    assert await reader.readexactly(5) == b"first"
    writer.close()
    server.close()
    assert head.startswith("http/1.1 101")
    assert "sec-websocket-accept: x" in head
    assert not [name for name in ("set-cookie", "strict-transport", "link") if name in head]


async def test_what_only_the_edge_says_to_the_relay_is_taken_from_nobody_else(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    async with running_gateway() as other:
        headers = {"Cookie": cookie, "X-Relay-To": f"127.0.0.1:{other.port}", "X-Relay-Session": "x"}
        async with websockets.connect(f"ws://localhost:{edge.port}/{instance_id}/", additional_headers=headers) as connection:
            await connection.send("hello")
            assert await connection.recv() == "hello"
        assert (len(gateway.seen), other.seen) == (1, [])
    assert "relay" not in str(gateway.seen[0]["headers"])


async def test_a_gateway_that_is_not_there_ends_a_websocket_as_it_ends_a_page(edge: Edge) -> None:
    async with running_gateway() as gone:
        target = gone
    instance_id, cookie = await edge.bound(target)
    with pytest.raises(websockets.InvalidStatus, match="503"):
        await websockets.connect(f"ws://localhost:{edge.port}/{instance_id}/", additional_headers={"Cookie": cookie})


def test_an_instance_has_a_bounded_number_of_open_connections() -> None:
    relay = Relay(lambda _: True)
    many = [Inbound(relay) for _ in range(CONNECTIONS_PER_INSTANCE + 1)]
    mine, others = Pass("oc-1", "a", "h:1"), Pass("oc-2", "a", "h:1")
    assert [relay.admit(each, mine) for each in many] == [True] * CONNECTIONS_PER_INSTANCE + [False]
    assert relay.admit(many[-1], others)
    relay.forget(many[0])
    relay.forget(many[0])
    assert relay.admit(many[0], mine)


def test_a_session_that_ran_out_is_no_ground_for_a_connection(tmp_path: object) -> None:
    state = EdgeState(f"{tmp_path}/routes.sqlite")  # type: ignore[arg-type]
    state.put("route", "oc-1", {"address": "h:1", "owner": "us-1", "generation": 1})
    state.put("session", "fresh", {"user": "us-1", "expires_at": 4e9})
    state.put("session", "old", {"user": "us-1", "expires_at": 1.0})
    is_good = ForwardAuth(state).is_good
    assert [is_good(Pass("oc-1", key, "h:1")) for key in ("fresh", "old", "unknown")] == [True, False, False]
    state.close()
