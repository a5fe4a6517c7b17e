"""Fixtures: what Docker machines of tests share, built once for all tests of this computer."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.docker.client import docker
from openclaw_hosted.adapters.local.docker.containers import DockerHost, prepare_network, remove_docker
from openclaw_hosted.adapters.local.docker.image import ensure_image, image_exists
from openclaw_hosted.adapters.local.install import OpenClawRelease
from openclaw_hosted.domain.addresses import LocalModel
from openclaw_hosted.domain.errors import PortError
from tests.support.stand_in import PROGRAM
from tests.support.waiting import run_apart

STAND_IN_DOCKERFILE = """FROM {image} AS emptied
USER root
RUN rm -r /opt/openclaw /opt/compile-cache && mkdir -p /opt/openclaw/node_modules/openclaw /opt/compile-cache
COPY openclaw.mjs /opt/openclaw/node_modules/openclaw/
FROM scratch
COPY --from=emptied / /
ENV {environment}
USER node
WORKDIR /home/node
CMD {command}
"""


def engine_answers() -> bool:
    """Whether a Docker engine answers here."""
    found = shutil.which("docker")
    return found is not None and subprocess.run([found, "version"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def image(release: OpenClawRelease) -> str:
    """The image of machines, built where it is missing."""
    if not engine_answers():
        pytest.skip("no Docker engine answers: apt-get install docker.io, and start dockerd")
    try:
        return run_apart(ensure_image(release, print))
    except PortError as problem:
        pytest.skip(f"the image can't be built: {problem}")


@pytest.fixture(scope="session")
def stand_in_image(image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image of machines with a program that stands for OpenClaw: a third as large, and up in a moment."""
    return run_apart(_ensure_stand_in(image, tmp_path_factory.mktemp("stand-in")))


@pytest.fixture(params=["stand-in", pytest.param("openclaw", marks=pytest.mark.long)])
def any_image(request: pytest.FixtureRequest, image: str, stand_in_image: str) -> str:
    """For tests about machines. What runs on them matters little: a stand-in, and in `make test-all` the real OpenClaw as well."""
    return stand_in_image if request.param == "stand-in" else image


async def _ensure_stand_in(image: str, folder: Path) -> str:
    program = hashlib.sha256(STAND_IN_DOCKERFILE.encode() + PROGRAM.read_bytes()).hexdigest()[:10]
    tag = f"openclaw-hosted/stand-in:{image.rpartition('-')[2]}-{program}"
    if await image_exists(tag):
        return tag
    configured = json.loads(await docker("image", "inspect", image))[0]["Config"]
    environment = " ".join(f"{name}={json.dumps(value)}" for name, _, value in (each.partition("=") for each in configured["Env"]))
    text = STAND_IN_DOCKERFILE.format(image=image, environment=environment, command=json.dumps(configured["Cmd"]))
    (folder / "Dockerfile").write_text(text)
    shutil.copy(PROGRAM, folder)
    await docker("build", "--quiet", "--tag", tag, str(folder), seconds=300)
    return tag


@asynccontextmanager
async def docker_machines(data_dir: Path, image: str, models: Collection[LocalModel] = ()) -> AsyncIterator[DockerHost]:
    """A network of the data directory's own, on which machines run this image."""
    host = await prepare_network(data_dir, image, models)
    try:
        yield host
    finally:
        await remove_docker(host)


@pytest.fixture
async def docker_host(tmp_path: Path, image: str) -> AsyncIterator[DockerHost]:
    """Machines with the real OpenClaw, on a network of the test's own."""
    async with docker_machines(tmp_path, image) as host:
        yield host
