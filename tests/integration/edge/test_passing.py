"""What passes the edge, and to whom."""

from __future__ import annotations

import asyncio
import json

import pytest
import websockets

from openclaw_hosted.adapters.local.edge.router import HoldingRouter
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.naming import MachineId
from openclaw_hosted.ports.router import Target
from tests.support.edge import IDS, SEEN, Edge, Gateway, is_of_gateway, seen_by
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.usefixtures("platform"), pytest.mark.xdist_group("passing")]


@pytest.mark.parametrize(
    "rest", ["", "/", "/chat/main", "/assets/app.js", "/chat/agent%3Amain%20x", "/plugins", "/?a=1&b=%2F..%2f", "?x=//y"]
)
async def test_path_and_query_reach_the_gateway_unchanged(edge: Edge, gateway: Gateway, rest: str) -> None:
    instance_id, cookie = await edge.bound(gateway)
    seen = seen_by(await edge.ask(f"/{instance_id}{rest}", cookie))
    path, _, query = rest.partition("?")
    assert (seen["path"], seen["query"]) == (f"/{instance_id}{path}", query)


async def test_a_body_reaches_the_gateway(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    async with edge.client(cookie) as client:
        answer = await client.post(f"/{instance_id}/upload", content=b"x" * 3_000_000)
    seen = json.loads(answer.text.partition(SEEN.decode())[2])
    assert (seen["method"], seen["body_bytes"]) == ("POST", 3_000_000)


async def test_a_body_without_end_is_refused(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    answer = await edge.ask(f"/{instance_id}/upload", cookie, method="POST", headers={"Content-Length": str(10**9)})
    assert answer.status == 413
    assert gateway.seen == []


async def test_a_websocket_passes_both_ways(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    address = f"ws://127.0.0.1:{edge.port}/{instance_id}/?role=operator"
    async with websockets.connect(address, additional_headers={"Cookie": cookie}) as connection:
        await connection.send("hello")
        assert await connection.recv() == "hello"
    assert (gateway.seen[0]["path"], gateway.seen[0]["query"]) == (f"/{instance_id}/", "role=operator")


async def test_a_websocket_of_a_stranger_does_not_reach_the_gateway(edge: Edge, gateway: Gateway) -> None:
    instance_id, _ = await edge.bound(gateway)
    stranger = await edge.sign_in(IDS.user_id())
    for cookie in ("", f"ochs={stranger}"):
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(f"ws://127.0.0.1:{edge.port}/{instance_id}/", additional_headers={"Cookie": cookie})
    assert gateway.seen == []


async def test_a_stream_arrives_piece_by_piece(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    async with edge.client(cookie) as client, client.stream("GET", f"/{instance_id}/events") as answer:
        pieces = answer.aiter_text()
        for number in range(3):
            assert await asyncio.wait_for(anext(pieces), PATIENCE_SECONDS) == f"data: {number}\n\n"
            gateway.next_event.set()


async def test_only_the_owner_passes_and_everyone_else_is_the_platforms_to_answer(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    stranger = f"ochs={await edge.sign_in(IDS.user_id())}"
    assert is_of_gateway(await edge.ask(f"/{instance_id}/", cookie))
    gateway.seen.clear()
    for other in ("", "ochs=made-up", stranger, cookie.replace("ochs", "session")):
        answer = json.loads((await edge.ask(f"/{instance_id}/chat", other)).body)
        assert (answer["platform"], answer["path"]) == (True, f"/{instance_id}/chat")
    assert gateway.seen == []


async def test_the_owner_passes_whatever_cookies_other_programs_on_this_host_have_set(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    odd = 'json={"a": [1, 2]}; bare; =nameless; q="half; ochs=stale; ' + cookie
    assert is_of_gateway(await edge.ask(f"/{instance_id}/", odd))


async def test_a_session_that_expired_or_was_dismissed_does_not_pass(edge: Edge, gateway: Gateway) -> None:
    instance_id, owner = IDS.instance_id(), IDS.user_id()
    await edge.router.bind(instance_id, gateway.target, owner, 1)
    expired = await edge.sign_in(owner, expires_at=1.0)
    assert "platform" in (await edge.ask(f"/{instance_id}/", f"ochs={expired}")).body


async def test_over_http_no_cookie_of_https_counts(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    assert "platform" in (await edge.ask(f"/{instance_id}/", f"__Host-{cookie}")).body


@pytest.mark.parametrize("origin", ["http://localhost:{port}", "HTTP://LOCALHOST:{port}", "http://localhost.:{port}"])
async def test_a_page_of_this_origin_gets_a_websocket(edge: Edge, gateway: Gateway, origin: str) -> None:
    instance_id, cookie = await edge.bound(gateway)
    address = f"ws://localhost:{edge.port}/{instance_id}/"
    headers = {"Cookie": cookie, "Origin": origin.replace("{port}", str(edge.port))}
    async with websockets.connect(address, additional_headers=headers) as connection:
        await connection.send("hello")
        assert await connection.recv() == "hello"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "https://localhost:{port}", "http://evil.localhost:{port}"]
)
async def test_a_page_of_another_origin_gets_none(edge: Edge, gateway: Gateway, origin: str) -> None:
    instance_id, cookie = await edge.bound(gateway)
    headers = {"Cookie": cookie, "Origin": origin.replace("{port}", str(edge.port))}
    with pytest.raises(websockets.InvalidStatus, match="403"):
        await websockets.connect(f"ws://localhost:{edge.port}/{instance_id}/", additional_headers=headers)
    assert gateway.seen == []


async def test_a_page_of_another_origin_changes_nothing(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    headers = {"Origin": "http://localhost:1", "Content-Length": "0"}
    assert (await edge.ask(f"/{instance_id}/upload", cookie, method="POST", headers=headers)).status == 403
    assert gateway.seen == []


@pytest.mark.parametrize("others", ["", "theme=dark; ", "x=" + 20_000 * "y" + "; "], ids=["alone", "among others", "among many"])
async def test_no_cookie_reaches_a_gateway(edge: Edge, gateway: Gateway, others: str) -> None:
    """Not the platform's, and not those of other programs on this host: Node.js refuses requests with more than 16 KB of headers."""
    instance_id, cookie = await edge.bound(gateway)
    seen = seen_by(await edge.ask(f"/{instance_id}/", others + cookie))
    assert "cookie" not in dict(seen["headers"])
    assert "ochs" not in str(seen["headers"])


@pytest.mark.parametrize("space", ["\xa0", "\x85"])
async def test_what_is_not_taken_from_a_request_as_a_platform_cookie_does_not_let_it_pass(edge: Edge, gateway: Gateway, space: str) -> None:
    instance_id, cookie = await edge.bound(gateway)
    assert "platform" in (await edge.ask(f"/{instance_id}/", f"theme=dark;{space}{cookie}")).body
    assert gateway.seen == []


async def test_the_platforms_cookies_reach_the_platform(edge: Edge) -> None:
    answer = json.loads((await edge.ask("/instances", "ochs=abc")).body)
    assert answer["headers"]["cookie"] == "ochs=abc"


async def test_what_a_client_says_about_where_it_comes_from_is_not_believed(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    lies = {
        "X-Forwarded-For": "198.51.100.7",
        "X-Forwarded-Proto": "gopher",
        "X-Forwarded-Host": "evil.example",
        "X-Real-IP": "198.51.100.7",
        "Forwarded": "for=198.51.100.7",
        "X-Original-Uri": "/",
        "X-Request-Id": "a-clients-own-id",
        "X-Upstream": "127.0.0.1:1",
    }
    headers = dict(seen_by(await edge.ask(f"/{instance_id}/", cookie, headers=lies))["headers"])
    assert "198.51.100.7" not in str(headers)
    assert headers["x-forwarded-for"]
    assert (headers["x-forwarded-proto"], headers["x-forwarded-host"]) == ("http", f"localhost:{edge.port}")
    headers = json.loads((await edge.ask("/sign-in", headers=lies)).body)["headers"]
    assert "198.51.100.7" not in str(headers)
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("127.0.0.1", "http")
    assert "x-request-id" not in headers


async def test_the_answer_does_not_name_the_software(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    for answer in (await edge.ask(f"/{instance_id}/", cookie), await edge.ask("/sign-in"), await edge.ask(f"/{instance_id}/api/x")):
        assert not {"server", "via", "x-upstream"} & answer.headers.keys()


async def test_the_way_in_is_the_platforms_even_for_the_owner(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    path = f"/{instance_id}/.well-known/openclaw/browser-bootstrap"
    assert json.loads((await edge.ask(path, cookie)).body)["path"] == path
    assert gateway.seen == []


async def test_a_prepared_route_lets_nobody_pass(edge: Edge, gateway: Gateway) -> None:
    instance_id = IDS.instance_id()
    await edge.router.prepare(instance_id, gateway.target)
    cookie = await edge.sign_in(IDS.user_id())
    assert json.loads((await edge.ask(f"/{instance_id}/", f"ochs={cookie}")).body)["platform"]
    assert gateway.seen == []


async def test_what_only_looks_like_an_instance_is_the_platforms(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    for path in (f"/x/{instance_id}/", f"/{instance_id}x/", f"/{instance_id[:-1]}/", f"/{instance_id.upper()}/", f"//{instance_id}/", "/"):
        assert json.loads((await edge.ask(path, cookie)).body)["platform"]
    assert gateway.seen == []


async def test_a_held_route_leads_to_the_platform_whoever_answers_at_its_address(edge: Edge, gateway: Gateway) -> None:
    router = HoldingRouter(edge.data_dir, edge.url)
    instance_id, cookie = await edge.bound(gateway)
    await router.hold(instance_id, MachineId("mc-another2"))
    assert is_of_gateway(await edge.ask(f"/{instance_id}/", cookie))
    await router.hold(instance_id, gateway.machine_id)
    assert json.loads((await edge.ask(f"/{instance_id}/", cookie)).body)["platform"]
    with pytest.raises(Unavailable):
        await router.probe(instance_id, gateway.target)
    (route,) = [each for each in await router.list() if each.instance_id == instance_id]
    assert route.owner_id is not None
    await router.bind(instance_id, gateway.target, route.owner_id, 2)
    assert is_of_gateway(await edge.ask(f"/{instance_id}/", cookie))


async def test_a_gateway_that_does_not_answer_shows_a_page_that_looks_again(edge: Edge) -> None:
    instance_id, owner = IDS.instance_id(), IDS.user_id()
    await edge.router.bind(instance_id, Target(MachineId("mc-dead2222"), "mc-dead2222", "127.0.0.1:9"), owner, 1)
    answer = await edge.ask(f"/{instance_id}/", f"ochs={await edge.sign_in(owner)}")
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert "Your OpenClaw is starting again" in answer.body
    assert 'http-equiv="refresh"' in answer.body
