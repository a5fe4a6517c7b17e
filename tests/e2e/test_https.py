"""The whole platform over HTTPS of its own, the real OpenClaw included."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import httpx
import pytest

from tests.support.platform import ADMIN_EMAIL, ADMIN_PASSWORD, RunningPlatform, share_install, wait_until
from tests.support.ports import free_port


def context_of(platform: RunningPlatform) -> ssl.SSLContext | None:
    """What a device believes that followed the steps; None before the platform has its certificate."""
    told = platform.cli("trust", "--json", check=False)
    return ssl.create_default_context(cadata=json.loads(told.stdout)["pem"]) if told.returncode == 0 else None


@pytest.mark.openclaw
@pytest.mark.long
def test_an_instance_is_reached_over_https_by_who_trusts_the_platform(tmp_path: Path) -> None:
    port, http_port = free_port(), free_port()
    url, plain = f"https://localhost:{port}", f"http://localhost:{http_port}"
    settings = {"TLS": "internal", "PUBLIC_URL": url, "HTTP_PORT": str(http_port), "HOST": "127.0.0.1", "POOL_SPARE_COUNT": "0"}
    platform = RunningPlatform(tmp_path / "data", port, settings)
    share_install(platform.data_dir)
    process = platform.launch("serve")
    try:
        wait_until(lambda: process.poll() is not None or context_of(platform), 240, lambda: platform.output, every=1.0)
        assert process.poll() is None, platform.output
        context = context_of(platform)
        assert context is not None
        with httpx.Client(base_url=url, verify=context, timeout=30) as browser:
            wait_until(lambda: browser.get("/readyz").status_code == 200, 60, lambda: platform.output)
            assert browser.get("/trust").status_code == 200
            signed_in = browser.post("/sign-in", data={"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD}, headers={"Origin": url})
            assert signed_in.status_code == 303, signed_in.text[:300]
            assert signed_in.headers["set-cookie"].startswith("__Host-ochs-")
            assert "strict-transport-security" not in signed_in.headers
            instance_id = json.loads(platform.cli("instances", "create", "Mine", "--wait", "--json").stdout)["id"]
            page = browser.get(f"/{instance_id}/", headers={"Accept": "text/html"})
            assert (page.status_code, "<openclaw-app" in page.text) == (200, True)
        moved = httpx.get(f"{plain}/{instance_id}/")
        assert (moved.status_code, moved.headers["location"]) == (308, f"{url}/{instance_id}/")
        assert httpx.get(f"{plain}/trust/root.crt").status_code == 200
    finally:
        process.terminate()
        process.wait(60)
        platform.cli("down")
