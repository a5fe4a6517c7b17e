"""Fixtures: what Docker machines of tests share, built once for all tests of this computer."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.containers import DockerHost, prepare_docker
from openclaw_hosted.adapters.local.image import ensure_image
from openclaw_hosted.adapters.local.install import OpenClawRelease
from openclaw_hosted.adapters.local.network import remove_network
from openclaw_hosted.domain.errors import PortError
from tests.support.waiting import run_apart


def engine_answers() -> bool:
    """Whether a Docker engine answers here."""
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "version"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def image(release: OpenClawRelease) -> str:
    """The image of machines, built where it is missing."""
    if not engine_answers():
        pytest.skip("no Docker engine answers: apt-get install docker.io, and start dockerd")
    try:
        return run_apart(ensure_image(release, print))
    except PortError as problem:
        pytest.skip(f"the image can't be built: {problem}")


@pytest.fixture
async def docker_host(tmp_path: Path, release: OpenClawRelease, image: str) -> AsyncIterator[DockerHost]:
    """A network of the test's own."""
    host = await prepare_docker(tmp_path, release, print)
    assert host.image == image
    yield host
    await remove_network(host.network, host.image)
