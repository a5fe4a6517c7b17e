"""In a browser, with the real OpenClaw: back to an older restore point, and an instance carried to another user."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.test_journey import OTHER_EMAIL, OTHER_PASSWORD, sign_in
from tests.e2e.test_restore import Conversation
from tests.support.browser import new_context, visit
from tests.support.platform import ADMIN_EMAIL, ADMIN_PASSWORD, RunningPlatform, running_platform, wait_until
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.openclaw, pytest.mark.browser, pytest.mark.long]
"""Each part has a quick proof: tests/contract/provider/restore_points.py, tests/integration/convergence/test_restore_points.py, and
tests/integration/backup/test_strangers.py."""


def phase(api: httpx.Client, instance_id: str) -> str:
    return str(api.get(f"/instances/{instance_id}").json()["phase"])


def restore_the_oldest(page: Page, platform: RunningPlatform, instance_id: str) -> None:
    visit(page, f"{platform.url}/instances/{instance_id}")
    page.locator(".points summary").last.click()
    with page.expect_response(lambda answer: answer.url.endswith("/restore")):
        page.locator(".points details").last.get_by_role("button", name="Restore", exact=True).click()


def bring(page: Page, platform: RunningPlatform, archive: Path) -> str:
    """The id of the instance that was made of it."""
    visit(page, f"{platform.url}/instances/bring")
    page.get_by_label("Archive").set_input_files(archive)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page).to_have_url(re.compile(r"/instances/new\?from=rp-"))
    page.get_by_label("Name", exact=True).fill("Brought")
    page.get_by_role("button", name="Create instance").click()
    expect(page).to_have_url(re.compile(r"/instances/oc-[a-z0-9]{8}$"))
    return page.url.rsplit("/", 1)[1]


def test_an_older_state_comes_back_and_what_was_downloaded_becomes_another_users(tmp_path: Path, browser: Browser) -> None:
    with running_platform(tmp_path / "data", spares=1) as platform, platform.api() as api:
        instance_id = api.post("/instances", json={"name": "Mine"}).json()["id"]
        wait_until(lambda: phase(api, instance_id) == "running", PATIENCE_SECONDS, lambda: platform.output)
        assert "zebra" in Conversation(platform, instance_id).say("zebra")
        points = f"/instances/{instance_id}/restore-points"
        api.post(points).raise_for_status()
        wait_until(lambda: api.get(points).json()["items"][0]["state"] == "ready", PATIENCE_SECONDS, lambda: platform.output)
        assert "giraffe" in Conversation(platform, instance_id).say("giraffe")

        owner = sign_in(new_context(browser), platform, ADMIN_EMAIL, ADMIN_PASSWORD)
        restore_the_oldest(owner, platform, instance_id)
        wait_until(lambda: phase(api, instance_id) == "running", PATIENCE_SECONDS, lambda: platform.output)
        talk = Conversation(platform, instance_id)
        assert "zebra" in talk.history()
        assert "giraffe" not in talk.history()
        assert [each["cause"] for each in api.get(points).json()["items"]] == ["restore", "asked"]

        archive = tmp_path / "everything.tar.gz"
        visit(owner, f"{platform.url}/instances/{instance_id}")
        with owner.expect_download() as download:
            owner.get_by_role("button", name="Download everything").click()
        download.value.save_as(archive)
        assert talk.token.encode() not in gzip.decompress(archive.read_bytes())

        platform.cli("users", "create", OTHER_EMAIL, "--password-stdin", stdin=OTHER_PASSWORD)
        other = sign_in(new_context(browser), platform, OTHER_EMAIL, OTHER_PASSWORD)
        brought = bring(other, platform, archive)
        expect(other.locator(".status .badge")).to_have_text("Running", timeout=PATIENCE_SECONDS * 1000)
        assert api.get(f"/instances/{brought}").status_code == 404
        assert "zebra" in Conversation(platform, brought).history()
