"""The local provider with Docker machines, held against the same contracts as with processes, with the real OpenClaw."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.docker.containers import DockerHost
from openclaw_hosted.adapters.local.install import OpenClawRelease
from tests.contract.provider.gateways import GatewaysContract
from tests.contract.provider.machines import MachinesContract
from tests.contract.provider.test_local import LocalHarness
from tests.support.docker import docker_host, image

__all__ = ["docker_host", "image"]


@pytest.fixture
async def harness(tmp_path: Path, release: OpenClawRelease, docker_host: DockerHost) -> AsyncIterator[LocalHarness]:
    made = LocalHarness(tmp_path, release, docker_host)
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
