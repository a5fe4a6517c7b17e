"""Addresses that OpenClaw would normalise to something else, and its root APIs: none reaches a gateway."""

from __future__ import annotations

import pytest

from tests.support.edge import Edge, Gateway

pytestmark = [pytest.mark.usefixtures("platform"), pytest.mark.xdist_group("hostile addresses")]

RPC = "api/v1/admin/rpc"
HOSTILE = [
    "/{id}/../" + RPC,
    "/{id}/..",
    "/{id}/../",
    "/{id}/./chat",
    "/{id}/a/../../" + RPC,
    "/{id}/%2e%2e/" + RPC,
    "/{id}/%2E%2E/" + RPC,
    "/{id}/.%2e/" + RPC,
    "/{id}/%2e./" + RPC,
    "/{id}/..%2f" + RPC,
    "/{id}/..%2F" + RPC,
    "/{id}/..%5c" + RPC,
    "/{id}/..%5C" + RPC,
    "/{id}/%252e%252e/" + RPC,
    "/{id}/%25252e%25252e/" + RPC,
    "/{id}/..%252f" + RPC,
    "/{id}/..\\api\\v1\\admin\\rpc",
    "/{id}/\\..\\" + RPC,
    "/{id}//" + RPC,
    "/{id}//evil.example/",
    "/{id}/chat//x",
    "/{id}/.%09./" + RPC,
    "/{id}/.%0a./" + RPC,
    "/{id}/%00",
    "/{id}/%7f",
]
ELSEWHERE = [
    "//{id}/" + RPC,
    "//{id}/../" + RPC,
    "/../{id}/" + RPC,
    "/./{id}/",
    "/%2f{id}/" + RPC,
    "/{id}%2f..%2f" + RPC,
    "/{id}%2e/",
    "/{id}\\..\\" + RPC,
    "/%61pi/v1/admin/rpc",
    "/api%2fv1%2fadmin%2frpc",
    "/API/v1/admin/rpc",
    "/api/v1/admin//rpc",
    "/api/v1/admin/rpc/",
    "/v1/models",
    "/tools/invoke",
    "/__openclaw__/canvas",
    "/healthz",
]
ROOT_APIS = [
    "/" + RPC,
    "/api",
    "/api/",
    "/api/usersx",
    "/api/channels/x",
    "/__openclaw__/worker",
    "/api/v1/oc-hosted/rpc",
    "/API/v1/admin/rpc",
    "/%61pi/v1/admin/rpc",
    "/v1/models",
    "/v1/chat/completions",
    "/V1/models",
    "/tools/invoke",
    "/hooks/wake",
    "/plugins/x/y",
    "/__openclaw__/canvas",
    "/healthz",
    "/readyz",
    "/startupz",
]

PAGE_FILES = ["/__openclaw__/assistant-media?source=a", "/__openclaw__/plugin-icon/x", "/api/users/x/avatar", "/api/artifacts/download/x"]


async def test_a_path_that_might_be_normalised_is_refused(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    for pattern in HOSTILE:
        for method in ("GET", "POST"):
            answer = await edge.ask(pattern.replace("{id}", instance_id), cookie, method=method, headers={"Content-Length": "0"})
            assert (answer.status, gateway.seen) == (400, []), pattern


async def test_a_path_outside_the_prefix_never_reaches_a_gateway(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    for pattern in ELSEWHERE:
        await edge.ask(pattern.replace("{id}", instance_id), cookie)
        assert gateway.seen == [], pattern


async def test_root_apis_are_not_there(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    for rest in ROOT_APIS:
        answer = await edge.ask(f"/{instance_id}{rest}", cookie)
        assert (answer.status, gateway.seen) == (404, []), rest


@pytest.mark.parametrize("rest", PAGE_FILES)
async def test_files_of_openclaws_page_are_there_for_the_owner_and_share_no_origin(edge: Edge, gateway: Gateway, rest: str) -> None:
    instance_id, cookie = await edge.bound(gateway)
    answer = await edge.ask(f"/{instance_id}{rest}", cookie)
    assert (answer.status, len(gateway.seen)) == (200, 1)
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" not in (await edge.ask(f"/{instance_id}/", cookie)).headers
    await edge.ask(f"/{instance_id}{rest}")
    assert len(gateway.seen) == 2


async def test_an_address_with_a_host_in_it_is_judged_by_its_path(edge: Edge, gateway: Gateway) -> None:
    instance_id, cookie = await edge.bound(gateway)
    answer = await edge.ask(f"http://evil.example/{instance_id}/../{RPC}", cookie)
    assert answer.status in (400, 404)
    assert gateway.seen == []
