"""The whole journey in a browser, with the real OpenClaw: sign in, create, open, chat, be refused, delete, undo."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.support.browser import new_context, visit
from tests.support.echo_model import EchoServer
from tests.support.platform import ADMIN_EMAIL, ADMIN_PASSWORD, RunningPlatform, wait_until
from tests.support.waiting import PATIENCE_MS, PATIENCE_SECONDS

pytestmark = [pytest.mark.openclaw, pytest.mark.browser]

COMPOSER = 'textarea[aria-label="Chat composer"]'
OPEN_AT_MOST = 10
SEND = "button.chat-send-btn--send"
OTHER_EMAIL = "other@example.com"
OTHER_PASSWORD = "another long password"


def sign_in(context: BrowserContext, platform: RunningPlatform, email: str, password: str, address: str = "") -> Page:
    """At the platform's address, or at another one that leads there."""
    address = address or platform.url
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    visit(page, f"{address}/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{address}/")
    return page


def connected(page: Page) -> Locator:
    """What OpenClaw's page says once its gateway has let it in."""
    return page.get_by_role("status").filter(has_text=re.compile(r"^\s*Connected\s*$"))


def open_instance(page: Page, address: str) -> None:
    """Click Open on the instance's page at `address`, as often as a user would, until OpenClaw's page has connected.

    OpenClaw's page begins anew where it did not start within 12 s, and may have used up its ticket by then: it asks for a token, or says
    that it could not load, and the way in is another click. Only a page that has connected keeps what lets it in again.
    """
    lost_its_ticket = page.get_by_role("heading", name="This Gateway expects its token")
    could_not_load = page.get_by_text("This view could not load")
    for _ in range(OPEN_AT_MOST):
        visit(page, address)
        expect(page.get_by_role("button", name="Open")).to_be_enabled()
        page.get_by_role("button", name="Open").click()
        expect(connected(page).or_(lost_its_ticket).or_(could_not_load).first).to_be_visible()
        if connected(page).is_visible():
            expect(page.locator(COMPOSER)).to_be_visible()
            return
    raise AssertionError(f"OpenClaw did not open at {OPEN_AT_MOST} clicks")


def say(page: Page, text: str) -> None:
    """Send a message as a user does: OpenClaw's page ignores a click while it is still connecting, and keeps the text."""
    expect(connected(page)).to_be_visible()
    page.locator(COMPOSER).fill(text)
    page.locator(SEND).click()
    try:
        expect(page.locator(COMPOSER)).to_have_value("", timeout=5_000)
    except AssertionError:
        page.locator(SEND).click()


def kept_sessions(platform: RunningPlatform) -> str:
    """What OpenClaw keeps of each conversation on each volume: the session of each key, and the turns in their order."""
    lines = []
    for path in sorted(platform.data_dir.glob("volumes/*/state/agents/main/agent/openclaw-agent.sqlite")):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            lines.append(str(path.relative_to(platform.data_dir)))
            lines += map(str, database.execute("SELECT session_key, current_session_id FROM session_nodes"))
            lines += map(str, database.execute("SELECT session_id, seq, substr(event_json, 1, 400) FROM transcript_events"))
    return "\n".join(lines)


def set_spares(api: httpx.Client, spares: int) -> None:
    """Each spare beyond those that a journey takes is another OpenClaw to start."""
    api.patch("/pool", json={"spares": spares}).raise_for_status()


def spare_is_ready(api: httpx.Client) -> bool:
    return bool(api.get("/pool").json()["available"] >= 1)


@pytest.fixture(scope="module")
def api(platform: RunningPlatform) -> Iterator[httpx.Client]:
    with platform.api() as client:
        yield client


@pytest.fixture(scope="module")
def owner(browser: Browser, platform: RunningPlatform) -> Iterator[Page]:
    context = new_context(browser)
    yield sign_in(context, platform, ADMIN_EMAIL, ADMIN_PASSWORD)
    context.close()


@pytest.fixture(scope="module")
def opened(owner: Page, platform: RunningPlatform, api: httpx.Client) -> str:
    """The id of an instance that its owner created, opened by clicking, and got a reply from."""
    wait_until(lambda: spare_is_ready(api), PATIENCE_SECONDS, lambda: f"no spare:\n{platform.output}", every=0.1)
    owner.get_by_role("link", name=re.compile("new instance|create", re.IGNORECASE)).first.click()
    owner.get_by_label("Name", exact=True).fill("First look")
    owner.get_by_role("button", name="Create instance").click()
    expect(owner).to_have_url(re.compile(r"/instances/oc-[a-z0-9]{8}$"))
    instance_id = owner.url.rsplit("/", 1)[1]
    set_spares(api, 0)
    open_instance(owner, owner.url)
    say(owner, "zebra quagga")
    expect(owner.get_by_text("You said: zebra quagga").first).to_be_visible()
    return instance_id


@pytest.mark.parametrize("platform", ["process", pytest.param("docker", marks=pytest.mark.docker)], indirect=True)
def test_a_newcomer_gets_from_sign_in_to_a_chat(owner: Page, opened: str) -> None:
    expect(owner.get_by_text("You said: zebra quagga").first).to_be_visible()
    assert f"/{opened}/" in owner.url


def test_who_comes_by_number_stays_there_and_chats(browser: Browser, platform: RunningPlatform, opened: str) -> None:
    context, address = new_context(browser), f"http://127.0.0.1:{platform.port}"
    page = sign_in(context, platform, ADMIN_EMAIL, ADMIN_PASSWORD, address)
    open_instance(page, f"{address}/instances/{opened}")
    assert page.url.startswith(f"{address}/{opened}/")
    say(page, "okapi gnu")
    expect(page.get_by_text("You said: okapi gnu").first).to_be_visible()
    context.close()


def test_another_user_who_opens_the_same_address_is_refused(browser: Browser, platform: RunningPlatform, opened: str) -> None:
    platform.cli("users", "create", OTHER_EMAIL, "--password-stdin", stdin=OTHER_PASSWORD)
    context = new_context(browser)
    page = sign_in(context, platform, OTHER_EMAIL, OTHER_PASSWORD)
    answer = visit(page, f"{platform.url}/{opened}/")
    assert answer is not None
    assert answer.status == 404
    assert page.locator(COMPOSER).count() == 0
    assert "zebra" not in page.content()
    ticket = visit(page, f"{platform.url}/{opened}/.well-known/openclaw/browser-bootstrap")
    assert ticket is not None
    assert ticket.status in (403, 404)
    context.close()


def test_a_stranger_is_sent_to_the_sign_in_page(browser: Browser, platform: RunningPlatform, opened: str) -> None:
    context = new_context(browser)
    page = context.new_page()
    visit(page, f"{platform.url}/{opened}/")
    expect(page).to_have_url(re.compile("/sign-in"))
    context.close()


def test_the_gateways_own_apis_are_not_reachable_from_outside(platform: RunningPlatform, owner: Page, opened: str) -> None:
    cookies = {cookie["name"]: cookie["value"] for cookie in owner.context.cookies()}
    for path in (
        f"/{opened}/api/v1/admin/rpc",
        f"/{opened}/%2e%2e/api/v1/admin/rpc",
        f"/{opened}/%252e%252e/api/v1/admin/rpc",
        f"/{opened}/..%2fapi/v1/admin/rpc",
        f"/{opened}//api/v1/admin/rpc",
        f"/{opened}/v1/models",
        "/v1/models",
    ):
        answer = httpx.post(platform.url + path, json={"method": "health"}, cookies=cookies, headers={"Authorization": "Bearer x"})
        assert answer.status_code in (400, 404, 405, 415), f"{path}: {answer.status_code}"
        assert '"payload"' not in answer.text


@pytest.mark.long  # over the API: integration/docker/test_real_machine.py::test_a_turn_whose_model_can_not_be_reached_says_so
def test_a_chat_whose_model_can_not_be_reached_says_so(platform: RunningPlatform, owner: Page, opened: str, api: httpx.Client) -> None:
    absent = {"provider": "compatible", "base_url": "http://127.0.0.1:9/v1", "model": "llama3"}
    choose(platform, api, opened, absent)
    say(owner, "is anybody there")
    expect(owner.get_by_text("custom/llama3 can't be reached").first).to_be_visible()
    choose(platform, api, opened, {"provider": "echo"})


@pytest.mark.long  # when it is said: integration/local/test_silence.py
@pytest.mark.parametrize("platform", ["process"], indirect=True)
def test_a_chat_whose_model_says_nothing_says_so_and_goes_on(
    platform: RunningPlatform, owner: Page, opened: str, api: httpx.Client, echo: EchoServer
) -> None:
    choose(platform, api, opened, {"provider": "compatible", "base_url": echo.base_url, "model": "slow"})
    with echo.silent():
        say(owner, "take your time")
        expect(owner.get_by_text("custom/slow has said nothing").first).to_be_visible()
    question_and_reply = owner.get_by_role("log").get_by_text("take your time")
    expect(question_and_reply).to_have_count(2)
    expect(owner.get_by_text("custom/slow has said nothing")).to_have_count(0)
    choose(platform, api, opened, {"provider": "echo"})


def choose(platform: RunningPlatform, api: httpx.Client, instance_id: str, settings: dict[str, str]) -> None:
    """Change an instance's settings, and wait until its OpenClaw has them."""
    assert api.patch(f"/instances/{instance_id}", json={"settings": settings}).status_code == 200

    def has_them() -> bool:
        seen = api.get(f"/instances/{instance_id}").json()
        return bool(seen["applied_revision"] == seen["revision"])

    wait_until(has_them, PATIENCE_SECONDS, lambda: f"the settings are not in force:\n{platform.output}")


def test_gateways_outlive_the_control_plane_and_are_adopted(platform: RunningPlatform, owner: Page, opened: str, api: httpx.Client) -> None:
    before = api.get(f"/instances/{opened}").json()
    # Afresh: a page that watched another page's turn can miss its end, and then queues what is said.
    visit(owner, f"{platform.url}/{opened}/chat/main")
    expect(connected(owner)).to_be_visible()
    platform.kill()
    try:
        say(owner, "still there")
        expect(owner.get_by_text("You said: still there").first).to_be_visible()
    finally:
        platform.start(spares=1)
    after = api.get(f"/instances/{opened}").json()
    assert after["phase"] == "running"
    assert after["generation"] == before["generation"]
    say(owner, "and after")
    expect(owner.get_by_text("You said: and after").first).to_be_visible()


def test_a_deletion_can_be_undone_with_the_conversation_kept(
    platform: RunningPlatform, browser: Browser, opened: str, api: httpx.Client
) -> None:
    context = new_context(browser)
    page = sign_in(context, platform, ADMIN_EMAIL, ADMIN_PASSWORD)
    visit(page, f"{platform.url}/instances/{opened}")
    page.get_by_label(re.compile("type.*name", re.IGNORECASE)).fill("First look")
    page.get_by_role("button", name="Delete", exact=False).click()
    wait_until(lambda: api.get(f"/instances/{opened}").json()["phase"] == "deleted", PATIENCE_SECONDS)
    visit(page, f"{platform.url}/instances/{opened}")
    page.get_by_role("button", name=re.compile("undo|restore", re.IGNORECASE)).click()
    wait_until(lambda: api.get(f"/instances/{opened}").json()["phase"] == "running", PATIENCE_SECONDS, every=0.1)
    open_instance(page, f"{platform.url}/instances/{opened}")
    visit(page, f"{platform.url}/{opened}/chat/main")
    try:
        expect(page.get_by_text("You said: zebra quagga").first).to_be_visible()
    except AssertionError as missing:
        raise AssertionError(f"{missing}\n{kept_sessions(platform)}") from None
    context.close()
