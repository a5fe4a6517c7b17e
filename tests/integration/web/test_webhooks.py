"""Webhooks, from the API to a real receiver."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from openclaw_hosted.adapters.outgoing import Own
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.adapters.webhooks import NOT_HTTPS, NOT_REACHED, HttpWebhooks
from openclaw_hosted.controllers import ControllerOptions
from openclaw_hosted.controllers.webhooks import WebhooksController
from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.errors import InvalidInput
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.domain.webhook import DISABLED_AFTER_SECONDS
from openclaw_hosted.ports.webhooks import Telling
from openclaw_hosted.store import tables
from openclaw_hosted.web.models_events import event_out
from tests.integration.web.conftest import World
from tests.support.receiver import Receiver, receiving

LEASE_SECONDS = 60.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


async def make_hook(api: httpx.AsyncClient, receiver: Receiver, **more: Any) -> dict[str, Any]:
    answer = await api.post("/webhooks", json={"url": receiver.url, **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def make_instance(api: httpx.AsyncClient) -> str:
    return str((await api.post("/instances", json={"name": "Mine"})).json()["id"])


async def happens(world: World, instance_id: str, name: EventName = EventName.INSTANCE_RUNNING, **more: Any) -> None:
    await world.store.platform.add_event(Event(name, world.clock.now(), InstanceId(instance_id), **more))


async def tell(world: World, store: Any = None) -> int:
    """Have the controller work once on each webhook that is due; how many those were."""
    store = store or world.store.webhooks
    ports: Any = SimpleNamespace(clock=world.clock, sealer=world.edge, ids=SystemIds(), account_store=world.store.accounts)
    telling = Telling(HttpWebhooks(Own(), allows_private=True), lambda event, people: event_out(event, people).model_dump(mode="json"))
    controller = WebhooksController(ports, store, telling, ControllerOptions())
    due = await world.store.webhooks.lease_due(10, LEASE_SECONDS)
    for webhook, lease in due:
        await controller.handle(webhook, lease)
    return len(due)


async def pauses_are_over(world: World) -> None:
    """Whatever was put off is due, and the leases of what crashed have ended."""
    async with world.store.database.write() as connection:
        await connection.execute(tables.webhooks.update().values(next_attempt_at=0.0, lease_expires_at=0.0))


async def test_a_webhook_is_told_what_the_history_says_under_a_signature(world: World, ada: User, receiver: Receiver) -> None:
    async with world.api(ada) as api:
        made = await make_hook(api, receiver)
        instance = await make_instance(api)
        assert await tell(world) == 1
        [event] = (await api.get(f"/instances/{instance}/history")).json()["items"]
        [delivery] = (await api.get(f"/webhooks/{made['id']}/deliveries")).json()["items"]
        assert await tell(world) == 0
    [message] = receiver.got
    assert message.said == {"type": "instance.created", "timestamp": event["at"].replace("Z", "+00:00"), "data": event}
    assert message.is_signed_with(made["secret"])
    assert (message.path, message.headers["content-type"]) == ("/hook?to=me", "application/json")
    assert (delivery["message_id"], delivery["event_id"], delivery["status"], delivery["ok"]) == (message.id, event["id"], 204, True)


async def test_the_secret_is_shown_once_and_kept_sealed(world: World, ada: User, receiver: Receiver) -> None:
    async with world.api(ada) as api:
        made = await make_hook(api, receiver, events=["instance.failed"])
        listed = await api.get("/webhooks")
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert listed.json()["items"] == [made]
    async with world.store.database.read() as connection:
        rows = (await connection.execute(tables.webhooks.select())).all()
        events = (await connection.execute(tables.events.select())).all()
    assert secret not in str(rows)
    assert secret not in str(events)
    assert "to=me" not in str(events), "the address may hold a credential as well"


async def test_only_the_events_that_were_chosen_are_told(world: World, ada: User, receiver: Receiver) -> None:
    async with world.api(ada) as api:
        await make_hook(api, receiver, events=["instance.failed"])
        instance = await make_instance(api)
        await happens(world, instance, EventName.INSTANCE_FAILED)
        unknown = await api.post("/webhooks", json={"url": receiver.url, "events": ["instance.dances"]})
    assert await tell(world) == 1
    assert receiver.types == ["instance.failed"]
    assert await tell(world) == 0, "what it is not to be told of is behind it"
    assert unknown.status_code == 422
    assert "instance.failed" in unknown.json()["errors"][0]["message"]


async def test_a_message_that_is_not_taken_comes_again_under_the_same_id(world: World, ada: User, receiver: Receiver) -> None:
    async with world.api(ada) as api:
        made = await make_hook(api, receiver)
        await make_instance(api)
        receiver.status, receiver.headers = 302, {"Location": "http://127.0.0.1:1/elsewhere"}
        await tell(world)
        assert await tell(world) == 0, "it is put off"
        [failing] = (await api.get("/webhooks")).json()["items"]
        await pauses_are_over(world)
        receiver.status = 204
        await tell(world)
        [well] = (await api.get("/webhooks")).json()["items"]
        attempts = (await api.get(f"/webhooks/{made['id']}/deliveries")).json()["items"]
    assert (failing["failures"], failing["error"], failing["enabled"]) == (1, "The address answered 302.", True)
    assert (well["failures"], well["failing_since"], well["error"]) == (0, None, None)
    assert [(each["attempt"], each["ok"]) for each in attempts] == [(2, True), (1, False)]
    assert len(receiver.got) == 2
    assert receiver.got[0].id == receiver.got[1].id


class CrashesOnce:
    """A store that is left before it is told of a delivery."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def delivered(self, *_: object) -> None:
        raise ConnectionResetError


async def test_a_crash_between_telling_and_keeping_it_tells_again_and_loses_nothing(world: World, ada: User, receiver: Receiver) -> None:
    async with world.api(ada) as api:
        await make_hook(api, receiver)
        instance = await make_instance(api)
        await happens(world, instance)
    with pytest.raises(ConnectionResetError):
        await tell(world, CrashesOnce(world.store.webhooks))
    assert await tell(world) == 0, "its lease is held"
    await pauses_are_over(world)
    await tell(world)
    assert receiver.types == ["instance.created", "instance.created", "instance.running"]
    assert receiver.got[0].id == receiver.got[1].id != receiver.got[2].id


async def test_an_address_that_fails_for_days_is_given_up_and_can_be_told_again(world: World, ada: User, receiver: Receiver) -> None:
    receiver.status = 500
    async with world.api(ada) as api:
        made = await make_hook(api, receiver)
        instance = await make_instance(api)
        await tell(world)
        world.clock.at += DISABLED_AFTER_SECONDS
        await pauses_are_over(world)
        await tell(world)
        [given_up] = (await api.get("/webhooks")).json()["items"]
        [said, *_] = await world.store.platform.events(limit=1)
        await happens(world, instance)
        await pauses_are_over(world)
        assert await tell(world) == 0
        receiver.status = 204
        assert (await api.post(f"/webhooks/{made['id']}/enable")).json()["enabled"] is True
        assert await tell(world) == 0, "what happened meanwhile is not told"
        await happens(world, instance, EventName.INSTANCE_CHANGED)
        await tell(world)
    assert (given_up["enabled"], given_up["error"]) == (False, "The address answered 500.")
    assert (said.name, said.user_id, said.detail["webhook"]) == (EventName.WEBHOOK_DISABLED, ada.id, made["id"])
    assert receiver.types == ["instance.created", "instance.created", "instance.changed"]


async def test_a_receiver_that_is_gone_is_given_up_at_once(world: World, ada: User, receiver: Receiver) -> None:
    receiver.status = 410
    async with world.api(ada) as api:
        await make_hook(api, receiver)
        await make_instance(api)
        await tell(world)
        assert (await api.get("/webhooks")).json()["items"][0]["enabled"] is False


async def test_one_is_told_of_ones_own_and_not_which_operator_acted(
    world: World, ada: User, bob: User, admin: User, receiver: Receiver
) -> None:
    async with world.api(ada) as of_ada, world.api(bob) as of_bob, world.api(admin) as of_admin:
        await make_hook(of_ada, receiver)
        hers, _ = await make_instance(of_ada), await make_instance(of_bob)
        await world.run(hers)
        machine = (await world.row(hers)).machine_id
        assert (await of_admin.post(f"/machines/{machine}/notices", json={"kind": "drain"})).status_code == 202
        await tell(world)
        [hook] = (await of_ada.get("/webhooks")).json()["items"]
        for path in ("deliveries", "test", "enable"):
            method = of_bob.get if path == "deliveries" else of_bob.post
            assert (await method(f"/webhooks/{hook['id']}/{path}")).status_code == 404
        assert (await of_bob.delete(f"/webhooks/{hook['id']}")).status_code == 404
    assert {each.said["data"]["instance_id"] for each in receiver.got} == {hers}
    assert {each.said["data"]["actor"]["name"] for each in receiver.got} == {ada.email, "the operator"}
    assert admin.email not in str([each.body for each in receiver.got])


async def test_an_admin_is_told_of_all_for_as_long_as_they_are_one(world: World, ada: User, admin: User, receiver: Receiver) -> None:
    await world.user("another", Role.ADMIN)
    async with world.api(ada) as of_ada, world.api(admin) as of_admin:
        refused = await of_ada.post("/webhooks", json={"url": receiver.url, "all_instances": True})
        await make_hook(of_admin, receiver, all_instances=True)
        instance = await make_instance(of_ada)
        await tell(world)
    assert refused.status_code == 403
    assert receiver.got[0].said["data"]["actor"]["name"] == ada.email
    async with world.store.database.write() as connection:
        await connection.execute(tables.users.update().where(tables.users.c.id == admin.id).values(role=Role.USER))
    await happens(world, instance)
    assert await tell(world) == 0


async def test_a_test_says_what_the_address_answers(world: World, ada: User, receiver: Receiver) -> None:
    async with world.api(ada) as api:
        made = await make_hook(api, receiver)
        good = await api.post(f"/webhooks/{made['id']}/test")
        receiver.status, receiver.answer = 200, b"x" * 100_000
        long = (await api.post(f"/webhooks/{made['id']}/test")).json()
        listed = (await api.get(f"/webhooks/{made['id']}/deliveries", params={"limit": 1})).json()["items"]
    assert (good.json()["ok"], good.json()["status"]) == (True, 204)
    assert good.headers["ratelimit-policy"].startswith('"webhook-tests";q=20')
    assert (receiver.got[0].said["type"], receiver.got[0].said["data"]) == ("webhook.test", {"webhook_id": made["id"]})
    assert receiver.got[0].is_signed_with(made["secret"])
    assert (long["ok"], long["error"]) == (False, "The address answered more than 64 KB; an empty answer is enough.")
    assert listed == [long]


async def test_a_webhook_that_is_deleted_is_told_no_more(world: World, ada: User, receiver: Receiver) -> None:
    async with world.api(ada) as api:
        made = await make_hook(api, receiver)
        await make_instance(api)
        await api.post(f"/webhooks/{made['id']}/test")
        assert (await api.delete(f"/webhooks/{made['id']}")).status_code == 204
        assert (await api.get("/webhooks")).json() == {"items": []}
    assert await tell(world) == 0
    assert receiver.types == ["webhook.test"]


async def test_there_is_an_end_to_webhooks_of_one_user(world: World, ada: User, receiver: Receiver) -> None:
    async with world.api(ada) as api:
        for _ in range(10):
            await make_hook(api, receiver)
        answer = await api.post("/webhooks", json={"url": receiver.url})
    assert (answer.status_code, "10 webhooks at most" in answer.json()["detail"]) == (429, True)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/hook", NOT_HTTPS),
        ("https://127.0.0.1/hook", NOT_REACHED),
        ("https://[::1]/hook", NOT_REACHED),
        ("https://10.0.0.8/hook", NOT_REACHED),
        ("https://192.168.1.7:8443/hook", NOT_REACHED),
        ("https://169.254.169.254/latest/meta-data", NOT_REACHED),
        ("https://user:pass@example.com/", "without a user name"),
        ("https://example.com/#part", "without a user name"),
        ("ftp://example.com/", "without a user name"),
        ("https://", "without a user name"),
    ],
)
async def test_nothing_is_sent_inside_unless_an_operator_allows_it(url: str, reason: str) -> None:
    sender = HttpWebhooks(Own())
    with pytest.raises(InvalidInput, match="url") as refused:
        await sender.check(url)
    receipt = await sender.send(url, {}, b"{}")
    assert reason in str(refused.value)
    assert (receipt.ok, receipt.status) == (False, None)
    assert reason in str(receipt.problem)


async def test_nothing_is_sent_to_the_platform_itself(receiver: Receiver) -> None:
    sender = HttpWebhooks(Own(ports=lambda: [receiver.port]), allows_private=True)
    receipt = await sender.send(receiver.url, {}, b"{}")
    assert (receipt.problem, receiver.got) == (NOT_REACHED, [])


async def test_the_page_makes_tries_and_deletes_one(world: World, ada: User, admin: User, receiver: Receiver) -> None:
    async with world.browser(ada) as browser:
        assert "Everybody" not in (await browser.get("/account/webhooks")).text
        wrong = await browser.post("/account/webhooks", url="ftp://example.com/", what="attention")
        made = await browser.post("/account/webhooks", url=receiver.url, what="attention")
        tried = await browser.post(f"/account/webhooks/{hook_on(made)}/test")
        receiver.status = 500
        failed = await browser.post(f"/account/webhooks/{hook_on(made)}/test")
        everybodys = await browser.post("/account/webhooks", url=receiver.url, everybody="yes")
        again = await browser.get("/account/webhooks")
        assert (await browser.post(f"/account/webhooks/{hook_on(made)}/enable")).status_code == 303
        assert (await browser.post(f"/account/webhooks/{hook_on(made)}/delete")).status_code == 303
        assert "Your webhooks" not in (await browser.get("/account/webhooks")).text
    secret = re.findall(r"whsec_[\w+/=]+", made.text)
    assert (wrong.status_code, 'value="ftp://example.com/"' in wrong.text, 'value="attention" selected' in wrong.text) == (422, True, True)
    assert receiver.got[0].is_signed_with(*secret)
    assert "Delivered: the address answered 204" in tried.text
    assert "The address answered 500." in failed.text
    assert everybodys.status_code == 403
    assert "whsec_" not in again.text
    async with world.browser(admin) as browser:
        assert "Everybody" in (await browser.get("/account/webhooks")).text


def hook_on(page: httpx.Response) -> str:
    return str(re.findall(r"/account/webhooks/(wh-\w+)/test", page.text)[0])
