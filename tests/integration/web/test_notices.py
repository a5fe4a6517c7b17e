"""Operators give notice of a machine's end by API, and everybody sees in plain words what follows."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.store import tables
from tests.integration.web.conftest import World


async def running(world: World, owner: User) -> tuple[str, str]:
    """An instance of theirs that runs, and its machine."""
    async with world.browser(owner) as browser:
        instance_id = await browser.create()
    await world.run(instance_id)
    return instance_id, str((await world.row(instance_id)).machine_id)


async def test_an_interrupted_machine_shows_that_its_instance_moves_off(world: World, admin: User, ada: User) -> None:
    instance_id, machine_id = await running(world, ada)
    async with world.api(admin) as api, world.browser(admin) as operator, world.browser(ada) as user:
        answer = await api.post(f"/machines/{machine_id}/notices", json={"kind": "interruption"})
        assert answer.status_code == 202
        body = answer.json()
        assert (body["state"], body["notice"], body["failure"]) == ("terminating", "interruption", "noticed")
        assert body["leaves_at"] is not None
        assert (await world.row(instance_id)).phase is Phase.REPLACING
        pool = (await operator.get("/admin/pool")).text
        assert "The cloud provider is taking it back; its instance is moving off" in pool
        page = (await user.get(f"/instances/{instance_id}")).text
        assert "The cloud provider is taking its machine back" in page
        assert "No spare machine is near its disk" in page
        address = await user.get(f"/{instance_id}/")
        assert (address.status_code, address.headers["Refresh"]) == (503, "2")
        assert "is moving" in address.text
        names = [event["name"] for event in (await api.get("/events")).json()["items"]]
        assert {"machine.noticed", "instance.moving"} <= set(names)


async def test_a_drained_machine_serves_on_until_another_is_ready(world: World, admin: User, ada: User) -> None:
    instance_id, machine_id = await running(world, ada)
    async with world.api(admin) as api, world.browser(admin) as operator, world.browser(ada) as user:
        for _ in range(2):
            answer = await api.post(f"/machines/{machine_id}/notices", json={"kind": "drain"})
            assert (answer.status_code, answer.json()["state"]) == (202, "assigned")
        assert (await world.row(instance_id)).phase is Phase.RUNNING
        assert "An operator is draining it; its instance moves once another machine is ready" in (await operator.get("/admin/pool")).text
        page = (await user.get(f"/instances/{instance_id}")).text
        assert "An operator is taking its machine out of service" in page
        assert "It keeps working until another machine is ready" in page
        events = (await api.get("/events", params={"machine_id": machine_id})).json()["items"]
        assert [event["name"] for event in events] == ["machine.noticed"], "the second time says nothing new"


async def test_once_another_machine_is_there_the_page_says_that_it_finishes_what_it_is_doing(world: World, admin: User, ada: User) -> None:
    instance_id, machine_id = await running(world, ada)
    async with world.api(admin) as api, world.browser(ada) as user:
        await api.post(f"/machines/{machine_id}/notices", json={"kind": "maintenance"})
        await api.post(f"/machines/{machine_id}/notices", json={"kind": "interruption"})
        other = await world.add_machine(MachineState.ASSIGNED, instance_id="oc-22222222")
        async with world.store.database.write() as connection:
            await connection.execute(update(tables.machines).where(tables.machines.c.id == other).values(instance_id=instance_id))
        await world.put(instance_id, machine_id=other, generation=2)
        assert "It finishes what it is doing, stops, and starts" in (await user.get(f"/instances/{instance_id}")).text
        await world.put(instance_id, phase=Phase.RUNNING)
        assert "moving to another one" not in (await user.get(f"/instances/{instance_id}")).text


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"kind": "ended"}, 422, "its provider has to say"),
        ({"kind": "earthquake"}, 422, "interruption"),
        ({}, 422, "kind"),
        ({"kind": ["drain"]}, 422, "kind"),
    ],
)
async def test_a_kind_that_nobody_can_give_is_named_and_changes_nothing(
    world: World, admin: User, ada: User, body: dict[str, object], status: int, says: str
) -> None:
    instance_id, machine_id = await running(world, ada)
    async with world.api(admin) as api:
        answer = await api.post(f"/machines/{machine_id}/notices", json=body)
        assert answer.status_code == status
        assert says in answer.text
        assert (await world.row(instance_id)).phase is Phase.RUNNING
        assert (await api.get(f"/machines/{machine_id}")).json()["notice"] is None


async def test_machines_that_are_unknown_or_end_already_are_refused_in_words(world: World, admin: User) -> None:
    ending = await world.add_machine(MachineState.TERMINATING)
    async with world.api(admin) as api:
        assert (await api.post("/machines/mc-unknown2/notices", json={"kind": "drain"})).status_code == 404
        answer = await api.post(f"/machines/{ending}/notices", json={"kind": "drain"})
        assert answer.status_code == 409
        assert "nothing to be moved" in answer.text


async def test_only_admins_give_notice(world: World, ada: User) -> None:
    _, machine_id = await running(world, ada)
    async with world.api(ada) as api:
        assert (await api.post(f"/machines/{machine_id}/notices", json={"kind": "drain"})).status_code == 403
