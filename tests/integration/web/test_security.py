"""Who may do what: forms, origins, cookies, headers, and other users' things."""

from __future__ import annotations

import re

import pytest
from fastapi.routing import APIRoute

from openclaw_hosted.domain.account import User
from openclaw_hosted.web import pages_account, pages_admin, pages_instance, pages_instances
from tests.integration.web.conftest import PAGE, PASSWORD, World


async def test_a_form_without_the_sessions_token_is_refused(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        for token in ("", "0" * 64):
            answer = await browser.client.post("/instances", data={"name": "A", "csrf_token": token})
            assert answer.status_code == 403
        assert not await world.store.instances.list_all()


async def test_every_form_route_wants_the_token(world: World, admin: User) -> None:
    async with world.browser(admin) as browser:
        instance_id = await browser.create()
        modules = (pages_account, pages_admin, pages_instance, pages_instances)
        routes = [route for module in modules for route in module.router.routes if isinstance(route, APIRoute)]
        own = [route.path for route in routes if "POST" in (route.methods or ()) and not re.match(r"/(sign-in|\{kind:)", route.path)]
        assert len(own) > 15
        for path in own:
            filled = path.replace("{instance_id}", instance_id).replace("{user_id}", admin.id)
            answer = await browser.client.post(re.sub(r"\{\w+\}", "pause", filled))
            assert answer.status_code == 403, path


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}]
)
async def test_a_form_from_another_site_is_refused(world: World, ada: User, headers: dict[str, str]) -> None:
    async with world.browser(ada) as browser, world.client(**PAGE) as stranger:
        assert (await browser.post("/instances", headers, name="A")).status_code == 403
        form = {"email": ada.email, "password": PASSWORD}
        assert (await stranger.post("/sign-in", data=form, headers=headers)).status_code == 403


@pytest.mark.parametrize("destination", ["empty", "iframe", "script", "object"])
async def test_scripts_and_frames_get_no_page_with_a_form(world: World, ada: User, destination: str) -> None:
    async with world.browser(ada) as browser:
        instance_id = await browser.create()
        for path in ("/", "/account", f"/instances/{instance_id}", "/instances/new"):
            answer = await browser.get(path, **{"Sec-Fetch-Dest": destination, "Sec-Fetch-Site": "same-origin"})
            assert answer.status_code == 403
        edge = await browser.get(f"/{instance_id}/", **{"Sec-Fetch-Dest": destination})
        assert browser.csrf not in edge.text


async def test_an_error_page_holds_no_token_for_a_script(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        for headers in ({"Sec-Fetch-Dest": "empty"}, {"Sec-Fetch-Dest": "iframe"}):
            answer = await browser.client.post("/instances", data={"name": "A"}, headers=headers)
            assert answer.status_code == 403
            assert browser.csrf not in answer.text
            assert browser.csrf not in (await browser.get("/nothing", **headers)).text


async def test_a_cookie_alone_does_not_open_the_api(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        assert (await browser.get("/api/v1/me")).status_code == 403
        assert (await browser.get("/api/v1/me", **{"X-CSRF-Token": browser.csrf})).status_code == 200


async def test_the_live_part_of_a_page_wants_the_pages_key(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        instance_id = await browser.create()
        assert (await browser.get(f"/instances/{instance_id}/live")).status_code == 403


async def test_the_cookie_is_strict(ada: User, world: World) -> None:
    secure = World(world.store, secure=True)
    for origin, attributes in ((world, {"ochs="}), (secure, {"__Host-ochs=", "Secure"})):
        async with origin.client(**PAGE) as client:
            answer = await client.post("/sign-in", data={"email": ada.email, "password": PASSWORD})
        cookie = answer.headers["set-cookie"]
        for part in attributes | {"HttpOnly", "SameSite=lax", "Path=/"}:
            assert part in cookie
        assert ("Strict-Transport-Security" in answer.headers) is origin.secure


@pytest.mark.parametrize("path", ["/sign-in", "/api/v1/me", "/nothing", "/static/app.css", "/healthz", "/oc-22222222/"])
async def test_every_answer_carries_the_security_headers(world: World, path: str) -> None:
    async with world.client(**PAGE) as client:
        headers = (await client.get(path)).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"]


async def test_no_page_has_an_inline_script_or_style(world: World, admin: User) -> None:
    async with world.browser(admin) as browser:
        instance_id = await browser.create()
        paths = ("/", "/account", "/instances/new", f"/instances/{instance_id}", "/admin", "/admin/users", "/nothing", f"/{instance_id}/")
        for path in paths:
            page = (await browser.get(path)).text
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", page), path


async def test_another_users_instance_is_404_everywhere(world: World, ada: User, bob: User) -> None:
    async with world.browser(ada) as owner, world.browser(bob) as browser, world.api(bob) as api:
        instance_id = await owner.create()
        await world.run(instance_id)
        for tail in ("", "/settings", "/logs", "/senders"):
            assert (await browser.get(f"/instances/{instance_id}{tail}")).status_code == 404
        for tail in ("open", "restart", "restore", "delete", "settings", "settings/test-key", "senders", "senders/a/approve"):
            assert (await browser.post(f"/instances/{instance_id}/{tail}", name="A", typed_name="My assistant")).status_code == 404
        for tail in ("", "/events", "/history", "/logs", "/restore-points", "/senders"):
            assert (await api.get(f"/instances/{instance_id}{tail}")).status_code == 404
        for tail in ("/open", "/restart", "/restore", "/senders/a/approve", "/senders/a/dismiss"):
            assert (await api.post(f"/instances/{instance_id}{tail}")).status_code == 404
        assert (await api.patch(f"/instances/{instance_id}", json={"name": "Mine"})).status_code == 404
        assert (await api.delete(f"/instances/{instance_id}")).status_code == 404
        assert (await api.get("/instances")).json() == {"items": [], "next": None}


async def test_operators_routes_are_for_admins_only(world: World, ada: User) -> None:
    async with world.browser(ada) as browser, world.api(ada) as api:
        for path in (
            "/admin",
            "/admin/pool",
            "/admin/instances",
            "/admin/users",
            "/admin/events",
            "/admin/events.csv",
            "/admin/runbooks/crash-loops",
        ):
            assert (await browser.get(path)).status_code == 403
        for path in (
            "/admin/pool/pause",
            "/admin/users/invite",
            f"/admin/users/{ada.id}/disable",
            f"/admin/users/{ada.id}/role",
            "/admin/machines/x/retire",
        ):
            assert (await browser.post(path)).status_code == 403
        for path in ("/machines", "/machines/x", "/pool", "/users", "/events"):
            assert (await api.get(path)).status_code == 403
        for path in ("/pool/pause", "/pool/resume", "/pool/replenish", f"/users/{ada.id}/disable", f"/users/{ada.id}/reset-link"):
            assert (await api.post(path)).status_code == 403
        assert (await api.patch("/pool", json={"spares": 1})).status_code == 403
        assert (await api.post(f"/users/{ada.id}/role", json={"role": "admin"})).status_code == 403
        assert (await api.post("/users/invite", json={"email": "x@example.com"})).status_code == 403
