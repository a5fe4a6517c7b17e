"""Docker machines on a data directory of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.containers import DockerHost
from openclaw_hosted.adapters.local.install import OpenClawRelease
from tests.support.docker import docker_host, image
from tests.support.local_computer import Computer
from tests.support.openclaw import release

__all__ = ["docker_host", "image", "release"]


@pytest.fixture
async def computer(tmp_path: Path, release: OpenClawRelease, docker_host: DockerHost) -> AsyncIterator[Computer]:
    made = Computer(tmp_path, release, docker_host)
    yield made
    await made.clear()
