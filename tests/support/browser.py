"""Chromium for tests."""

from __future__ import annotations

import os
import shutil
from typing import Final

from playwright.sync_api import Browser, BrowserContext

CHROMIUM: Final = os.environ.get("CHROMIUM", shutil.which("chromium") or shutil.which("chromium-browser") or "")
CHROMIUM_FLAGS: Final = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
NO_CHROMIUM: Final = "Chromium is not installed: apt-get install chromium"


def new_context(browser: Browser) -> BrowserContext:
    """A person's browser, with nothing open. OpenClaw's page moves all the time, which takes half a core unless it is asked not to."""
    return browser.new_context(reduced_motion="reduce")
