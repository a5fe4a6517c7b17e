"""Take a picture of every page, wide and narrow, light and dark: `make screenshots`.

Starts the platform with a real OpenClaw in a folder of its own, goes through the pages as a user and an admin do, and writes
docs/images/{page}-{wide|narrow}-{light|dark}.png.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.browser import CHROMIUM, CHROMIUM_FLAGS
from tests.support.platform import ADMIN_EMAIL, ADMIN_PASSWORD, RunningPlatform, running_platform, wait_until
from tests.support.ports import free_port

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
WIDTHS = {"wide": 1280, "narrow": 390}
SCHEMES = ("light", "dark")
SETUP_LINK = re.compile(r"http://\S+/setup/[\w-]+")
CONSOLE_HEIGHT = 1200
CONSOLE = {
    "overview": "/admin?range=7d", "pool": "/admin/pool", "instances": "/admin/instances", "users": "/admin/users",
    "events": "/admin/events", "runbook": "/admin/runbooks/pool-depleted",
}  # fmt: skip
"""Pages of the console, by name."""


def pictures(browser: Browser, platform: RunningPlatform, api: httpx.Client) -> None:
    """All pages, in each width and colour scheme."""
    wait_until(lambda: api.get("/pool").json()["available"] >= 1, 300, every=1)
    created = api.post("/instances", json={"name": "Research assistant"}).json()
    wait_until(lambda: api.get(f"/instances/{created['id']}").json()["phase"] == "running", 120)
    invitation = api.post("/users/invite", json={"email": "friend@example.com"}).json()["url"]
    anonymous = {"sign-in": "/sign-in", "invite": invitation.removeprefix(platform.url)}
    signed_in = {
        "instances": "/",
        "new": "/instances/new",
        "instance": f"/instances/{created['id']}",
        "settings": f"/instances/{created['id']}/settings",
        "logs": f"/instances/{created['id']}/logs",
        "account": "/account",
        "not-found": "/oc-22222222/",
    }
    for page, look in looks(browser):
        for name, path in anonymous.items():
            picture(page, platform.url + path, f"{name}-{look}")
        sign_in(page, platform)
        for name, path in signed_in.items():
            picture(page, platform.url + path, f"{name}-{look}")
    chat(browser, platform, created["id"])


def first_start(browser: Browser, data_dir: Path) -> None:
    """The page behind the set-up link, on a platform without an account."""
    nobody = {"OPENCLAW_HOSTED_ADMIN_EMAIL": "", "OPENCLAW_HOSTED_ADMIN_PASSWORD": ""}
    with running_platform(data_dir, spares=0, environment=nobody) as platform:
        wait_until(lambda: bool(SETUP_LINK.search(platform.output)), 120, lambda: platform.output)
        for page, look in looks(browser):
            picture(page, SETUP_LINK.findall(platform.output)[0], f"set-up-{look}")


def looks(browser: Browser) -> Iterator[tuple[Page, str]]:
    """A fresh browser window in each width and colour scheme, and what to call it."""
    for width_name, width in WIDTHS.items():
        for scheme in SCHEMES:
            context = browser.new_context(viewport={"width": width, "height": 860}, color_scheme=scheme)  # type: ignore[arg-type]
            yield context.new_page(), f"{width_name}-{scheme}"
            context.close()


def picture(page: Page, address: str, name: str, *, whole: bool = True) -> None:
    """One page, or as much of a long one as the window shows."""
    page.goto(address)
    page.wait_for_timeout(300)
    page.screenshot(path=IMAGES / f"{name}.png", full_page=whole)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    sys.stderr.write(f"{name}{'' if overflow <= 0 else f': {overflow} px too wide'}\n")


def sign_in(page: Page, platform: RunningPlatform) -> None:
    """As the admin."""
    page.goto(f"{platform.url}/sign-in")
    page.get_by_label("E-mail").fill(ADMIN_EMAIL)
    page.get_by_label("Password", exact=True).fill(ADMIN_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{platform.url}/")


def console(browser: Browser, data_dir: Path) -> None:
    """The operator's console, of a platform that has lived for a month."""
    port = free_port()
    command = [sys.executable, "-m", "demo", "--data-dir", str(data_dir), "--port", str(port)]
    demonstration = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        platform = RunningPlatform(data_dir, port)
        wait_until(lambda: _is_there(platform), 300, every=1)
        for page, look in looks(browser):
            sign_in(page, platform)
            for name, path in CONSOLE.items():
                page.set_viewport_size({"width": page.viewport_size["width"], "height": CONSOLE_HEIGHT})  # type: ignore[index]
                picture(page, platform.url + path, f"console-{name}-{look}", whole=name == "overview")
            for name, listed in (("machine", "/admin/pool?state=assigned"), ("instance", "/admin/instances?state=failed")):
                page.goto(platform.url + listed)
                link = page.locator(f'td a[href^="/admin/{name}s/"]').first.get_attribute("href")
                picture(page, f"{platform.url}{link}", f"console-{name}-{look}")
    finally:
        demonstration.send_signal(signal.SIGINT)
        demonstration.wait(60)


def _is_there(platform: RunningPlatform) -> bool:
    try:
        return httpx.get(f"{platform.url}/sign-in").status_code == 200
    except httpx.TransportError:
        return False


def chat(browser: Browser, platform: RunningPlatform, instance_id: str) -> None:
    """OpenClaw's own page, after one turn."""
    context = browser.new_context(viewport={"width": WIDTHS["wide"], "height": 860})
    page = context.new_page()
    sign_in(page, platform)
    page.goto(f"{platform.url}/instances/{instance_id}")
    page.get_by_role("button", name="Open").click()
    composer = page.locator('textarea[aria-label="Chat composer"]')
    expect(page.get_by_role("status").filter(has_text="Connected")).to_be_visible(timeout=300_000)
    composer.fill("Hello, are you there?")
    page.locator("button.chat-send-btn--send").click()
    expect(page.get_by_text("You said: Hello, are you there?").first).to_be_visible(timeout=300_000)
    page.screenshot(path=IMAGES / "chat.png")
    context.close()


def main() -> None:
    """Start, take the pictures, stop."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    if not CHROMIUM or not shutil.which(CHROMIUM):
        raise SystemExit("Chromium is not installed: apt-get install chromium")
    with (
        tempfile.TemporaryDirectory(prefix="och-") as folder,
        running_platform(Path(folder) / "data", spares=1) as platform,
        platform.api() as api,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        pictures(browser, platform, api)
        first_start(browser, Path(folder) / "fresh")
        console(browser, Path(folder) / "demo")
        browser.close()


if __name__ == "__main__":
    main()
