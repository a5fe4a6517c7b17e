"""Tokens, passwords and roles are made only within minutes after the password was given."""

from __future__ import annotations

import re

import pytest

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.orphan import Orphan, OrphanState
from openclaw_hosted.services.accounts import CONFIRMED_SECONDS
from tests.integration.web.conftest import PAGE, PASSWORD, Browser, World
from tests.support.actors import acting


async def made_by(browser: Browser, path: str, **form: str) -> str | None:
    """The secret that a form makes, if it makes one."""
    shown = await browser.post(path, **form)
    found = re.search(r"ochs_[\w-]+|/(?:invite|reset)/[\w-]+", shown.text)
    return found[0] if found else None


@pytest.mark.parametrize("path", ["/account/tokens", "/admin/users/invite", "/admin/users/{id}/reset-link"])
async def test_a_form_that_gives_away_access_asks_for_the_password_again(world: World, admin: User, path: str) -> None:
    form = {"label": "Laptop", "email": "new@example.com", "role": "admin"}
    place = path.replace("{id}", admin.id)
    async with world.browser(admin) as browser:
        assert await made_by(browser, place, **form)
        world.clock.at += CONFIRMED_SECONDS
        asked = await browser.post(place, **form)
        assert asked.status_code == 403
        fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked.text))
        assert {name: fields[name] for name in form} == form
        assert f'action="{place}"' in asked.text
        wrong = await browser.post(place, confirm_password="wrong", **form)
        assert (wrong.status_code, "password is wrong" in wrong.text) == (403, True)
        again = form | {"email": "newer@example.com"}
        assert await made_by(browser, place, confirm_password=PASSWORD, **again)
        assert await made_by(browser, place, **(form | {"email": "newest@example.com"}))


async def test_guessing_the_password_there_is_slowed_as_at_sign_in(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        world.clock.at += CONFIRMED_SECONDS
        for _ in range(8):
            await browser.post("/account/tokens", label="a", confirm_password="wrong")
        slowed = await browser.post("/account/tokens", label="a", confirm_password=PASSWORD)
        assert (slowed.status_code, slowed.headers["retry-after"]) == (429, "300")


async def test_the_confirmation_is_of_one_session(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        world.clock.at += CONFIRMED_SECONDS
        async with world.browser(ada) as other:
            assert await made_by(other, "/account/tokens", label="a")
        assert await made_by(browser, "/account/tokens", label="a") is None


@pytest.mark.parametrize("path", ["/tokens", "/users/invite", "/users/{id}/reset-link"])
async def test_the_api_asks_a_session_the_same_and_a_token_not(world: World, admin: User, path: str) -> None:
    place, body = path.replace("{id}", admin.id), {"label": "a"} if path == "/tokens" else {"email": "new@example.com"}
    async with world.browser(admin) as browser, world.api(admin) as api:
        world.clock.at += CONFIRMED_SECONDS
        refused = await browser.client.post(f"/api/v1{place}", json=body, headers={"X-CSRF-Token": browser.csrf, "Accept": "*/*"})
        assert refused.status_code == 403
        assert "password" in refused.json()["detail"]
        assert (await api.post(place, json=body)).status_code == 201


async def test_another_role_asks_for_the_password_again(world: World, admin: User, ada: User) -> None:
    async with world.browser(admin) as browser:
        world.clock.at += CONFIRMED_SECONDS
        place = f"/admin/users/{ada.id}/role"
        asked = await browser.post(place, role="admin")
        assert (asked.status_code, f'action="{place}"' in asked.text) == (403, True)
        assert (await browser.post(place, role="admin", confirm_password=PASSWORD)).status_code == 303
        world.clock.at += CONFIRMED_SECONDS
        refused = await browser.client.post(f"/api/v1/users/{ada.id}/role", json={"role": "user"}, headers={"X-CSRF-Token": browser.csrf})
        assert refused.status_code == 403


async def test_removing_what_may_hold_data_asks_for_the_password_again(world: World, admin: User) -> None:
    name, place = "volume vol-22222222", "/admin/orphans/remove"
    await world.store.platform.keep_orphans([Orphan(name, 1.0, OrphanState.QUARANTINED)], (), ())

    async def state() -> OrphanState:
        (orphan,) = await world.store.platform.orphans()
        return orphan.state

    async with world.browser(admin) as browser:
        world.clock.at += CONFIRMED_SECONDS
        headers = {"X-CSRF-Token": browser.csrf}
        assert (await browser.client.post("/api/v1/orphans/remove", json={"name": name}, headers=headers)).status_code == 403
        assert (await browser.post(place, name=name)).status_code == 403
        assert await state() is OrphanState.QUARANTINED
        assert (await browser.post(place, name=name, confirm_password=PASSWORD)).status_code == 303
    assert await state() is OrphanState.RELEASED


async def test_a_wrong_present_password_leaves_no_session_behind(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        form = {"current_password": PASSWORD, "password": "quite another one", "password_again": "a third"}
        assert (await browser.post("/account/password", **form)).status_code == 422
        assert (await browser.post("/account/password", **{**form, "password": "short", "password_again": "short"})).status_code == 422
        assert len(await world.kit.accounts.sessions(acting(ada))) == 1


@pytest.mark.parametrize("header", ["Service-Worker-Navigation-Preload", "Service-Worker"])
async def test_no_page_is_given_to_a_service_worker(world: World, ada: User, header: str) -> None:
    async with world.browser(ada) as browser:
        instance_id = await browser.create()
        for path in ("/", "/account", f"/instances/{instance_id}", "/sign-in", "/static/app.js", "/nothing"):
            answer = await browser.get(path, **{header: "true", "Sec-Fetch-Dest": "document"})
            assert (answer.status_code, browser.csrf in answer.text, ada.email in answer.text) == (403, False, False), path
            assert ("clear-site-data" in answer.headers) is ("Preload" in header)
        at_edge = await browser.get(f"/{instance_id}/", **{header: "true", "Sec-Fetch-Dest": "document"})
        assert (browser.csrf in at_edge.text, "clear-site-data" in at_edge.headers) == (False, False)
    async with world.client(**PAGE) as client:
        assert "clear-site-data" not in (await client.get("/sign-in")).headers
