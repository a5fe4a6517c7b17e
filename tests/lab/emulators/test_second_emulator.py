"""The lab beside another emulator, ministack: one list of calls; the documentation settles each difference (docs/emulators.md)."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import botocore.session
import pytest
from botocore.config import Config

from lab.cloud.server import LabCloud
from tests.lab.emulators.calls import CALLS, outcomes
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_SECONDS, until

ROOT: Final = Path(__file__).parents[3]
MINISTACK: Final = ROOT / ".cache" / "ministack" / "bin" / "ministack"
TABLE: Final = ROOT / "docs" / "emulators.md"
ROW: Final = re.compile(r"^\| (?P<call>[^|]+) \| `(?P<lab>[^|]*)` \| `(?P<other>[^|]*)` \| (?P<right>[^|]+) \| ", re.MULTILINE)
pytestmark = [pytest.mark.long, pytest.mark.xdist_group("emulators")]
"""Each rule of the lab has its own test in `tests/lab/cloud`; this one is a second opinion on their sum."""


def clients(endpoint_url: str) -> Callable[[str], Any]:
    session = botocore.session.Session()

    @cache
    def client(service: str) -> Any:
        return session.create_client(
            service, region_name="us-west-2", endpoint_url=endpoint_url, aws_access_key_id="test", aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=PATIENCE_SECONDS),
        )  # fmt: skip

    return client


@pytest.fixture(scope="module")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address."""
    if not MINISTACK.is_file():
        pytest.skip("ministack is missing: make ministack")
    home, port = tmp_path_factory.mktemp("ministack"), free_port()
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": "us-west-2", "STATE_DIR": str(home / "state"), "S3_DATA_DIR": str(home / "s3"), "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": f"unix://{home}/no-engine",
    }  # fmt: skip
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([str(MINISTACK)], env=environment, cwd=home, stdout=log, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        asyncio.run(until(lambda: answers(url) or process.poll() is not None))
        assert process.poll() is None, (home / "log").read_text(errors="replace")
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def differences(ministack: str) -> Mapping[str, tuple[str, str]]:
    """What the lab and ministack answered differently, by the name of the call."""
    cloud = LabCloud()
    try:
        ours, theirs = outcomes(clients(cloud.endpoint_url), CALLS), outcomes(clients(ministack), CALLS)
        assert cloud.crashes == []
    finally:
        cloud.close()
    return {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]}


def test_each_difference_is_settled_in_the_table_and_no_other_stands_there(differences: Mapping[str, tuple[str, str]]) -> None:
    written = {found["call"]: (found["lab"], found["other"]) for found in ROW.finditer(TABLE.read_text(encoding="utf-8"))}
    assert differences == written


def test_the_lab_is_right_wherever_the_documentation_decides(differences: Mapping[str, tuple[str, str]]) -> None:
    del differences
    right = {found["call"]: found["right"] for found in ROW.finditer(TABLE.read_text(encoding="utf-8"))}
    assert [call for call, who in right.items() if who == "ministack"] == []
