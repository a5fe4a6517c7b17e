"""In a browser, with the real OpenClaw: the machine is taken away under an open chat, and the page comes back by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.test_journey import connected, open_instance, say, sign_in
from tests.support.browser import new_context
from tests.support.platform import ADMIN_EMAIL, ADMIN_PASSWORD, running_platform, wait_until
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.openclaw, pytest.mark.browser, pytest.mark.long]
"""Each part has a quick proof: tests/integration/convergence/test_moves.py, and tests/integration/edge for the address that is held."""


def test_an_open_chat_comes_back_by_itself_after_its_machine_was_taken_away(tmp_path: Path, browser: Browser) -> None:
    with running_platform(tmp_path / "data", spares=1) as platform, platform.api() as api:
        instance_id = api.post("/instances", json={"name": "Mine"}).json()["id"]

        def seen() -> dict[str, object]:
            return dict(api.get(f"/instances/{instance_id}").json())

        wait_until(lambda: seen()["phase"] == "running", PATIENCE_SECONDS, lambda: platform.output)
        page = sign_in(new_context(browser), platform, ADMIN_EMAIL, ADMIN_PASSWORD)
        open_instance(page, f"{platform.url}/instances/{instance_id}")
        say(page, "zebra quagga")
        expect(page.get_by_text("You said: zebra quagga").first).to_be_visible()
        opened, before = page.url, seen()
        wait_until(lambda: api.get("/pool").json()["available"] >= 1, PATIENCE_SECONDS, lambda: platform.output)

        (machine,) = api.get("/machines", params={"search": instance_id, "state": "assigned"}).json()["items"]
        platform.cli("machines", "interrupt", machine["id"])
        expect(connected(page)).not_to_be_visible()
        wait_until(
            lambda: seen()["phase"] == "running" and seen()["generation"] != before["generation"],
            PATIENCE_SECONDS,
            lambda: platform.output,
        )
        expect(connected(page)).to_be_visible()
        assert page.url == opened
        expect(page.get_by_text("You said: zebra quagga").first).to_be_visible()
        say(page, "okapi gnu")
        expect(page.get_by_text("You said: okapi gnu").first).to_be_visible()
