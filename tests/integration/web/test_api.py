"""The API: what it answers, and how it says no."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.gateway import Credential, decode_change
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.services.keys import TESTS_PER_WINDOW
from tests.integration.web.conftest import SECRET_KEY, World, served
from tests.support.actors import acting
from tests.support.waiting import PATIENCE_SECONDS

OPENAI = {"name": "A", "settings": {"provider": "openai"}, "credentials": {"modelApiKey": SECRET_KEY}}


def problem(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == answer.status_code
    return body


async def test_a_create_is_accepted_and_answers_id_phase_and_url(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        answer = await api.post("/instances", json={"name": "My assistant"})
        body = answer.json()
        assert answer.status_code == 202
        assert answer.headers["location"] == f"/api/v1/instances/{body['id']}"
        assert (body["phase"], body["url"]) == ("pending", f"http://localhost:8080/{body['id']}/")
        one = await api.get(f"/instances/{body['id']}")
        assert one.headers["etag"].startswith('"0-')
        assert one.json()["steps"] == []


async def test_no_answer_holds_a_credential(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        made = await api.post("/instances", json=OPENAI)
        path = f"/instances/{made.json()['id']}"
        assert made.json()["credentials"] == ["modelApiKey"]
        changed = await api.patch(path, json={"credentials": {"modelApiKey": SECRET_KEY + "2", "telegramBotToken": "1:" + SECRET_KEY}})
        wrong = await api.post("/instances", json={**OPENAI, "credentials": {"modelApiKey": SECRET_KEY, "other": SECRET_KEY}})
        broken = await api.patch(path, json={"credentials": {"modelApiKey": [SECRET_KEY]}})
        assert (changed.status_code, wrong.status_code, broken.status_code) == (200, 422, 422)
        for answer in (made, changed, wrong, broken, await api.get(path), await api.get("/instances"), await api.get(path + "/logs")):
            assert SECRET_KEY not in answer.text


async def test_the_same_idempotency_key_answers_the_same_instance(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        key = {"Idempotency-Key": "abc"}
        first = await api.post("/instances", json={"name": "A"}, headers=key)
        second = await api.post("/instances", json={"name": "A"}, headers=key)
        other = await api.post("/instances", json={"name": "B"}, headers=key)
        assert first.json() == second.json()
        assert problem(other)["status"] == 409
        assert (await api.post("/instances", json={"name": "A"}, headers={"Idempotency-Key": "x" * 300})).status_code == 422


async def test_fifty_creates_at_once_stop_at_the_cap(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        answers = await asyncio.gather(*(api.post("/instances", json={"name": f"A{number}"}) for number in range(50)))
        codes = [answer.status_code for answer in answers]
        assert (codes.count(202), codes.count(429)) == (10, 40)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 500}, "name"),
        ({"name": 7}, "name"),
        ({}, "name"),
        ({"name": "A", "colour": "red"}, "colour"),
        ({"name": "A", "settings": {"modle": "x"}}, "settings.modle"),
        ({"name": "A", "settings": {"provider": "nobody"}}, "settings.provider"),
        ({"name": "A", "settings": {"provider": "openai"}}, "credentials.modelApiKey"),
        ({**OPENAI, "credentials": {"modelApiKey": "sk-a\nb"}}, "credentials.modelApiKey"),
        ({"name": "A", "credentials": {"gatewayToken": "x"}}, "credentials.gatewayToken"),
    ],
)
async def test_bad_input_is_answered_with_the_field(world: World, ada: User, body: dict[str, Any], field: str) -> None:
    async with world.api(ada) as api:
        answer = await api.post("/instances", json=body)
        assert answer.status_code == 422
        assert [error["field"] for error in problem(answer)["errors"]] == [field]


async def test_a_body_of_ten_megabytes_is_refused_unread(world: World, ada: User) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"x" * 1024

    async with world.api(ada) as api:
        declared = await api.post("/instances", content=b"x" * 10_000_000, headers={"Content-Type": "application/json"})
        streamed = await api.post("/instances", content=chunks(), headers={"Content-Type": "application/json"})
        assert problem(declared)["status"] == problem(streamed)["status"] == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""])
async def test_another_content_type_is_refused(world: World, ada: User, kind: str) -> None:
    async with world.api(ada) as api:
        answer = await api.post("/instances", content=b'{"name":"A"}', headers={"Content-Type": kind})
        assert problem(answer)["status"] == 415
    async with world.browser(ada) as browser:
        answer = await browser.client.post("/instances", content=b'{"name":"A"}', headers={"Content-Type": "application/json"})
        assert answer.status_code == 415


async def test_broken_json_is_a_problem(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        for content in (b"{", b"\xff\xfe", b"[" * 5000):
            answer = await api.post("/instances", content=content, headers={"Content-Type": "application/json"})
            assert problem(answer)["status"] in (400, 422)


@pytest.mark.parametrize("walk", ["..", "%2e%2e%2fusers", "..%2f..%2fetc%2fpasswd", "oc-..%5c..", "oc-22222222%00", "a%2fb", "OC-22222222"])
async def test_ids_that_walk_paths_are_not_found(world: World, ada: User, walk: str) -> None:
    async with world.api(ada) as api:
        for method, tail in (("GET", ""), ("DELETE", ""), ("GET", "/logs"), ("POST", "/restart")):
            answer = await api.request(method, f"{api.base_url}instances/{walk}{tail}")
            assert problem(answer)["status"] in (404, 405), answer.url


async def test_a_change_with_an_old_etag_is_refused(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        path = f"/instances/{(await api.post('/instances', json=OPENAI)).json()['id']}"
        settings = {"settings": {"provider": "openai", "model": "gpt-6-astra"}}
        seen = {"If-Match": (await api.get(path)).headers["etag"]}
        assert (await api.patch(path, json=settings, headers=seen)).status_code == 200
        assert problem(await api.patch(path, json=settings, headers=seen))["status"] == 412
        assert problem(await api.patch(path, json=settings, headers={"If-Match": "x"}))["status"] == 422


async def test_two_changes_of_credentials_at_once_lose_neither(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        path = f"/instances/{(await api.post('/instances', json=OPENAI)).json()['id']}"
        settings = {"provider": "openai", "channels": ["telegram"]}
        telegram = {"settings": settings, "credentials": {"telegramBotToken": "12345:abcdefghij"}}
        model = {"credentials": {"modelApiKey": "sk-another-key-0001"}}
        answers = await asyncio.gather(api.patch(path, json=telegram), api.patch(path, json=model))
        assert [answer.status_code for answer in answers] == [200, 200]
    instance_id = path.rpartition("/")[2]
    waiting = await world.store.instances.sealed_credentials(InstanceId(instance_id))
    assert waiting is not None
    change = decode_change(world.edge.unseal(waiting[1], instance_id))
    assert change.set == {Credential.TELEGRAM_BOT_TOKEN: "12345:abcdefghij", Credential.MODEL_API_KEY: "sk-another-key-0001"}


async def test_keys_are_tested_so_often_and_no_more(world: World, ada: User) -> None:
    test = {"settings": OPENAI["settings"], "credentials": OPENAI["credentials"]}
    async with world.api(ada) as api:
        for _ in range(TESTS_PER_WINDOW):
            assert (await api.post("/keys/test", json=test)).status_code == 200
        refused = await api.post("/keys/test", json=test)
        assert problem(refused)["status"] == 429
        assert refused.headers["retry-after"] == "300"
        world.clock.at += 301
        assert (await api.post("/keys/test", json=test)).status_code == 200


async def test_desired_state_deletes_and_brings_back(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        instance_id = (await api.post("/instances", json={"name": "A"})).json()["id"]
        path = f"/instances/{instance_id}"
        assert (await api.patch(path, json={"desired_state": "deleted"})).json()["phase"] == "deleting"
        assert (await api.delete(path)).status_code == 202
        assert problem(await api.post(path + "/restore"))["status"] == 409
        await world.put(instance_id, phase=Phase.DELETED)
        assert (await api.patch(path, json={"desired_state": "running"})).json()["phase"] == "pending"
        await world.put(instance_id, phase=Phase.PURGED)
        assert problem(await api.post(path + "/restore"))["status"] == 409
        assert (await api.get(path)).status_code == 404


async def test_events_follow_an_instance_and_end_with_the_token(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        instance_id = (await api.post("/instances", json={"name": "A"})).json()["id"]
    bearer = {"Authorization": f"Bearer {await world.kit.accounts.create_token(acting(ada), 'events')}"}
    async with (
        served(world) as url,
        httpx.AsyncClient(trust_env=False, headers=bearer, timeout=PATIENCE_SECONDS) as client,
        client.stream("GET", f"{url}/api/v1/instances/{instance_id}/events") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        blocks = blocks_of(answer)
        assert state_in(await anext(blocks))["phase"] == "pending"
        await world.store.hints.hint("changes")
        assert await anext(blocks) == ": still here"
        await world.run(instance_id)
        await world.store.hints.hint("changes")
        moved = state_in(await anext(block async for block in blocks if block != ": still here"))
        assert moved["phase"] == "running"
        assert moved["steps"][0]["note"] == "A spare machine was free."
        for token_id, _, _ in await world.kit.accounts.tokens(acting(ada)):
            await world.kit.accounts.revoke_token(acting(ada), token_id)
        await world.store.hints.hint("changes")
        assert {block async for block in blocks} <= {": still here"}


async def blocks_of(answer: httpx.Response) -> AsyncIterator[str]:
    """What a stream of events sends, one block after the other."""
    block: list[str] = []
    async for line in answer.aiter_lines():
        if line:
            block.append(line)
        elif block:
            yield "\n".join(block)
            block = []


def state_in(block: str) -> dict[str, Any]:
    """The state that an event tells."""
    name, _, data = block.partition("\n")
    assert name == "event: state"
    return dict(json.loads(data.removeprefix("data: ")))


async def test_a_key_is_tried(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        answer = await api.post("/keys/test", json={"settings": OPENAI["settings"], "credentials": OPENAI["credentials"]})
        assert answer.json() == {"ok": True, "message": "The provider takes this key."}
        answer = await api.post("/keys/test", json={"channel": "telegram", "credentials": {"telegramBotToken": "1:a"}})
        assert answer.json()["ok"]


async def test_tokens_come_and_go(world: World, ada: User, bob: User) -> None:
    async with world.api(ada) as api, world.api(bob) as other:
        made = (await api.post("/tokens", json={"label": "CI"})).json()
        assert made["id"] in [token["id"] for token in (await api.get("/tokens")).json()["items"]]
        assert made["token"] not in (await api.get("/tokens")).text
        assert (await other.delete(f"/tokens/{made['id']}")).status_code == 404
        assert (await api.delete(f"/tokens/{made['id']}")).status_code == 204
        refused = await api.get("/me", headers={"Authorization": f"Bearer {made['token']}"})
        assert problem(refused)["status"] == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")


async def test_operators_api(world: World, admin: User, ada: User) -> None:
    async with world.api(admin) as api:
        assert (await api.get("/pool")).json()["spares_wanted"] == 2
        assert (await api.patch("/pool", json={"spares": 4})).json()["spares_wanted"] == 4
        assert problem(await api.patch("/pool", json={"spares": 50_000}))["status"] == 422
        assert (await api.post("/pool/pause")).json()["paused"] is True
        assert (await api.post("/pool/resume")).json()["paused"] is False
        assert (await api.get("/machines/none")).status_code == 404
        assert "/invite/" in (await api.post("/users/invite", json={"email": "new@example.com"})).json()["url"]
        assert "/reset/" in (await api.post(f"/users/{ada.id}/reset-link")).json()["url"]
        assert (await api.post(f"/users/{ada.id}/disable")).json()["disabled"] is True
        assert (await api.post(f"/users/{ada.id}/enable")).json()["disabled"] is False
        assert (await api.post("/users/none/disable")).status_code == 404
        assert (await api.post(f"/users/{admin.id}/role", json={"role": "user"})).status_code == 409
        assert (await api.post(f"/users/{ada.id}/role", json={"role": "owner"})).status_code == 422
        assert (await api.post(f"/users/{ada.id}/role", json={"role": "admin"})).json()["role"] == "admin"
        changed = (await api.get("/events", params={"limit": 1})).json()["items"][0]
        assert (changed["name"], changed["detail"]) == ("user.role_changed", {"before": "user", "after": "admin"})
        events = (await api.get("/events", params={"limit": 1})).json()["items"]
        assert len(events) == 1


async def test_costs_are_for_admins_and_null_where_machines_cost_nothing(world: World, admin: User, ada: User) -> None:
    await world.add_machine(MachineState.AVAILABLE)
    async with world.api(admin) as api, world.api(ada) as other:
        told = (await api.get("/cost")).json()
        assert told["now"] is None
        assert told["holdings"] == {"machines": 1, "volumes": 1, "secrets": 1, "routes": 1, "instances": 0}
        assert (told["spares"], told["projection"]["users"], told["projection"]["per_user_usd"]) == (2, 0, None)
        assert (await other.get("/cost")).status_code == 403


async def test_costs_of_what_exists_are_told_by_component(world: World, admin: User) -> None:
    billed = World(world.store, billed=True)
    await billed.add_machine(MachineState.AVAILABLE)
    async with billed.api(admin) as api:
        told = (await api.get("/cost")).json()
    machines = told["now"]["lines"][0]
    assert machines == {"component": "Machines", "detail": "on Spot: 1 × $0.006 an hour", "usd": pytest.approx(4.38)}
    assert told["now"]["total_usd"] == pytest.approx(sum(line["usd"] for line in told["now"]["lines"]))


async def test_health_and_readiness(world: World) -> None:
    async with world.client() as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).status_code == 200
        world.ready["edge"] = False
        unready = await client.get("/readyz")
        assert unready.status_code == 503
        assert unready.json()["checks"] == {"store": True, "edge": False}


async def test_an_unforeseen_error_tells_nothing(world: World, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError(SECRET_KEY)

    monkeypatch.setattr(type(world.store.instances), "list_page", broken)
    async with world.api(ada) as api:
        answer = await api.get("/instances")
        assert problem(answer)["status"] == 500
        assert SECRET_KEY not in answer.text
