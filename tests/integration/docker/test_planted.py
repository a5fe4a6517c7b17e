"""What a tenant plants on the volume, where the platform reads and writes, perhaps as root."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.gateway_home import config_path
from tests.support.local_computer import Computer
from tests.support.seats import seat
from tests.support.waiting import PATIENCE_SECONDS, until

pytestmark = [pytest.mark.openclaw, pytest.mark.docker]
MOST_BYTES = 650_000_000


async def test_what_a_tenant_plants_does_not_lead_the_platform_elsewhere(computer: Computer, tmp_path: Path) -> None:
    """The platform reads and writes OpenClaw's configuration on the volume, perhaps as root."""
    ref, spec = await computer.launch()
    secret = tmp_path / "elsewhere.json"
    secret.write_text('{"models": {"providers": {"stolen": {"baseUrl": "x"}}}}')
    config = config_path(computer.volumes.state_dir(spec.volume_id))
    config.symlink_to(secret)
    before = secret.read_bytes()
    await computer.gateways.start(seat(ref, spec), spec)
    assert not config.is_symlink()
    assert "stolen" not in config.read_text()
    assert secret.read_bytes() == before
    await until(lambda: computer.is_ready(ref))

    await computer.gateways.stop(seat(ref, spec))
    config.unlink()
    os.mkfifo(config)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await computer.gateways.start(seat(ref, spec), spec)
    await until(lambda: computer.is_ready(ref))
