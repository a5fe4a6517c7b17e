from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.support.browser import CHROMIUM, CHROMIUM_FLAGS, NO_CHROMIUM
from tests.support.docker import image
from tests.support.openclaw import echo, release
from tests.support.platform import RunningPlatform, running_platform
from tests.support.waiting import PATIENCE_MS

__all__ = ["browser", "echo", "image", "platform", "release"]


@pytest.fixture(scope="module", params=["process", pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.long])])
def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    if request.param == "docker":
        request.getfixturevalue("image")
    data_dir: Path = tmp_path_factory.mktemp("p") / "data"
    with running_platform(data_dir, spares=1, environment={"MACHINES": request.param}) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip(NO_CHROMIUM)
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield launched
        launched.close()
