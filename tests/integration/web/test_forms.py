"""Forms of instances: where they start, what they ask a provider, and what they say after they were sent."""

from __future__ import annotations

import re
from typing import Final

import pytest

from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.instance import DesiredState, Phase
from openclaw_hosted.domain.usage import DayOfUse
from tests.integration.web.conftest import PASSWORD, SECRET_KEY, World

PART: Final = {"HX-Request": "true"}


def field(page: str, name: str) -> str:
    """The value of a field."""
    found = re.search(rf'<input[^>]* name="{name}"[^>]*value="([^"]*)"', page)
    assert found is not None
    return found[1]


async def test_a_new_instance_has_a_name_that_is_not_taken(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        assert field((await browser.get("/instances/new")).text, "name") == "Assistant"
        await browser.create("Assistant")
        page = (await browser.get("/instances/new")).text
        assert field(page, "name") == "Assistant 2"
        assert re.search(r'name="name"[^>]* autofocus', page)


async def test_a_starting_point_fills_the_form_and_can_be_created_as_it_is(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        page = (await browser.get("/instances/new?start=own-model")).text
        assert field(page, "base_url") == "http://localhost:11434/v1"
        assert re.search(r'value="compatible" checked', page)
        telegram = (await browser.get("/instances/new?start=telegram")).text
        assert re.search(r'value="telegram" checked', telegram)
        unknown = await browser.get("/instances/new?start=%3Cb%3E")
        assert re.search(r'value="echo" checked', unknown.text)
        assert "<b>" not in unknown.text
        assert await browser.create(field(unknown.text, "name"))


@pytest.mark.parametrize("where", ["/instances/new", "/instances/{id}/settings"])
async def test_a_key_lists_the_models_and_is_not_shown_again(world: World, ada: User, where: str) -> None:
    async with world.browser(ada) as browser:
        path = where.format(id=await browser.create()) + "/models"
        form = {"name": "Mine", "provider": "openai", "modelApiKey": SECRET_KEY}
        part, page = await browser.post(path, PART, **form), await browser.post(path, **form)
        for answer in (part, page):
            assert '<option value="claude-large">' in answer.text
            assert SECRET_KEY not in answer.text
        assert "<form" not in part.text
        assert field(page.text, "name") == "Mine"
        assert "Paste the key first" in (await browser.post(path, PART, provider="openai")).text
        assert (await browser.client.post(path, data=form)).status_code == 403, "a form without its token"


@pytest.mark.parametrize("where", ["/instances", "/instances/{id}/settings"])
async def test_problems_come_back_without_a_new_page(world: World, ada: User, where: str) -> None:
    async with world.browser(ada) as browser:
        path = where.format(id=await browser.create())
        answer = await browser.post(path, PART, name="", provider="anthropic", modelApiKey=SECRET_KEY)
        assert answer.status_code == 422
        assert re.search(r'id="name-error" hx-swap-oob="true">Give it a name', answer.text)
        assert re.search(r'id="modelApiKey-error" hx-swap-oob="true"></p>', answer.text)
        assert "<form" not in answer.text
        assert SECRET_KEY not in answer.text
        done = await browser.post(path, PART, name="Right", provider="anthropic", modelApiKey=SECRET_KEY)
        assert done.status_code == 204
        assert done.headers["HX-Redirect"].startswith("/instances/oc-")


async def test_what_was_saved_is_said_once(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        instance_id = await browser.create()
        saved = await browser.post(f"/instances/{instance_id}/settings", name="Renamed")
        assert "Saved." in (await browser.get(saved.headers["location"])).text
        assert "Saved." not in (await browser.get(f"/instances/{instance_id}")).text
        assert "<i>" not in (await browser.get(f"/instances/{instance_id}?done=<i>")).text


async def test_a_delete_leads_home_where_it_can_be_undone(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        instance_id = await browser.create("Old helper")
        left = await browser.post(f"/instances/{instance_id}/delete", typed_name="Old helper")
        home = (await browser.get(left.headers["location"])).text
        assert "You can undo this as soon as its machine is shut down" in home
        assert f'action="/instances/{instance_id}/restore"' not in home
        until = world.clock.now() + 7 * 86400
        await world.put(instance_id, phase=Phase.DELETED, desired=DesiredState.DELETED, purge_after=until)
        assert f'action="/instances/{instance_id}/restore"' in (await browser.get("/")).text
        undone = await browser.post(f"/instances/{instance_id}/restore")
        assert "The deletion was undone" in (await browser.get(undone.headers["location"])).text


async def test_only_operators_see_that_machines_are_not_isolated_and_can_put_it_away(world: World, admin: User, ada: User) -> None:
    async with world.browser(ada) as browser:
        assert "no isolation" not in (await browser.get("/instances/new")).text
    async with world.browser(admin) as browser:
        assert "no isolation" in (await browser.get("/instances/new")).text
        await browser.post("/account/isolation-notice")
        assert "no isolation" not in (await browser.get("/instances/new")).text
        assert "no isolation" in (await browser.get("/admin")).text


async def test_invitations_are_listed_without_their_links_and_revoked(world: World, admin: User, ada: User) -> None:
    async with world.browser(admin) as browser, world.client(Accept="text/html") as guest:
        shown = await browser.post("/admin/users/invite", email="new@example.com", role=Role.USER)
        secret = re.search(r"/invite/([\w-]+)", shown.text)
        assert secret is not None
        listed = (await browser.get("/admin/invitations")).text
        assert "new@example.com" in listed
        assert secret[1] not in listed
        path = re.search(r"/admin/invitations/\w+/revoke", listed)
        assert path is not None
        async with world.browser(ada) as other:
            assert (await other.get("/admin/invitations")).status_code == 403
            assert (await other.post(path[0])).status_code == 403
        assert (await browser.post(path[0])).status_code == 303
        assert "new@example.com" not in (await browser.get("/admin/invitations")).text
        assert (await guest.get(f"/invite/{secret[1]}")).status_code == 403
        assert (await browser.post(path[0])).status_code == 404
        form = {"password": PASSWORD, "password_again": PASSWORD}
        assert (await guest.post(f"/invite/{secret[1]}", data=form)).status_code == 403


async def test_the_page_shows_what_openclaw_counted(world: World, ada: User, bob: User) -> None:
    async with world.browser(ada) as browser, world.browser(bob) as other:
        instance_id = await browser.create()
        path = f"/instances/{instance_id}/usage"
        assert "Its state is" in (await browser.post(path)).text
        await world.run(instance_id)
        assert "counted no tokens" in (await browser.post(path)).text
        world.edge.used = [DayOfUse("2026-11-29", 400, 0.0), DayOfUse("2026-11-30", 1200, 0.25)]
        page = (await browser.post(path)).text
        assert "1,600 in 2 days, 1,200 today" in page
        assert "about $0.25" in page
        assert (await other.post(path)).status_code == 404


async def test_an_instance_whose_machine_is_gone_says_that_it_is_being_replaced(world: World, ada: User) -> None:
    async with world.browser(ada) as browser, world.api(ada) as api:
        instance_id = await browser.create()
        await world.run(instance_id)
        world.edge.has_lost_its_machine = True
        for page in (await browser.post(f"/instances/{instance_id}/usage"), await browser.get(f"/instances/{instance_id}/logs")):
            assert "Its machine is being replaced. Try again in a moment." in page.text
            assert "i-0123" not in page.text
        answers = [await api.get(f"/instances/{instance_id}/{part}") for part in ("logs", "senders")]
        answers.append(await browser.post(f"/instances/{instance_id}/open"))
        assert [answer.status_code for answer in answers] == [503, 503, 503]
        assert "i-0123" not in "".join(answer.text for answer in answers)
