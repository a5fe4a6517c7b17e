"""The platform by whatever name it is reached: origins, cookies beside another platform's, and HEAD."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.origins import Addresses, origin_of
from openclaw_hosted.settings import SettingsError, load_settings
from openclaw_hosted.web import WebOptions, create_app
from tests.integration.web.conftest import ORIGIN, PAGE, PASSWORD, World


def reached(world: World, public_url: str = ORIGIN, mark: str = "", **headers: str) -> httpx.AsyncClient:
    """A client of an application with these options."""

    async def ready() -> dict[str, bool]:
        return {}

    secure = public_url.startswith("https:")
    app = create_app(world.kit, WebOptions(Addresses(str(origin_of(public_url))), secure, None, "1.2.3", 7, ready, mark=mark))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=public_url, headers={**PAGE, **headers})


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://claw.example.com", 303),
        ("https://claw.example.com:443", 303),
        ("http://claw.example.com", 403),
        ("https://claw.example.com:8443", 403),
        ("null", 403),
    ],
)
async def test_a_form_is_taken_behind_a_proxy_that_puts_another_host(world: World, ada: User, origin: str, status: int) -> None:
    async with reached(world, "https://Claw.Example.com", Host="10.0.0.7:8080", Origin=origin) as client:
        answer = await client.post("/sign-in", data={"email": ada.email, "password": PASSWORD})
        assert answer.status_code == status


LAN = "http://192.168.1.20:8080"
"""By which the computer of `ONE_COMPUTER` is reached beside localhost."""
ONE_COMPUTER = Addresses(ORIGIN, ("http://*:8080",), is_chosen=False, is_own="192.168.1.20".__eq__)


async def test_open_stays_at_the_address_that_was_used(world: World, ada: User) -> None:
    world.reach_at(ONE_COMPUTER, is_one_place=True)
    async with world.browser(ada) as browser:
        instance_id = await browser.create()
        await world.run(instance_id)
        at_lan = {"Host": "192.168.1.20:8080", "Origin": LAN}
        page = await browser.get(f"/instances/{instance_id}", **at_lan)
        assert f'<code class="url" data-copy>{LAN}/{instance_id}/</code>' in page.text
        answer = await browser.post(f"/instances/{instance_id}/open", at_lan)
        assert (answer.status_code, answer.headers["location"].partition("#")[0]) == (303, f"/{instance_id}/")


async def test_an_instance_with_an_address_of_its_own_is_opened_there(world: World, ada: User) -> None:
    world.reach_at(ONE_COMPUTER)
    async with world.browser(ada) as browser:
        instance_id = await browser.create()
        await world.run(instance_id)
        answer = await browser.post(f"/instances/{instance_id}/open")
        assert answer.headers["location"].startswith(f"{ORIGIN}/{instance_id}/#")


@pytest.mark.parametrize(
    ("host", "start"), [("192.168.1.20:8080", LAN), ("evil.example:8080", ORIGIN), ("192.168.1.20", ORIGIN), ("a.example/@", ORIGIN)]
)
async def test_a_link_names_no_host_that_the_platform_does_not_know(world: World, admin: User, host: str, start: str) -> None:
    world.reach_at(ONE_COMPUTER)
    async with world.browser(admin) as browser:
        page = await browser.post("/admin/users/invite", {"Host": host}, email="new@example.com", role="user")
    assert f"{start}/invite/" in page.text
    assert "evil.example" not in page.text
    async with world.api(admin) as api:
        made = await api.post("/users/invite", json={"email": "other@example.com"}, headers={"Host": host})
    assert made.json()["url"].startswith(f"{start}/invite/")


async def test_a_link_names_the_address_that_the_operator_chose(world: World, admin: User) -> None:
    world.reach_at(replace(ONE_COMPUTER, is_chosen=True))
    async with world.browser(admin) as browser:
        page = await browser.post("/admin/users/invite", {"Host": "192.168.1.20:8080"}, email="new@example.com", role="user")
    assert f"{ORIGIN}/invite/" in page.text


async def test_who_comes_by_an_unknown_address_is_told_the_right_one_before_they_sign_in(world: World, ada: User) -> None:
    form = {"email": ada.email, "password": PASSWORD}
    async with world.client(Host="evil.example:8080", **PAGE) as client:
        page = await client.get("/sign-in")
        assert f'data-unless-at="{ORIGIN}"' in page.text
        assert "evil.example" not in page.text
        refused = await client.post("/sign-in", data=form, headers={"Origin": "http://evil.example:8080", "Sec-Fetch-Site": "same-origin"})
        assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)
        assert f"Open {ORIGIN} in its place" in refused.text
    async with world.client(**PAGE) as client:
        assert "data-unless-at" not in (await client.get("/sign-in")).text


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Claw.Example.com/", "https://claw.example.com"),
        ("https://claw.example.com:443", "https://claw.example.com"),
        ("http://Claw.example.com.:8080", "http://claw.example.com:8080"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_the_address_is_kept_as_browsers_write_it(given: str, kept: str) -> None:
    assert load_settings({"PUBLIC_URL": given}).address == kept


def test_an_origin_for_each_instance_is_not_promised_where_it_is_not_given() -> None:
    with pytest.raises(SettingsError, match="ROUTING"):
        load_settings({"ROUTING": "host"})


async def test_two_platforms_on_one_host_do_not_sign_each_other_out(world: World, ada: User) -> None:
    form = {"email": ada.email, "password": PASSWORD}
    async with reached(world, mark="ab12") as one, reached(world, mark="cd34") as other:
        other._cookies = one._cookies
        for client in (one, other):
            assert (await client.post("/sign-in", data=form)).status_code == 303
        assert {cookie.name for cookie in one.cookies.jar} == {"ochs-ab12", "ochs-cd34"}
        for client in (one, other):
            assert (await client.get("/account")).status_code == 200


async def test_a_session_from_before_moves_to_the_new_name(world: World, ada: User) -> None:
    async with world.browser(ada) as browser, reached(world, mark="ab12") as client:
        before = browser.client.cookies["ochs"]
        client.cookies.set("ochs", before, domain="localhost.local", path="/")
        answer = await client.get("/account")
        assert (answer.status_code, client.cookies["ochs-ab12"]) == (200, before)
        assert any(cookie.startswith('ochs="";') for cookie in answer.headers.get_list("set-cookie"))
        client.cookies.delete("ochs")
        again = await client.get("/account")
        assert (again.status_code, "set-cookie" in again.headers) == (200, False)


async def test_the_cookie_of_a_platform_beside_this_one_stays(world: World) -> None:
    async with reached(world, mark="ab12") as client:
        client.cookies.set("ochs", "of-another-platform", domain="localhost.local", path="/")
        answer = await client.get("/sign-in")
        assert (answer.status_code, "set-cookie" in answer.headers) == (200, False)


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/", "/sign-in", "/account", "/static/app.css", "/nothing", "/api/v1/me", "/instances/new"]
)
async def test_whatever_answers_get_answers_head(world: World, ada: User, path: str) -> None:
    async with world.browser(ada) as browser:
        shown, head = await browser.get(path), await browser.client.head(path)
    assert (head.status_code, head.content) == (shown.status_code, b"")
    assert head.headers.get("content-length") == shown.headers.get("content-length")


async def test_head_of_a_stream_ends(world: World, ada: User) -> None:
    async with world.browser(ada) as browser, world.api(ada) as api:
        instance_id = await browser.create()
        answer = await api.head(f"/instances/{instance_id}/events")
        assert (answer.status_code, answer.content) == (200, b"")
