"""Requests in the log: each has an id, which its lines, its answer and what an error says have in common, and a line at its end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from openclaw_hosted.bootstrap.telemetry import telemetry
from openclaw_hosted.cli.client import _explain
from openclaw_hosted.cli.ways import Answer
from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.logging import logging_to
from openclaw_hosted.request_ids import HEADER, request_id_for
from openclaw_hosted.server import WebPlace, serving
from openclaw_hosted.settings_operating import OperatingSettings
from tests.integration.web.conftest import PAGE, PASSWORD, World
from tests.support.collector import collecting
from tests.support.ports import free_port

NEW = re.compile("[0-9a-f]{16}")
GIVEN_ID = "edge-0123456789"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    with logging_to("debug", tmp_path / "platform.log"):
        yield tmp_path / "platform.log"


def lines_of(log: Path, event: str = "request answered") -> Sequence[Mapping[str, Any]]:
    return [line for line in map(json.loads, log.read_text(encoding="utf-8").splitlines()) if line["event"] == event]


async def test_a_request_has_a_line_with_its_id_route_status_and_ids_and_no_query(world: World, ada: User, log: Path) -> None:
    async with world.api(ada) as api:
        made = await api.post("/instances", json={"name": "Mine"})
        instance_id = made.json()["id"]
        await api.get(f"/instances/{instance_id}?token=a-secret-word")
        await api.get("/instances/oc-nonsense")
    created, read, missed = lines_of(log)
    told = {name: created[name] for name in ("method", "route", "status", "instance", "user", "level", "request_id")}
    assert told == {
        "method": "POST", "route": "/api/v1/instances", "status": 202, "instance": instance_id, "user": ada.id, "level": "info",
        "request_id": made.headers[HEADER],
    }  # fmt: skip
    assert 0 <= created["duration_seconds"] < 60
    assert (read["route"], read["instance"]) == ("/api/v1/instances/{instance_id}", instance_id)
    assert (missed["status"], "instance" in missed) == (404, False)
    assert len({line["request_id"] for line in (created, read, missed)}) == 3
    assert all(NEW.fullmatch(line["request_id"]) for line in (created, read, missed))
    assert "a-secret-word" not in log.read_text(encoding="utf-8")


async def test_machines_and_pages_are_named_and_one_time_links_are_not(world: World, admin: User, log: Path) -> None:
    machine_id = await world.add_machine(MachineState.AVAILABLE)
    async with world.api(admin) as api:
        await api.get(f"/machines/{machine_id}")
    async with world.client(**PAGE) as client:
        await client.get("/invite/a-one-time-secret")
        await client.post("/sign-in", data={"email": admin.email, "password": PASSWORD})
        await client.get("/account")
        assert HEADER in (await client.head("/account")).headers
    looked, invited, _, account, head = lines_of(log)
    assert looked["machine"] == machine_id
    assert invited["route"] == "/{kind:link}/{secret}"
    assert "user" not in invited
    assert account["user"] == admin.id
    assert head["route"] == "/account"
    assert "a-one-time-secret" not in log.read_text(encoding="utf-8")


async def test_what_is_asked_for_all_the_time_is_told_at_debug(world: World, log: Path) -> None:
    async with world.client() as client:
        for path in ("/healthz", "/readyz", "/static/style.css", "/no-such-place"):
            assert HEADER in (await client.get(path)).headers
    assert [(line["route"], line["level"]) for line in lines_of(log)] == [
        ("/healthz", "debug"), ("/readyz", "debug"), ("/static/{path}", "debug"), ("none", "info"),
    ]  # fmt: skip


async def test_an_unforeseen_error_leads_to_its_lines(world: World, ada: User, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("nobody foresaw this")

    async with world.api(ada) as api, world.browser(ada) as browser:
        for name in ("list", "page"):
            monkeypatch.setattr(type(world.kit.instances), name, broken)
        answer = await api.get("/instances")
        page = await browser.get("/")
        fragment = await browser.get("/", **{"HX-Request": "true"})
    request_id = answer.headers[HEADER]
    assert answer.json()["request_id"] == request_id
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert page.status_code == 500
    for shown in (page, fragment):
        assert f"request {shown.headers[HEADER]}" in shown.text
    failed = lines_of(log, "request failed")
    assert [line["request_id"] for line in failed] == [each.headers[HEADER] for each in (answer, page, fragment)]
    assert "nobody foresaw this" in failed[0]["exception"]
    told = _explain(Answer(500, answer.content))
    assert told.endswith(f"It has been written to the log. Look there for {request_id}.")


async def test_what_the_platform_could_not_give_says_its_id_and_what_the_client_did_wrong_does_not(
    world: World, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise Unavailable("The store is away.")

    async with world.api(ada) as api:
        assert "request_id" not in (await api.post("/instances", json={"name": ""})).json()
        monkeypatch.setattr(type(world.store.instances), "list_page", away)
        answer = await api.get("/instances")
        assert (answer.status_code, answer.json()["request_id"]) == (503, answer.headers[HEADER])


async def test_a_request_is_traced_and_what_is_routine_is_not(world: World, ada: User) -> None:
    with collecting() as collector:
        async with telemetry(OperatingSettings.model_validate({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}), "mark", world.clock) as made:
            web = world.app.state.web
            world.app.state.web = replace(web, options=replace(web.options, tracer=made.watch.tracer))
            async with world.api(ada) as api:
                answer = await api.get("/instances")
                await api.get("/instances/oc-22222222")
                await world.client().get("/healthz")
    assert [span.name for span in collector.spans] == ["GET /api/v1/instances", "GET /api/v1/instances/{instance_id}"]
    assert collector.spans[0].attributes["openclaw_hosted.request_id"] == answer.headers[HEADER]
    assert not any(span.error for span in collector.spans)


async def test_refusals_before_any_route_have_an_id_too(world: World) -> None:
    async with world.client() as client:
        answer = await client.post("/api/v1/instances", content=b"x", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert NEW.fullmatch(answer.headers[HEADER])


async def test_a_client_gives_no_id_by_itself(world: World) -> None:
    async with world.client() as client:
        assert (await client.get("/healthz", headers={HEADER: GIVEN_ID})).headers[HEADER] != GIVEN_ID


@pytest.mark.parametrize(
    "given", ["short", "x" * 65, "with space in it", 'quote"0123456', "-begins-wrong", "zeile\n012345678", "ünicode-012345"]
)
def test_an_id_that_is_not_well_formed_is_replaced(given: str) -> None:
    assert NEW.fullmatch(request_id_for(given))
    assert request_id_for(GIVEN_ID) == GIVEN_ID


@pytest.mark.parametrize(("proxies", "is_taken"), [(("127.0.0.1/32",), True), (("10.0.0.0/8", "2001:db8::/32"), False), ((), False)])
async def test_a_trusted_proxys_id_is_taken_on_a_port(world: World, proxies: tuple[str, ...], is_taken: bool) -> None:
    place = WebPlace(port=free_port(), trusted_proxies=proxies)
    async with serving(world.app, place), httpx.AsyncClient(base_url=f"http://127.0.0.1:{place.port}", trust_env=False) as client:
        answer = await client.get("/healthz", headers={HEADER: GIVEN_ID, "X-Forwarded-For": "203.0.113.9"})
        assert (answer.headers[HEADER] == GIVEN_ID) is is_taken
        twice = await client.get("/healthz", headers=[(HEADER, GIVEN_ID), (HEADER, "another-0123")])
        assert NEW.fullmatch(twice.headers[HEADER])


@pytest.mark.parametrize("private", [False, True])
async def test_the_edges_id_is_taken_on_its_socket_and_nobodys_on_the_commands_own(world: World, tmp_path: Path, private: bool) -> None:
    place = WebPlace(socket=tmp_path / "web.sock", private=private)
    transport = httpx.AsyncHTTPTransport(uds=str(place.socket))
    async with serving(world.app, place), httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/healthz", headers={HEADER: GIVEN_ID})
    assert (answer.headers[HEADER] == GIVEN_ID) is not private


async def test_two_requests_at_once_keep_their_own_ids(world: World, ada: User, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = type(world.store.instances).list_page

    async def noted(*given: Any, **named: Any) -> Any:
        structlog.get_logger("store").info("looked")
        return await page(*given, **named)

    monkeypatch.setattr(type(world.store.instances), "list_page", noted)
    async with world.api(ada) as one, world.api(ada) as other:
        answers = [await each.get("/instances") for each in (one, other)]
    assert [line["request_id"] for line in lines_of(log, "looked")] == [answer.headers[HEADER] for answer in answers]
    assert "request_id" not in structlog.contextvars.get_contextvars()
