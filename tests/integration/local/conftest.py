"""The real OpenClaw on a data directory of its own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.install import OpenClawRelease
from tests.support.local_computer import Computer
from tests.support.openclaw import echo, release
from tests.support.platform import share_install

__all__ = ["echo", "release"]


@pytest.fixture
async def computer(tmp_path: Path, release: OpenClawRelease) -> AsyncIterator[Computer]:
    share_install(tmp_path)
    made = Computer(tmp_path, release)
    yield made
    await made.clear()
    shutil.rmtree(tmp_path, ignore_errors=True)
