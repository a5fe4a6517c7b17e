"""Fixtures: an AWS for one machine, and the machine's script run on this computer, as far as that goes without a machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openclaw_hosted.adapters.aws.commands import machine_script
from tests.integration.aws.machine.amazon import Amazon
from tests.support.docker import image, stand_in_image
from tests.support.openclaw import release
from tests.support.serving import serving
from tests.support.waiting import PATIENCE_SECONDS

__all__ = ["image", "release", "stand_in_image"]

Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def amazon() -> Iterator[Amazon]:
    with serving(Amazon()) as server:
        yield server


@pytest.fixture
def shell(tmp_path: Path, amazon: Amazon) -> Shell:
    """Runs lines of bash after the machine's script."""
    if shutil.which("curl") is None:
        pytest.skip("curl is missing: apt-get install curl")
    environment = {
        "PATH": os.environ["PATH"],
        "OPENCLAW_ROOT": str(tmp_path),
        "OPENCLAW_ENVIRONMENT": str(tmp_path / "environment"),
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": amazon.url,
        "AWS_ENDPOINT_URL": amazon.url,
    }

    def run(lines: str, **more: str) -> subprocess.CompletedProcess[str]:
        script = f"{machine_script()}\n{lines}\n"
        return subprocess.run(
            ["bash", "-c", script], env=environment | more, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )

    return run
