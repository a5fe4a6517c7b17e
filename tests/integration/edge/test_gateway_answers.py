"""What a gateway may say to a browser on the platform's origin: of its own answer, and nothing that holds beyond it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.edge import IDS, Answer, Edge
from tests.support.hostile import File, Hostile, hostile_gateway

pytestmark = [pytest.mark.usefixtures("platform"), pytest.mark.xdist_group("gateway answers")]

KEPT = {
    "Cache-Control": "max-age=5",
    "Content-Disposition": "inline",
    "Content-Security-Policy": "default-src 'self'",
    "Content-Type": "text/html",
    "ETag": '"a"',
    "Last-Modified": "Sun, 01 Nov 2026 00:00:00 GMT",
    "Location": "/elsewhere",
    "Permissions-Policy": "camera=()",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}
TAKEN_AWAY = {
    "Service-Worker-Allowed": "/",
    "Clear-Site-Data": '"*"',
    "Set-Cookie": "ochs=theirs; Path=/",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "Alt-Svc": 'h3="evil.example:443"',
    "Reporting-Endpoints": 'default="https://evil.example/"',
    "Report-To": '{"group":"default","max_age":1,"endpoints":[{"url":"https://evil.example/"}]}',
    "NEL": '{"report_to":"default","max_age":1}',
    "Origin-Agent-Cluster": "?0",
    "Accept-CH": "Sec-CH-UA-Model",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Credentials": "true",
    "WWW-Authenticate": "Basic",
    "Secure-Session-Registration": '(ES256);path="/start"',
    "Use-As-Dictionary": 'match="/*"',
    "Speculation-Rules": '"/rules.json"',
    "Link": "</account>; rel=prefetch",
    "Refresh": "0; url=/account",
    "X-Invented-Tomorrow": "1",
}


@pytest.fixture
async def hostile() -> AsyncIterator[Hostile]:
    async with hostile_gateway() as made:
        yield made


async def said(edge: Edge, hostile: Hostile, headers: dict[str, str], path: str = "/page") -> Answer:
    instance_id, owner = IDS.instance_id(), IDS.user_id()
    await edge.router.bind(instance_id, hostile.target, owner, 1)
    hostile.files[f"/{instance_id}{path}"] = File("page", headers=headers)
    return await edge.ask(f"/{instance_id}{path}", f"ochs={await edge.sign_in(owner)}")


async def test_what_holds_for_the_answer_alone_passes(edge: Edge, hostile: Hostile) -> None:
    answer = await said(edge, hostile, KEPT)
    assert answer.status == 200
    assert {name: answer.headers[name.lower()] for name in KEPT} == KEPT


async def test_what_holds_beyond_the_answer_is_taken_away(edge: Edge, hostile: Hostile) -> None:
    answer = await said(edge, hostile, KEPT | TAKEN_AWAY)
    assert answer.status == 200
    assert not {name.lower() for name in TAKEN_AWAY} & answer.headers.keys()
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_an_error_of_a_gateway_says_no_more(edge: Edge, hostile: Hostile) -> None:
    instance_id, owner = IDS.instance_id(), IDS.user_id()
    await edge.router.bind(instance_id, hostile.target, owner, 1)
    answer = await edge.ask(f"/{instance_id}/missing", f"ochs={await edge.sign_in(owner)}")
    assert (answer.status, "server" in answer.headers) == (404, False)


@pytest.mark.parametrize(("path", "status"), [("", 403), ("?v=1", 403), ("/", 200), ("/sw.js", 200)])
async def test_a_workers_script_stands_under_the_instances_address(edge: Edge, hostile: Hostile, path: str, status: int) -> None:
    instance_id, owner = IDS.instance_id(), IDS.user_id()
    await edge.router.bind(instance_id, hostile.target, owner, 1)
    hostile.files[f"/{instance_id}{path.partition('?')[0]}"] = File("", "text/javascript")
    cookie = f"ochs={await edge.sign_in(owner)}"
    assert (await edge.ask(f"/{instance_id}{path}", cookie, headers={"Service-Worker": "script"})).status == status
    assert (await edge.ask(f"/{instance_id}{path}", cookie)).status == 200
