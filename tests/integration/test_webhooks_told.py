"""A whole platform on the fake provider tells a receiver how an instance comes to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw_hosted.bootstrap.platform import open_platform
from openclaw_hosted.datadir import prepare
from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.actor import SETUP
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS, CredentialsChange
from openclaw_hosted.services.instances import CreateRequest
from openclaw_hosted.settings import load_settings
from tests.support.actors import acting
from tests.support.receiver import receiving
from tests.support.waiting import until


async def test_a_platform_tells_its_webhooks_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER", "fake")
    monkeypatch.setenv("ALLOW_PRIVATE_WEBHOOKS", "true")
    settings = load_settings({"OPENCLAW_HOSTED_DATA_DIR": tmp_path / "data"})
    prepare(settings.data_dir)
    with receiving() as receiver:
        async with open_platform(settings, lambda _: None) as platform, platform.controlling():
            services = platform.services
            user = await services.accounts.create_user(SETUP, "ada@example.com", "correct horse battery", Role.ADMIN)
            made = await services.webhooks.create(acting(user), receiver.url)
            await services.instances.create(acting(user), CreateRequest("Mine", DEFAULT_SETTINGS, CredentialsChange()))
            await until(lambda: "instance.running" in receiver.types)
    assert receiver.types[0] == "instance.created"
    assert all(message.is_signed_with(made.secret) for message in receiver.got)
