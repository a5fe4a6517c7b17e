"""Lists of the API: in pages, filtered, and of others for admins only."""

from __future__ import annotations

import httpx
import pytest

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import MachineState
from tests.integration.web.conftest import World


async def make(api: httpx.AsyncClient, *names: str) -> list[str]:
    return [str((await api.post("/instances", json={"name": name})).json()["id"]) for name in names]


def ids(answer: httpx.Response) -> list[str]:
    return [item["id"] for item in answer.json()["items"]]


async def test_a_list_is_read_page_by_page(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        made = await make(api, "a", "b", "c")
        pages, query = [], {"limit": "2"}
        while True:
            answer = await api.get("/instances", params=query)
            pages.append(ids(answer))
            if answer.json()["next"] is None:
                break
            query["after"] = answer.json()["next"]
    assert [len(page) for page in pages] == [2, 1]
    assert sorted(one for page in pages for one in page) == sorted(made)


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "501"}, {"phase": "tired"}])
async def test_a_filter_that_can_not_be_names_its_field(world: World, ada: User, query: dict[str, str]) -> None:
    async with world.api(ada) as api:
        answer = await api.get("/instances", params=query)
    assert answer.status_code == 422
    assert next(iter(query)) in answer.json()["errors"][0]["field"]


async def test_only_admins_list_what_others_have(world: World, ada: User, bob: User, admin: User) -> None:
    async with world.api(ada) as of_ada, world.api(bob) as of_bob, world.api(admin) as of_admin:
        [hers], [his] = await make(of_ada, "Hers"), await make(of_bob, "His")
        await world.run(his)
        assert ids(await of_ada.get("/instances")) == [hers]
        for owner in ("all", bob.email):
            assert (await of_ada.get("/instances", params={"owner": owner})).status_code == 403
        assert set(ids(await of_admin.get("/instances", params={"owner": "all"}))) == {hers, his}
        assert ids(await of_admin.get("/instances", params={"owner": bob.email})) == [his]
        assert ids(await of_admin.get("/instances", params={"owner": "all", "phase": Phase.RUNNING})) == [his]
        owner = (await of_admin.get("/instances", params={"owner": bob.email})).json()["items"][0]["owner_id"]
        assert owner == bob.id


async def test_an_owner_reads_the_history_of_their_own_and_not_which_operator_acted(
    world: World, ada: User, bob: User, admin: User
) -> None:
    async with world.api(ada) as of_ada, world.api(bob) as of_bob, world.api(admin) as of_admin:
        [hers] = await make(of_ada, "Hers")
        await world.run(hers)
        machine = (await world.row(hers)).machine_id
        drained = await of_admin.post(f"/machines/{machine}/notices", json={"kind": "drain"})
        assert drained.status_code == 202
        answer = await of_ada.get(f"/instances/{hers}/history")
        assert (await of_bob.get(f"/instances/{hers}/history")).status_code == 404
    assert {event["actor"]["name"] for event in answer.json()["items"]} >= {ada.email, "the operator"}
    assert admin.email not in answer.text
    assert admin.id not in answer.text


async def test_a_token_can_revoke_itself(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        assert (await api.delete("/tokens/current")).status_code == 204
        assert (await api.get("/me")).status_code == 401


async def test_machines_are_read_page_by_page_and_narrowed(world: World, admin: User) -> None:
    spares = [str(await world.add_machine(MachineState.AVAILABLE)) for _ in range(3)]
    ended = str(await world.add_machine(MachineState.TERMINATED))
    async with world.api(admin) as api:
        first = await api.get("/machines", params={"limit": "2"})
        rest = await api.get("/machines", params={"limit": "2", "after": first.json()["next"]})
        assert sorted(ids(first) + ids(rest)) == sorted(spares)
        assert (len(ids(first)), rest.json()["next"]) == (2, None)
        assert len(ids(await api.get("/machines", params={"include_terminated": "true"}))) == 4
        assert ids(await api.get("/machines", params={"state": "terminated"})) == [ended]
        assert ids(await api.get("/machines", params={"search": spares[0][3:]})) == [spares[0]]
        for query in ({"limit": "0"}, {"limit": "501"}, {"state": "tired"}, {"after": "nowhere"}, {"search": "x" * 101}):
            answer = await api.get("/machines", params=query)
            assert (answer.status_code, next(iter(query)) in answer.json()["errors"][0]["field"]) == (422, True), query
