"""Fixtures: the real OpenClaw, installed once for all tests of this computer, and a model for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from openclaw_hosted.adapters.local.install import OpenClawRelease, ensure_openclaw
from tests.support.echo_model import EchoServer
from tests.support.platform import INSTALL_CACHE
from tests.support.serving import serving
from tests.support.waiting import run_apart


@pytest.fixture(scope="session")
def release() -> OpenClawRelease:
    INSTALL_CACHE.mkdir(parents=True, exist_ok=True)
    return run_apart(ensure_openclaw(INSTALL_CACHE, print))


@pytest.fixture(scope="session")
def echo() -> Iterator[EchoServer]:
    with serving(EchoServer()) as server:
        yield server
