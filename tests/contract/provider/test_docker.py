"""The local provider with Docker machines, held against the same contracts as with processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.install import OpenClawRelease
from tests.contract.provider.gateways import GatewaysContract
from tests.contract.provider.machines import MachinesContract
from tests.contract.provider.test_local import LocalHarness
from tests.support.docker import any_image, docker_machines, image, stand_in_image

__all__ = ["any_image", "image", "stand_in_image"]


@pytest.fixture
async def harness(tmp_path: Path, release: OpenClawRelease, any_image: str) -> AsyncIterator[LocalHarness]:
    async with docker_machines(tmp_path, any_image) as host:
        made = LocalHarness(tmp_path, release, host)
        yield made
        await made.clear()


@pytest.mark.openclaw
@pytest.mark.docker
class TestDockerMachines(MachinesContract):
    pass


@pytest.mark.openclaw
@pytest.mark.docker
class TestDockerGateways(GatewaysContract):
    pass
