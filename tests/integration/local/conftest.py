"""The real OpenClaw on a data directory of its own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.install import OpenClawRelease, ensure_openclaw
from tests.support.local_computer import Computer
from tests.support.openclaw import echo, release
from tests.support.platform import share_install

__all__ = ["echo", "release"]


@pytest.fixture
async def computer(request: pytest.FixtureRequest, tmp_path: Path, release: OpenClawRelease) -> AsyncIterator[Computer]:
    """With the real OpenClaw, or what the parameter installs."""
    install = getattr(request, "param", share_install)
    install(tmp_path)
    made = Computer(tmp_path, release if install is share_install else await ensure_openclaw(tmp_path, print))
    yield made
    await made.clear()
    shutil.rmtree(tmp_path, ignore_errors=True)
