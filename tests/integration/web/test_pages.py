"""Pages: signing in, instances, operators' pages, and what stands at an instance's address."""

from __future__ import annotations

import re

import pytest

from openclaw_hosted.adapters.fake.restore_points import FakeRestorePoints
from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.actor import SETUP
from openclaw_hosted.domain.instance import DesiredState, Phase, StepName
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, RestorePointId
from openclaw_hosted.domain.restore_point import Cause, PointState, RestorePoint
from openclaw_hosted.ports.gateways import Names
from openclaw_hosted.store import tables
from openclaw_hosted.web.live import STREAMS_PER_USER
from tests.integration.web.conftest import PAGE, PASSWORD, SECRET_KEY, World
from tests.support.actors import acting


async def test_a_set_up_link_makes_the_first_admin_once(world: World) -> None:
    secret = await world.kit.accounts.setup_link(SETUP)
    async with world.client(**PAGE) as client:
        assert "set-up link" in (await client.get("/sign-in")).text
        assert (await client.get(f"/setup/{secret}")).status_code == 200
        form = {"email": "root@example.com", "password": PASSWORD, "password_again": PASSWORD}
        wrong = await client.post(f"/setup/{secret}", data={**form, "password_again": "different words"})
        assert wrong.status_code == 422
        assert "differ" in wrong.text
        done = await client.post(f"/setup/{secret}", data=form)
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert (await client.get("/admin")).status_code == 200
        again = await client.post(f"/setup/{secret}", data=form)
        assert again.status_code == 403


async def test_an_invitation_is_shown_once_and_good_once(world: World, admin: User) -> None:
    async with world.browser(admin) as browser, world.client(**PAGE) as guest:
        shown = await browser.post("/admin/users/invite", email="new@example.com", role="user")
        secret = re.search(r"/invite/([\w-]+)", shown.text)
        assert secret is not None
        assert secret[1] not in (await browser.get("/admin/users")).text
        form = {"password": PASSWORD, "password_again": PASSWORD}
        assert (await guest.post(f"/invite/{secret[1]}", data=form)).status_code == 303
        assert (await guest.get("/")).status_code == 200
        assert (await guest.get("/admin")).status_code == 403
        assert (await guest.get(f"/invite/{secret[1]}")).status_code == 403


async def test_a_reset_link_ends_all_other_sessions(world: World, admin: User, ada: User) -> None:
    async with world.browser(admin) as operator, world.browser(ada) as browser, world.client(**PAGE) as elsewhere:
        shown = await operator.post(f"/admin/users/{ada.id}/reset-link")
        secret = re.search(r"/reset/([\w-]+)", shown.text)
        assert secret is not None
        form = {"password": "quite another one", "password_again": "quite another one"}
        assert (await elsewhere.post(f"/reset/{secret[1]}", data=form)).status_code == 303
        assert (await browser.get("/")).status_code == 303


async def test_guessing_a_password_is_slowed(world: World, ada: User) -> None:
    async with world.client(**PAGE) as client:
        for _ in range(8):
            assert (await client.post("/sign-in", data={"email": ada.email, "password": "wrong"})).status_code == 403
        slowed = await client.post("/sign-in", data={"email": ada.email, "password": PASSWORD})
        assert slowed.status_code == 429
        assert slowed.headers["retry-after"] == "300"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "/a//b", "javascript:alert(1)"])
async def test_sign_in_leads_to_local_places_only(world: World, ada: User, target: str) -> None:
    async with world.client(**PAGE) as client:
        answer = await client.post("/sign-in", data={"email": ada.email, "password": PASSWORD, "next": target})
        assert answer.headers["location"] == "/"


async def test_a_revoked_session_is_out_at_once(world: World, admin: User, ada: User) -> None:
    async with world.browser(admin) as operator, world.browser(ada) as browser:
        assert (await browser.get("/")).status_code == 200
        await operator.post(f"/admin/users/{ada.id}/disable")
        assert (await browser.get("/")).headers["location"] == "/sign-in?next=/"
        assert world.edge.admitted.keys() == {session.hash for session in await world.kit.accounts.sessions(acting(admin))}


async def test_an_admin_makes_a_user_an_admin_who_signs_in_anew(world: World, admin: User, ada: User) -> None:
    async with world.browser(admin) as operator, world.browser(ada) as browser:
        assert f"Make {ada.email} an admin" in (await operator.get("/admin/users")).text
        assert (await operator.post(f"/admin/users/{ada.id}/role", role="owner")).status_code == 422
        assert (await operator.post(f"/admin/users/{ada.id}/role", role="admin")).status_code == 303
        assert f"Make {ada.email} a user" in (await operator.get("/admin/users")).text
        assert (await browser.get("/")).headers["location"] == "/sign-in?next=/"
    async with world.browser(ada) as browser:
        assert (await browser.get("/admin")).status_code == 200


async def test_signing_out_ends_the_session(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        cookie = browser.client.cookies["ochs"]
        assert (await browser.post("/sign-out")).status_code == 303
        assert await world.kit.accounts.session(cookie) is None


async def test_a_password_is_changed_with_the_present_one(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        new = {"password": "quite another one", "password_again": "quite another one"}
        assert (await browser.post("/account/password", current_password="wrong", **new)).status_code == 403
        assert (await browser.post("/account/password", current_password=PASSWORD, **new)).status_code == 303
        assert (await browser.get("/account")).status_code == 200
        assert await world.kit.accounts.authenticate(ada.email, "quite another one") is not None


async def test_a_token_is_shown_once_and_can_be_revoked(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        shown = await browser.post("/account/tokens", label="Laptop")
        token = re.search(r"ochs_[\w-]+", shown.text)
        assert token is not None
        assert token[0] not in (await browser.get("/account")).text
        token_id = (await world.kit.accounts.tokens(acting(ada)))[0][0]
        assert (await browser.post(f"/account/tokens/{token_id}/revoke")).status_code == 303
        assert await world.kit.accounts.user_by_token(token[0]) is None


async def test_the_journey_of_an_instance(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        assert "No instance yet" in (await browser.get("/")).text
        instance_id = await browser.create()
        page = await browser.get(f"/instances/{instance_id}")
        assert "Waiting for a machine" in page.text
        assert re.search(r"<button[^>]*disabled[^>]*>Open", page.text)
        await world.run(instance_id)
        page = await browser.get(f"/instances/{instance_id}")
        assert "A spare machine was free." in page.text
        assert "38 ms" in page.text
        opened = await browser.post(f"/instances/{instance_id}/open")
        assert opened.status_code == 303
        assert world.edge.named == Names("ada")
        assert opened.headers["location"] == f"http://localhost:8080/{instance_id}/#bootstrapToken=ticket-1&bootstrapProfile=owner"
        assert "&lt;script&gt;" in (await browser.get(f"/instances/{instance_id}/logs")).text
        assert (await browser.post(f"/instances/{instance_id}/restart")).status_code == 303
        wrong = await browser.post(f"/instances/{instance_id}/delete", typed_name="something else")
        assert wrong.status_code == 422
        assert "exactly" in wrong.text
        assert (await browser.post(f"/instances/{instance_id}/delete", typed_name="My assistant")).status_code == 303
        await world.put(instance_id, phase=Phase.DELETED, purge_after=world.clock.now() + 7 * 86400)
        assert "Undo deletion" in (await browser.get(f"/instances/{instance_id}")).text
        assert (await browser.post(f"/instances/{instance_id}/restore")).status_code == 303
        assert (await world.row(instance_id)).desired is DesiredState.RUNNING


async def test_an_instance_that_is_not_running_says_so_instead_of_opening(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        instance_id = await browser.create()
        answer = await browser.post(f"/instances/{instance_id}/open")
        assert answer.status_code == 409
        assert "Its state is “Waiting for a machine”" in answer.text


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"name": " "}, "Give it a name"),
        ({"name": "x" * 500}, "at most 60"),
        ({"name": "A", "provider": "anthropic"}, "needs an API key"),
        ({"name": "A", "provider": "anthropic", "modelApiKey": "sk-a\nb"}, "one word"),
        ({"name": "A", "provider": "compatible", "modelApiKey": "k", "base_url": "ftp://x"}, "address of the API"),
        ({"name": "A", "channels": ["telegram"]}, "needs this token"),
    ],
)
async def test_a_wrong_form_comes_back_with_the_reason_at_the_field(
    world: World, ada: User, form: dict[str, str | list[str]], said: str
) -> None:
    async with world.browser(ada) as browser:
        answer = await browser.post("/instances", **form)
        assert answer.status_code == 422
        assert said in answer.text
        assert "aria-invalid" in answer.text


async def test_a_key_is_tried_but_never_shown_again(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        form = {"name": "A", "provider": "openai", "modelApiKey": SECRET_KEY}
        plain = await browser.post("/instances/new/test-key", **form)
        live = await browser.post("/instances/new/test-key", {"HX-Request": "true"}, **form)
        assert "takes this key" in plain.text
        assert "<form" in plain.text
        assert "takes this key" in live.text
        assert "csrf_token" not in live.text
        instance_id = await browser.create("A", provider="openai", modelApiKey=SECRET_KEY)
        pages = [plain, live, *[await browser.get(f"/instances/{instance_id}{tail}") for tail in ("", "/settings", "/logs")]]
        assert not [page.url for page in pages if SECRET_KEY in page.text]


async def test_a_form_sent_twice_makes_one_instance(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        form_id = re.search(r'name="form_id" value="(\w+)"', (await browser.get("/instances/new")).text)
        assert form_id is not None
        first = await browser.create("A", form_id=form_id[1])
        assert await browser.create("A", form_id=form_id[1]) == first
        assert await browser.create("B", form_id=form_id[1]) != first


async def test_so_many_live_views_and_no_more(world: World, ada: User) -> None:
    async with world.api(ada) as api:
        instance_id = (await api.post("/instances", json={"name": "A"})).json()["id"]
        world.app.state.web.streams[ada.id] = STREAMS_PER_USER
        assert (await api.get(f"/instances/{instance_id}/events")).status_code == 429


async def test_a_key_never_moves_to_another_provider(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        instance_id = await browser.create("A", provider="openai", modelApiKey=SECRET_KEY)
        path = f"/instances/{instance_id}/settings"
        moved = await browser.post(path, name="A", provider="anthropic")
        assert moved.status_code == 422
        assert "key of its own" in moved.text
        kept = await browser.post(path, name="B", provider="openai", model="gpt-6-astra")
        assert kept.status_code == 303
        assert (await world.row(instance_id)).name == "B"
        assert (await world.row(instance_id)).credential_names
        assert (await browser.post(path, name="B", provider="echo")).status_code == 303
        assert not (await world.row(instance_id)).credential_names


async def test_operators_see_and_steer_the_pool(world: World, admin: User) -> None:
    machine_id = await world.add_machine(MachineState.AVAILABLE)
    async with world.browser(admin) as browser:
        page = await browser.get("/admin/pool")
        assert "no isolation" in page.text
        assert machine_id in page.text
        assert (await browser.post("/admin/pool/pause")).status_code == 303
        assert (await world.store.platform.pool_memory()).paused
        assert (await browser.post("/admin/pool/spares", spares="5")).status_code == 303
        assert (await world.store.platform.pool_memory()).spares == 5
        assert (await browser.post("/admin/pool/spares", spares="-1")).status_code == 422
        assert (await browser.post(f"/admin/machines/{machine_id}/retire")).status_code == 303
        for path in ("/admin/instances", "/admin/users", "/admin/events"):
            assert (await browser.get(path)).status_code == 200


async def test_where_machines_cost_nothing_the_pages_say_nothing_of_costs(world: World, admin: User) -> None:
    await world.add_machine(MachineState.AVAILABLE)
    async with world.browser(admin) as browser:
        page = (await browser.get("/admin/pool")).text
    assert "$" not in page
    assert "cost" not in page.lower()


async def test_where_machines_cost_money_operators_see_how_much(world: World, admin: User) -> None:
    billed = World(world.store, billed=True)
    await billed.add_machine(MachineState.AVAILABLE)
    async with billed.browser(admin) as browser:
        page = (await browser.get("/admin/pool")).text
    report = await billed.kit.costs.report(acting(admin))
    assert report.now is not None
    assert f"<strong>${report.now.total_usd:.2f}</strong> a month" in page
    assert "on Spot: 1 × $0.006 an hour" in page
    assert f"With all 2 spares: ${report.projection.total_usd:.2f}" in page


async def test_what_stands_at_an_instances_address(world: World, ada: User, bob: User) -> None:
    async with world.browser(ada) as owner, world.browser(bob) as other, world.client(**PAGE) as stranger:
        instance_id = await owner.create()
        path = f"/{instance_id}/chat/main"
        sent = await stranger.get(path)
        assert (sent.status_code, sent.headers["location"]) == (303, f"/sign-in?next=/{instance_id}/")
        foreign, unknown = await other.get(path), await other.get("/oc-22222222/")
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.text == unknown.text
        starting = await owner.get(path)
        assert starting.status_code == 503
        assert starting.headers["retry-after"] == "2"
        assert starting.headers["refresh"] == "2"
        await world.run(instance_id)
        assert f'action="/instances/{instance_id}/open"' in (await owner.get(path)).text
        await world.put(instance_id, phase=Phase.FAILED, last_error="Out of disk.")
        assert "Out of disk." in (await owner.get(path)).text
        await world.put(instance_id, phase=Phase.DELETED, purge_after=world.clock.now() + 60)
        assert "Undo deletion" in (await owner.get(path)).text
        posted = await owner.post(path)
        assert posted.status_code == 404
        api = await owner.get(path, Accept="application/json")
        assert api.headers["content-type"] == "application/problem+json"


async def test_a_page_that_is_not_there_leads_everyone_on(world: World, ada: User) -> None:
    async with world.browser(ada) as browser, world.client(**PAGE) as stranger:
        found, lost = await browser.get("/no/such/page"), await stranger.get("/no/such/page")
        assert found.status_code == lost.status_code == 404
        assert "My instances" in found.text
        assert ">Sign in</a>" in lost.text
        framed = await browser.get("/no/such/page", **{"Sec-Fetch-Dest": "iframe"})
        assert ">Sign in</a>" in framed.text
        assert (await browser.get("/no/such/page", Accept="application/json")).headers["content-type"] == "application/problem+json"


async def test_a_bootstrap_ticket_is_given_once_to_the_session_that_opened(world: World, ada: User, bob: User) -> None:
    world.edge.scheme = "https"
    async with world.browser(ada) as owner, world.browser(bob) as other:
        instance_id = await owner.create()
        await world.run(instance_id)
        path = f"/{instance_id}/.well-known/openclaw/browser-bootstrap"
        assert (await owner.get(path)).status_code == 403
        assert "#" not in (await owner.post(f"/instances/{instance_id}/open")).headers["location"]
        assert (await other.get(path)).status_code == 404
        assert (await owner.get(path, **{"Sec-Fetch-Site": "cross-site"})).status_code == 403
        given = await owner.get(path, **{"Sec-Fetch-Site": "same-origin"})
        assert given.json() == {"bootstrapToken": "ticket-1", "bootstrapProfile": "owner"}
        assert given.headers["cache-control"] == "no-store"
        assert given.headers["content-type"] == "application/json"
        assert (await owner.get(path)).status_code == 403


async def test_who_waits_for_a_machine_is_told_how_long_that_usually_takes(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        first = await browser.create()
        assert "has not started one on demand before" in (await browser.get(f"/instances/{first}")).text
        for number, seconds in enumerate((12.0, 21.0, 90.0)):
            await waited(world, first, generation=number + 1, seconds=seconds)
        await waited(world, first, generation=4, seconds=0.0)
        assert "usually takes about 25 seconds" in (await browser.get(f"/instances/{first}")).text
        await world.put(first, phase=Phase.PLACING, generation=2, machine_id=await world.add_machine(MachineState.ASSIGNED, first))
        assert "usually takes about 25 seconds" in (await browser.get(f"/instances/{first}")).text
        await world.put(first, generation=4)
        assert "No spare machine was free" not in (await browser.get(f"/instances/{first}")).text


async def waited(world: World, instance_id: str, *, generation: int, seconds: float) -> None:
    """A machine became free after half of these seconds, and the address answered after all of them."""
    start = world.clock.now() + generation
    times = {StepName.MACHINE: (start, start + seconds / 2), StepName.PROBE: (start + seconds / 2, start + seconds)}
    values = [
        {"instance_id": instance_id, "name": name, "generation": generation, "attempt": 1, "started_at": began, "ended_at": ended}
        for name, (began, ended) in times.items()
    ]
    async with world.store.database.write() as connection:
        await connection.execute(tables.steps.insert(), values)


@pytest.mark.parametrize("exports", [True, False], ids=["with a bucket", "without"])
async def test_on_aws_the_page_offers_what_works_there(world: World, ada: User, monkeypatch: pytest.MonkeyPatch, exports: bool) -> None:
    monkeypatch.setattr(FakeRestorePoints, "carries_archives", False)
    monkeypatch.setattr(FakeRestorePoints, "brings_archives", exports)
    monkeypatch.setattr(FakeRestorePoints, "exports_volumes", exports)
    async with world.browser(ada) as browser:
        instance_id = InstanceId(await browser.create())
        await world.run(instance_id)
        point = RestorePoint(RestorePointId("rp-22222222"), instance_id, 1.0, Cause.ASKED, PointState.READY, 1)
        await world.store.restore_points.add(point)
        page, listed = (await browser.get(f"/instances/{instance_id}")).text, (await browser.get("/")).text
    assert (f'/instances/{instance_id}/archive"' in page) == exports
    assert f"/restore-points/{point.id}/restore" in page
    assert f"/restore-points/{point.id}/archive" not in page
    assert ("make a new instance from it, and download that" in page) == exports
    assert ("/instances/bring" in listed) == exports
