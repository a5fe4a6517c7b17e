"""How users know the platform, where that is not as it came: behind HTTPS, or beside another platform on the same host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.edge.programs import LocalEdge
from openclaw_hosted.adapters.local.edge.router import LocalRouter
from openclaw_hosted.server import WebPlace, serving
from tests.support.edge import Edge, Gateway, is_of_gateway, platform_app
from tests.support.ports import free_port


@pytest.fixture
async def own_edge(tmp_path: Path) -> AsyncIterator[Edge]:
    made = Edge(tmp_path, free_port())
    try:
        async with serving(platform_app, WebPlace(made.web_socket)):
            yield made
    finally:
        await made.local.stop()


async def test_over_https_only_a_cookie_of_this_very_host_counts(own_edge: Edge, gateway: Gateway) -> None:
    """Any program under the same name can set a cookie without the prefix, over plain HTTP as well."""
    await LocalEdge(own_edge.data_dir, "127.0.0.1", own_edge.port, "https://claw.example.com", mark="ab12").ensure()
    instance_id, cookie = await own_edge.bound(gateway)
    value = cookie.partition("=")[2]
    for name, passes in (("__Host-ochs-ab12", True), ("__Host-ochs", True), ("ochs-ab12", False), ("ochs", False)):
        assert is_of_gateway(await own_edge.ask(f"/{instance_id}/", f"{name}={value}")) is passes, name


async def test_a_cookie_of_the_platform_beside_this_one_is_not_looked_at(own_edge: Edge, gateway: Gateway) -> None:
    await LocalEdge(own_edge.data_dir, "127.0.0.1", own_edge.port, own_edge.url, mark="ab12").ensure()
    instance_id, cookie = await own_edge.bound(gateway)
    value = cookie.partition("=")[2]
    assert is_of_gateway(await own_edge.ask(f"/{instance_id}/", f"ochs-cd34=other; ochs-ab12={value}"))
    assert not is_of_gateway(await own_edge.ask(f"/{instance_id}/", f"ochs-cd34={value}"))
    await own_edge.router.bind(instance_id, gateway.target, (await own_edge.router.list())[0].owner_id or "", 2)  # type: ignore[arg-type]
    await LocalRouter(own_edge.data_dir, own_edge.url, mark="ab12").probe(instance_id, gateway.target)


async def test_a_proxy_that_puts_another_host_keeps_nobody_out(own_edge: Edge, gateway: Gateway) -> None:
    await LocalEdge(own_edge.data_dir, "127.0.0.1", own_edge.port, "https://claw.example.com").ensure()
    instance_id, cookie = await own_edge.bound(gateway)
    for origin, status in (("https://claw.example.com", 200), ("https://claw.example.com:443", 200), ("http://claw.example.com", 403)):
        headers = {"Origin": origin, "Content-Length": "0"}
        answer = await own_edge.ask(f"/{instance_id}/x", f"__Host-{cookie}", method="POST", headers=headers)
        assert answer.status == status, origin
