"""Docker machines on a data directory of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from openclaw_hosted.adapters.local.install import OpenClawRelease
from tests.integration.docker.inside import RunningMachine, started
from tests.support.docker import any_image, docker_machines, image, stand_in_image
from tests.support.local_computer import Computer
from tests.support.openclaw import release

__all__ = ["any_image", "image", "release", "stand_in_image"]


@pytest.fixture
async def computer(tmp_path: Path, release: OpenClawRelease, any_image: str) -> AsyncIterator[Computer]:
    async with docker_machines(tmp_path, any_image) as host:
        made = Computer(tmp_path, release, host)
        yield made
        await made.clear()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def real(tmp_path_factory: pytest.TempPathFactory, release: OpenClawRelease, image: str) -> AsyncIterator[RunningMachine]:
    """One with the real OpenClaw for all tests of this folder; each leaves it ready."""
    data_dir = tmp_path_factory.mktemp("real")
    async with docker_machines(data_dir, image) as host:
        computer = Computer(data_dir, release, host)
        yield RunningMachine(computer, *await started(computer))
        await computer.clear()
