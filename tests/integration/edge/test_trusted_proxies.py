"""Behind a proxy that the operator names, each client is itself; nobody else's word about that counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import pytest

from openclaw_hosted.adapters.local.edge.programs import LocalEdge
from openclaw_hosted.server import WebPlace, serving
from tests.support.edge import Edge, Gateway, platform_app, seen_by
from tests.support.ports import free_port

CLIENT, FORGED = "203.0.113.9", "198.51.100.7"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """The tests' own computer is the proxy."""
    made = Edge(tmp_path_factory.mktemp("edge"), free_port())
    made.local = LocalEdge(made.data_dir, "127.0.0.1", made.port, made.url, trusted_proxies=("127.0.0.1/32", "10.1.0.0/16"))
    try:
        asyncio.run(made.local.ensure())
        yield made
    finally:
        asyncio.run(made.local.stop())


@pytest.fixture
async def platform(edge: Edge) -> AsyncIterator[None]:
    async with serving(platform_app, WebPlace(edge.web_socket)):
        yield


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (CLIENT, CLIENT),
        (f"{FORGED}, {CLIENT}", CLIENT),
        (f"{FORGED}, {CLIENT}, 10.1.2.3", CLIENT),
        (f"nonsense, {CLIENT}", CLIENT),
        ("2001:db8::7", "2001:db8::7"),
    ],
)
@pytest.mark.usefixtures("platform")
async def test_the_client_is_the_last_address_that_no_proxy_added(edge: Edge, gateway: Gateway, forwarded: str, client: str) -> None:
    instance_id, cookie = await edge.bound(gateway)
    headers = {"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "gopher", "X-Forwarded-Host": "evil.example", "X-Real-IP": FORGED}
    at_gateway = dict(seen_by(await edge.ask(f"/{instance_id}/", cookie, headers=headers))["headers"])
    at_platform = json.loads((await edge.ask("/sign-in", headers=headers)).body)["headers"]
    for seen in (at_gateway, at_platform):
        assert seen["x-forwarded-for"] == client
        assert (seen["x-forwarded-proto"], seen["x-forwarded-host"]) == ("http", f"localhost:{edge.port}")
        assert FORGED not in str(seen)


@pytest.mark.usefixtures("platform")
async def test_a_proxys_id_of_a_request_reaches_the_platform(edge: Edge) -> None:
    headers = {"X-Request-Id": "proxy-0123456789"}
    assert json.loads((await edge.ask("/sign-in", headers=headers)).body)["headers"]["x-request-id"] == "proxy-0123456789"


@pytest.mark.usefixtures("platform")
async def test_a_proxy_that_says_nothing_is_the_client_itself(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    assert dict(seen_by(await edge.ask(f"/{instance_id}/", cookie))["headers"])["x-forwarded-for"] == "192.0.2.1"
    assert json.loads((await edge.ask("/sign-in")).body)["headers"]["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.usefixtures("platform")
async def test_the_platforms_own_probes_go_through_as_before(edge: Edge, gateway: Gateway) -> None:
    instance_id, _ = await edge.bound(gateway)
    await edge.router.probe(instance_id, gateway.target)
