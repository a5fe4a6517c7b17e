"""Many tabs of one browser, in Chromium: each loads and follows its instance, and no more than one of them holds a connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from openclaw_hosted.adapters.local.edge.programs import LocalEdge
from openclaw_hosted.adapters.local.edge.tls import EdgeTls
from openclaw_hosted.datadir import prepare
from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.origins import Addresses
from openclaw_hosted.server import WebPlace, serving
from tests.integration.web.conftest import World, served
from tests.integration.web.test_browser import chromium, sign_in
from tests.support.browser import visit_from_loop
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_MS, until

pytestmark = pytest.mark.browser

TABS = 8
HIDE = """hidden => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


async def waiting_instance(world: World, user: User) -> str:
    async with world.browser(user) as browser:
        return await browser.create()


async def open_tabs(browser: Browser, address: str, user: User, instance_id: str, count: int = TABS) -> list[Page]:
    """Tabs of one person's browser, each with the instance's page."""
    context = await browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(PATIENCE_MS)
    first = await context.new_page()
    await sign_in(first, address, user)
    tabs = [first, *[await context.new_page() for _ in range(count - 1)]]
    for tab in tabs:
        await visit_from_loop(tab, f"{address}/instances/{instance_id}")
        await expect(tab.get_by_text("Waiting for a machine")).to_be_visible()
    return tabs


async def see_it_run(world: World, tabs: list[Page], instance_id: str) -> None:
    await world.run(instance_id)
    for tab in tabs:
        await expect(tab.get_by_text("A spare machine was free.")).to_be_visible(timeout=PATIENCE_MS)


def streams(world: World, user: User) -> int:
    """How many live views the user has open."""
    return int(world.app.state.web.streams[user.id])


async def test_eight_tabs_load_and_follow_over_plain_http(world: World, ada: User) -> None:
    instance_id = await waiting_instance(world, ada)
    async with served(world) as address, chromium() as browser:
        tabs = await open_tabs(browser, address, ada, instance_id)
        assert streams(world, ada) <= 1
        await see_it_run(world, tabs, instance_id)


async def test_a_hidden_tab_hands_its_stream_to_one_that_is_seen(world: World, ada: User) -> None:
    instance_id = await waiting_instance(world, ada)
    async with served(world) as address, chromium() as browser:
        first, second = await open_tabs(browser, address, ada, instance_id, 2)
        await until(lambda: streams(world, ada) == 1)
        await first.evaluate(HIDE, True)
        await second.evaluate(HIDE, True)
        await until(lambda: streams(world, ada) == 0)
        await world.put(instance_id, phase=Phase.PLACING)
        await first.evaluate(HIDE, False)
        await expect(first.get_by_text("Starting", exact=True)).to_be_visible()
        await expect(second.get_by_text("Waiting for a machine")).to_be_visible()
        await until(lambda: streams(world, ada) == 1)


async def test_without_locks_and_streams_a_page_asks(world: World, ada: User) -> None:
    """As in a browser at an address without HTTPS, or behind a proxy that keeps events back."""
    instance_id = await waiting_instance(world, ada)
    async with served(world) as address, chromium() as browser:
        context = await browser.new_context()
        await context.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });")
        page = await context.new_page()
        await sign_in(page, address, ada)
        await visit_from_loop(page, f"{address}/instances/{instance_id}")
        await see_it_run(world, [page], instance_id)
        assert streams(world, ada) == 0


@asynccontextmanager
async def served_over_https(world: World, data_dir: Path) -> AsyncIterator[str]:
    """The application behind an edge of its own that speaks HTTPS."""
    port = free_port()
    address = f"https://localhost:{port}"
    prepare(data_dir)
    edge = LocalEdge(data_dir, "127.0.0.1", port, address, EdgeTls(True, "localhost", data_dir / "tls", http_port=0))
    world.reach_at(Addresses(address))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(world.app, WebPlace(data_dir / "run" / "web.sock")))
        stack.push_async_callback(edge.stop)
        await edge.ensure()
        yield address


@pytest.mark.long  # test_tls.py: that the edge speaks HTTP/2; the tests above: that a page shows what its stream says
async def test_over_https_all_tabs_have_a_stream_on_one_connection(world: World, ada: User, tmp_path: Path) -> None:
    secure = World(world.store, secure=True)
    instance_id = await waiting_instance(world, ada)
    async with served_over_https(secure, tmp_path / "data") as address, chromium() as browser:
        tabs = await open_tabs(browser, address, ada, instance_id)
        await until(lambda: streams(secure, ada) == TABS)
        for tab in tabs:
            assert await tab.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
        await see_it_run(secure, tabs, instance_id)
