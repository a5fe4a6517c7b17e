"""What the API says of its answers: whether they are the ones that the client has, and how often it may still ask."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from openclaw_hosted.domain.account import User
from openclaw_hosted.services.keys import TESTS_PER_WINDOW
from tests.integration.web.conftest import World, served
from tests.support.actors import acting

KEY_TEST = {"settings": {"provider": "echo"}, "credentials": {}}


@pytest.mark.parametrize("path", ["/me", "/instances", "/tokens", "/openapi.json"])
async def test_an_answer_that_the_client_has_is_not_sent_again(world: World, ada: User, path: str) -> None:
    async with world.api(ada) as api:
        first = await api.get(path)
        again = await api.get(path, headers={"If-None-Match": first.headers["etag"]})
        among_others = await api.get(path, headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
        other = await api.get(path, headers={"If-None-Match": '"other"'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert "content-length" not in again.headers
    assert again.headers["cache-control"] == first.headers["cache-control"] == "no-store"
    assert among_others.status_code == 304
    assert (other.status_code, other.content) == (200, first.content)


async def test_the_tag_of_a_head_is_that_of_the_get(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        got, head = await api.get("/me"), await api.head("/me")
    assert got.headers["etag"] == head.headers["etag"]


async def test_a_tag_tells_any_difference_and_still_guards_a_change(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        made = (await api.post("/instances", json={"name": "Mine"})).json()["id"]
        before = (await api.get(f"/instances/{made}")).headers["etag"]
        await world.run(made)
        answer = await api.get(f"/instances/{made}", headers={"If-None-Match": before})
        assert answer.status_code == 200, "another phase is another answer, though no setting was changed"
        by_tag = {"If-Match": answer.headers["etag"]}
        changed = await api.patch(f"/instances/{made}", json={"settings": {"provider": "echo", "model": "m"}}, headers=by_tag)
        assert changed.status_code == 200
        late = await api.patch(f"/instances/{made}", json={"name": "Later"}, headers=by_tag)
    assert late.status_code == 412


async def test_errors_and_what_changes_something_carry_no_tag(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        answers = [await api.get("/instances/oc-22222222"), await api.post("/instances", json={"name": "Mine"}), await api.get("/pool")]
    assert [answer.status_code for answer in answers] == [404, 202, 403]
    assert all("etag" not in answer.headers for answer in answers)


async def test_a_stream_is_not_held_back(world: World, ada: User) -> None:
    token = await world.kit.accounts.create_token(acting(ada), "test")
    async with world.api(ada) as api:
        made = (await api.post("/instances", json={"name": "Mine"})).json()["id"]
    async with (
        served(world) as address,
        httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as client,
        client.stream("GET", f"{address}/api/v1/instances/{made}/events") as answer,
    ):
        first = await asyncio.wait_for(anext(answer.aiter_lines()), 60)
    assert (answer.status_code, first) == (200, "event: state")
    assert "etag" not in answer.headers


async def test_the_last_tries_are_counted_down_and_the_wait_is_told(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        first = await api.post("/keys/test", json=KEY_TEST)
        world.clock.at += 100.0
        for _ in range(TESTS_PER_WINDOW - 2):
            await api.post("/keys/test", json=KEY_TEST)
        last = await api.post("/keys/test", json=KEY_TEST)
        refused = await api.post("/keys/test", json=KEY_TEST)
    assert first.headers["ratelimit-policy"] == f'"key-tests";q={TESTS_PER_WINDOW};w=300'
    assert first.headers["ratelimit"] == f'"key-tests";r={TESTS_PER_WINDOW - 1};t=300'
    assert last.headers["ratelimit"] == '"key-tests";r=0;t=200'
    assert refused.status_code == 429
    assert (refused.headers["retry-after"], refused.headers["ratelimit"]) == ("200", '"key-tests";r=0;t=200')
