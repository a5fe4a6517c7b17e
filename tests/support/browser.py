"""Chromium for tests."""

from __future__ import annotations

import os
import shutil
from typing import Final

from playwright.async_api import Page as AsyncPage
from playwright.sync_api import Browser, BrowserContext, Page, Response
from playwright.sync_api import Error as PlaywrightError

CHROMIUM: Final = os.environ.get("CHROMIUM", shutil.which("chromium") or shutil.which("chromium-browser") or "")
CHROMIUM_FLAGS: Final = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
NO_CHROMIUM: Final = "Chromium is not installed: apt-get install chromium"
VISITS_AT_MOST: Final = 10
CUT_SHORT: Final = ("ERR_NETWORK_CHANGED", "ERR_ABORTED")
"""How Chromium says that a visit ended early: another test's container came or went, so this computer's networks changed, or the page that
was there was on its way elsewhere."""


def new_context(browser: Browser) -> BrowserContext:
    """A person's browser, with nothing open. OpenClaw's page moves all the time, which takes half a core unless it is asked not to."""
    return browser.new_context(reduced_motion="reduce")


def visit(page: Page, address: str) -> Response | None:
    """Go to an address, again where the visit is cut short."""
    for _ in range(VISITS_AT_MOST - 1):
        try:
            return page.goto(address)
        except PlaywrightError as problem:
            _check_cut_short(problem)
    return page.goto(address)


async def visit_from_loop(page: AsyncPage, address: str) -> None:
    """The same, for a test that runs in an event loop."""
    for _ in range(VISITS_AT_MOST - 1):
        try:
            await page.goto(address)
        except PlaywrightError as problem:
            _check_cut_short(problem)
        else:
            return
    await page.goto(address)


def _check_cut_short(problem: PlaywrightError) -> None:
    if not any(way in str(problem) for way in CUT_SHORT):
        raise problem
