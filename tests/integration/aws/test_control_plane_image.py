"""The control plane's image, started as terraform/control-plane.sh starts it, on a lab."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lab.plain import plain_lab
from lab.site import Plan
from tests.support.aws import without_balancer
from tests.support.waiting import PATIENCE_SECONDS, until

pytestmark = [pytest.mark.docker, pytest.mark.long]
ROOT = Path(__file__).resolve().parents[3]
DATA_DIR = Path("/var/lib/openclaw-hosted")
TAG = "openclaw-hosted/control-plane:test"
MOST_BYTES = 400_000_000
START_SECONDS = 120.0


def docker(*words: str, given: str | None = None) -> str:
    return subprocess.run(
        ["docker", *words], input=given, check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    ).stdout.strip()


@pytest.fixture(scope="module")
def image() -> str:
    if shutil.which("docker") is None or subprocess.run(["docker", "version"], capture_output=True).returncode:
        pytest.skip("no Docker engine answers")
    done = subprocess.run(["scripts/control-plane-image.sh", TAG], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return TAG


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(params=["alb", "none"])
def container(image: str, port: int, request: pytest.FixtureRequest) -> Iterator[str]:
    """With load balancers, and as what users reach itself."""
    script = (ROOT / "terraform" / "control-plane.sh").read_text(encoding="utf-8")
    flags = re.search(r"docker run --rm --name openclaw-hosted (.*?) --env-file", script, re.DOTALL)
    assert flags is not None
    given = flags[1].replace("\\\n", " ").replace('"$OWNER:$OWNER"', "10001:10001").split()
    with plain_lab(Plan(platform=("127.0.0.1", port))) as lab:
        alone = without_balancer(DATA_DIR, port) if request.param == "none" else {}
        variables = [word for name, value in {**lab.site.environment(), **alone}.items() for word in ("-e", f"{name}={value}")]
        data = ["--tmpfs", f"{DATA_DIR}:uid=10001,gid=10001,mode=0700"]
        made = docker("run", "-d", *given, *data, *variables, image)
        yield made
        docker("rm", "-f", made)


def test_it_is_small_and_runs_as_nobody_in_particular(image: str) -> None:
    assert int(docker("image", "inspect", "--format", "{{.Size}}", image)) < MOST_BYTES
    assert docker("image", "inspect", "--format", "{{.Config.User}}", image) == "openclaw-hosted"


async def test_it_becomes_ready_and_an_operator_can_make_an_account_in_it(container: str, port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

        async def is_ready() -> bool:
            try:
                return (await client.get("/readyz")).status_code == 200
            except httpx.HTTPError:
                return False

        await until(is_ready, START_SECONDS, every=0.5)
    docker(
        "exec", "-i", container, "openclaw-hosted", "users", "create", "you@example.com", "--admin", "--password-stdin",
        given="a-long-password-of-yours\n",
    )  # fmt: skip
    assert "aws permissions" in docker("exec", container, "openclaw-hosted", "doctor")
    await until(lambda: docker("inspect", "--format", "{{.State.Health.Status}}", container) == "healthy", START_SECONDS, every=0.5)
