"""The Python client, against the real web application."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest

from openclaw_hosted.adapters.fake.cloud import FakePoint, FakeVolume
from openclaw_hosted.client import ApiError, Client, NotReached
from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, RestorePointId, volume_of
from openclaw_hosted.domain.restore_point import Cause, PointState, RestorePoint
from scripts.client import BY_HAND, description, files, operations
from tests.integration.web.conftest import World, served
from tests.support.actors import acting
from tests.support.ports import free_port

Result = TypeVar("Result")


@asynccontextmanager
async def client_of(world: World, user: User) -> AsyncIterator[Callable[[Callable[[Client], Result]], asyncio.Future[Result]]]:
    """What runs a function with a client of this user, beside the server."""
    token = await world.kit.accounts.create_token(acting(user), "client")
    async with served(world) as address:
        with Client(address, token) as client:
            yield lambda ask: asyncio.ensure_future(asyncio.to_thread(ask, client))


def test_what_is_written_from_the_description_is_as_it_would_be_written_now() -> None:
    for path, source in files().items():
        assert path.read_text() == source, "run: make client"


def test_each_operation_has_a_method() -> None:
    named = {name for name, *_ in operations(description())}
    assert named > BY_HAND
    assert [name for name in named if not callable(getattr(Client, name, None))] == []


async def test_instances_are_made_read_changed_and_deleted(world: World, ada: User) -> None:
    async with client_of(world, ada) as asking:
        made = await asking(lambda client: client.create_instance({"name": "Mine"}, idempotency_key="one"))
        same = await asking(lambda client: client.create_instance({"name": "Mine"}, idempotency_key="one"))
        assert made["id"] == same["id"]
        changed = await asking(lambda client: client.change_instance(made["id"], {"name": "Ours"}, if_match='"0"'))
        assert (changed["name"], changed["owner_id"]) == ("Ours", ada.id)
        assert (await asking(lambda client: client.get_instance(made["id"])))["steps"] == []
        assert (await asking(lambda client: client.delete_instance(made["id"])))["phase"] == "deleting"
        assert [each["name"] for each in (await asking(lambda client: client.instance_history(made["id"], limit=1)))["items"]] == [
            "instance.delete_asked"
        ]


async def test_a_list_is_read_to_its_end(world: World, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclaw_hosted.client.client.PAGE", 2)
    async with client_of(world, ada) as asking:
        made = {(await asking(lambda client: client.create_instance({"name": "Mine"})))["id"] for _ in range(5)}
        assert {each["id"] for each in await asking(lambda client: list(client.every_instance()))} == made
        assert await asking(lambda client: list(client.every_instance(phase="running"))) == []


async def test_machines_are_read_to_their_end_and_acted_on(world: World, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclaw_hosted.client.client.PAGE", 2)
    spares = {str(await world.add_machine(MachineState.AVAILABLE)) for _ in range(3)}
    async with client_of(world, admin) as asking:
        assert {each["id"] for each in await asking(lambda client: list(client.every_machine(state="available")))} == spares
        ids = sorted(spares)
        done = await asking(lambda client: client.act_on_several({"action": "drain", "ids": ids}))
        assert [(each["id"], each["problem"]) for each in done["items"]] == [(each, None) for each in ids]
        assert await asking(lambda client: list(client.every_machine(state="available"))) == []


async def test_an_instance_is_followed(world: World, ada: User) -> None:
    async with client_of(world, ada) as asking:
        made = await asking(lambda client: client.create_instance({"name": "Mine"}))
        first = await asking(lambda client: next(client.follow_instance(made["id"])))
    assert (first["id"], first["phase"]) == (made["id"], "pending")


async def test_a_refusal_says_which_field_and_until_when(world: World, ada: User) -> None:
    async with client_of(world, ada) as asking:
        with pytest.raises(ApiError, match="name: ") as wrong:
            await asking(lambda client: client.create_instance({"name": ""}))
        with pytest.raises(ApiError, match="no instance") as missing:
            await asking(lambda client: client.get_instance("oc-22222222"))
        with pytest.raises(ApiError) as often:
            await asking(lambda client: [client.try_key({"credentials": {}}) for _ in range(40)])
    assert (wrong.value.status, list(wrong.value.fields)) == (422, ["name"])
    assert missing.value.status == 404
    assert (often.value.status, often.value.retry_after_seconds) == (429, 300.0)


async def test_who_answers_nothing_or_something_else_is_told_apart(world: World) -> None:
    with Client(f"http://127.0.0.1:{free_port()}", "token") as client, pytest.raises(NotReached):
        await asyncio.to_thread(client.me)
    async with served(world) as address:
        with Client(f"{address}/elsewhere", "token") as client, pytest.raises(ApiError) as refused:
            await asyncio.to_thread(client.me)
    assert refused.value.status == 404


async def test_archives_go_both_ways(world: World, ada: User) -> None:
    async with client_of(world, ada) as asking:
        made = await asking(lambda client: client.create_instance({"name": "Mine"}))
        instance_id, point_id, target = InstanceId(made["id"]), RestorePointId("rp-22222222"), io.BytesIO()
        await world.run(instance_id)
        world.points._cloud.volumes[volume_of(instance_id)] = FakeVolume("", instance_id, written=7)
        world.points._cloud.points[point_id] = FakePoint(instance_id, 3, 1.0, 1.0, 1.0)
        await world.store.restore_points.add(RestorePoint(point_id, instance_id, 1.0, Cause.ASKED, PointState.READY, 1))
        await asking(lambda client: client.download_instance(instance_id, target))
        await asking(lambda client: client.download_restore_point(instance_id, point_id, target))
        assert target.getvalue() == b'{"written": 7}{"written": 3}'
        brought = await asking(lambda client: client.bring_archive(io.BytesIO(b'{"written": 7}')))
    assert (brought["cause"], brought["instance_id"]) == ("brought", None)
