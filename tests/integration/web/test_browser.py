"""Pages in Chromium: nothing serious for axe-core, nothing wider than a phone, and the live parts live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright, expect

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.alarms import AlarmState
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, volume_of
from openclaw_hosted.domain.orphan import Orphan, OrphanState
from openclaw_hosted.ports.volumes import LargeVolume
from tests.integration.web.conftest import BOT_TOKEN, PASSWORD, World, a_sender, served
from tests.integration.web.test_console import keep_some_history
from tests.support.actors import acting
from tests.support.browser import CHROMIUM, CHROMIUM_FLAGS, NO_CHROMIUM, visit_from_loop
from tests.support.waiting import PATIENCE_MS

pytestmark = pytest.mark.browser


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    if not CHROMIUM:
        pytest.skip(NO_CHROMIUM)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        await browser.close()


async def sign_in(page: Page, address: str, user: User) -> None:
    await visit_from_loop(page, f"{address}/sign-in")
    await page.get_by_label("E-mail").fill(user.email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page).to_have_url(f"{address}/")


async def make_paths(world: World, admin: User) -> list[str]:
    """Pages in all their states."""
    async with world.browser(admin) as browser:
        ids = [await browser.create("Running", channels="telegram", telegramBotToken=BOT_TOKEN)]
        ids += [await browser.create(name) for name in ("Failed " + "x" * 50, "Deleted", "Waiting")]
    await world.run(ids[0])
    await world.put(ids[1], phase=Phase.FAILED, last_error="OpenClaw refused " + "w" * 80)
    await world.put(ids[2], phase=Phase.DELETED, desired="deleted", purge_after=world.clock.now() + 86400)
    world.edge.senders = {name: a_sender(name, name) for name in ("Ada @ada", "<b>" + "x" * 77)}
    await world.add_machine(MachineState.AVAILABLE)
    kept = [
        Orphan(f"{kind} vol-{'2' * 8}", world.clock.now(), state) for kind, state in zip(("volume", "secret"), OrphanState, strict=False)
    ]
    await world.store.platform.keep_orphans(kept, (), ())
    world.edge.large = [LargeVolume(volume_of(InstanceId(ids[0])), InstanceId(ids[0]), 41_200_000_000, 800_000_000)]
    await world.kit.operations.pause_pool(acting(admin))
    await keep_some_history(world)
    await world.store.alarms.save([AlarmState("pool-depleted", began_at=world.clock.now(), value=0.0)], ())
    invite = await world.kit.accounts.invite(acting(admin), "new@example.com")
    places = [f"/instances/{instance_id}" for instance_id in ids] + [f"/{instance_id}/" for instance_id in ids]
    fixed = [
        "/",
        "/?done=saved",
        "/instances/new",
        "/instances/new?start=own-model",
        "/instances/bring",
        "/account",
        "/api/docs",
        "/admin",
        "/admin/pool",
        "/admin/instances",
        "/admin/users",
        "/admin/events",
        "/nothing",
    ]
    return [
        *fixed,
        *places,
        f"/instances/{ids[0]}/settings",
        f"/instances/{ids[0]}/logs",
        f"/instances/{ids[0]}/senders",
        f"/invite/{invite}",
        f"/admin/instances/{ids[1]}",
        f"/admin/machines/{(await world.row(ids[0])).machine_id}",
        "/admin/runbooks/pool-depleted",
        f"/admin/several?action=hold&id={ids[0]}&id={ids[1]}",
    ]


async def findings(page: Page) -> list[str]:
    violations = (await Axe().run(page)).response["violations"]
    return [f"{found['id']}: {found['nodes'][0]['html'][:120]}" for found in violations if found["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_has_a_serious_finding_or_overflows_a_phone(world: World, admin: User, scheme: str) -> None:
    paths = await make_paths(world, admin)
    wrong: dict[str, list[str]] = {}
    async with served(world) as address, chromium() as browser:
        context = await browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark" if scheme == "dark" else "light")
        page = await context.new_page()
        await visit_from_loop(page, f"{address}/sign-in")
        wrong["/sign-in"] = await findings(page)
        await sign_in(page, address, admin)
        for path in paths:
            await visit_from_loop(page, address + path)
            wrong[path] = await findings(page)
            if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wrong[path].append("overflows")
        await context.close()
    assert {path: found for path, found in wrong.items() if found} == {}


async def test_the_overview_draws_its_plots_and_follows_what_is_now(world: World, admin: User) -> None:
    await keep_some_history(world)
    async with served(world) as address, chromium() as browser:
        page = await browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        await sign_in(page, address, admin)
        await visit_from_loop(page, f"{address}/admin?range=1h")
        await expect(page.locator("[data-name=pool] canvas")).to_be_visible()
        await expect(page.get_by_text("No spare is ready")).to_be_visible()
        await world.kit.operations.pause_pool(acting(admin))
        await expect(page.get_by_text("An operator paused the pool")).to_be_visible(timeout=30_000)
        assert problems == []


async def test_an_instances_page_follows_it_live(world: World, ada: User) -> None:
    async with served(world) as address, chromium() as browser:
        page = await browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        await sign_in(page, address, ada)
        await page.get_by_role("link", name="Create your first instance").click()
        await page.get_by_label("Name", exact=True).fill("First look")
        await page.get_by_role("button", name="Create instance").click()
        await expect(page.get_by_text("Waiting for a machine")).to_be_visible()
        await expect(page.get_by_role("button", name="Open")).to_be_disabled()
        await world.run(page.url.rsplit("/", 1)[1])
        await expect(page.get_by_role("button", name="Open")).to_be_enabled(timeout=PATIENCE_MS)
        await expect(page.get_by_text("A spare machine was free.")).to_be_visible()
        assert problems == []


async def test_a_sender_is_approved_without_leaving_the_page(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        instance_id = await browser.create(channels="telegram", telegramBotToken=BOT_TOKEN)
    await world.run(instance_id)
    world.edge.senders = {"r1": a_sender("r1", "Bea <i>")}
    async with served(world) as address, chromium() as browser:
        page = await browser.new_page()
        await sign_in(page, address, ada)
        await visit_from_loop(page, f"{address}/instances/{instance_id}")
        await page.get_by_role("button", name="Approve Bea <i>").click()
        await expect(page.get_by_text("Approved: they have been told.")).to_be_visible()
        await expect(page.get_by_role("button", name="Approve")).to_have_count(0)
        assert page.url == f"{address}/instances/{instance_id}"
    assert world.edge.settled == [("r1", True)]


async def test_a_key_is_tried_without_leaving_the_page(world: World, ada: User) -> None:
    async with served(world) as address, chromium() as browser:
        page = await browser.new_page()
        await sign_in(page, address, ada)
        await visit_from_loop(page, f"{address}/instances/new")
        await page.get_by_label("Name", exact=True).fill("First look")
        await page.get_by_role("radio", name="OpenAI GPT").check()
        await page.get_by_label("API key").fill("sk-something")
        await page.get_by_role("button", name="Test this key").click()
        await expect(page.get_by_text("The provider takes this key.")).to_be_visible()
        await expect(page.get_by_label("API key")).to_have_value("sk-something")


async def test_what_was_typed_stays_after_an_error(world: World, ada: User) -> None:
    async with served(world) as address, chromium() as browser:
        page = await browser.new_page()
        await sign_in(page, address, ada)
        await visit_from_loop(page, f"{address}/instances/new")
        await expect(page.get_by_label("Name", exact=True)).to_be_focused()
        await expect(page.get_by_role("button", name="Test this key")).to_be_hidden()
        await page.get_by_role("radio", name="Anthropic").check()
        await expect(page.get_by_role("button", name="List models")).to_be_hidden()
        await page.get_by_label("API key").fill("sk-right")
        await page.get_by_role("button", name="List models").click()
        await expect(page.get_by_text("2 models found")).to_be_visible()
        await page.locator("#model").fill("two words")
        await page.get_by_role("button", name="Create instance").click()
        await expect(page.get_by_text("A model id is one word")).to_be_visible()
        await expect(page.get_by_label("API key")).to_have_value("sk-right")
        await expect(page.locator("#model")).to_be_focused()
        assert page.url == f"{address}/instances/new"
        await page.locator("#model").fill("claude-large")
        await page.get_by_role("button", name="Create instance").click()
        await expect(page.get_by_text("Waiting for a machine")).to_be_visible()


async def test_a_token_is_copied_and_what_was_done_is_said_once(world: World, ada: User) -> None:
    async with served(world) as address, chromium() as browser:
        context = await browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        page = await context.new_page()
        await sign_in(page, address, ada)
        await visit_from_loop(page, f"{address}/account")
        await page.get_by_label("What it is for").fill("Laptop")
        await page.get_by_role("button", name="Create token").click()
        token = await page.get_by_label("The new token").input_value()
        await page.get_by_role("button", name="Copy").click()
        await expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert await page.evaluate("navigator.clipboard.readText()") == token
        await page.get_by_role("button", name="Revoke the token Laptop").click()
        await expect(page.get_by_text("The token was revoked.")).to_be_visible()
        assert page.url == f"{address}/account#tokens"
        await page.reload()
        await expect(page.get_by_text("The token was revoked.")).to_have_count(0)


async def test_a_script_on_the_same_origin_gets_neither_token_nor_data(world: World, ada: User) -> None:
    async with served(world) as address, chromium() as browser:
        page = await browser.new_page()
        await sign_in(page, address, ada)
        await visit_from_loop(page, f"{address}/static/app.css")
        for path in ("/account", "/", "/api/v1/me", "/nothing"):
            text = await page.evaluate("path => fetch(path, {headers: {Accept: 'text/html'}}).then(answer => answer.text())", path)
            assert "csrf_token" not in text
            assert ada.email not in text
