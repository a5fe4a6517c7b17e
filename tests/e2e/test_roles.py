"""The two halves of the control plane as processes of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.platform import RunningPlatform, share_install, wait_until
from tests.support.ports import free_port
from tests.support.stand_in import install_stand_in
from tests.support.waiting import PATIENCE_SECONDS

INSTALLS = [
    pytest.param(install_stand_in, id="stand-in"),
    pytest.param(share_install, id="openclaw", marks=[pytest.mark.openclaw, pytest.mark.long]),
]


@pytest.mark.parametrize("install", INSTALLS)
def test_web_and_controller_start_at_once_and_work_together(tmp_path: Path, install: Callable[[Path], None]) -> None:
    platform = RunningPlatform(tmp_path / "data", free_port(), {"POOL_SPARE_COUNT": "0"})
    install(platform.data_dir)
    parts = [platform.launch("serve", "--role", role) for role in ("controller", "web")]
    try:
        wait_until(platform.is_answering, PATIENCE_SECONDS, lambda: platform.output)
        with platform.api() as api:
            path = f"/instances/{api.post('/instances', json={'name': 'A'}).json()['id']}"
            wait_until(lambda: api.get(path).json()["phase"] == "running", PATIENCE_SECONDS, lambda: platform.output)
        assert [part.poll() for part in parts] == [None, None], platform.output
    finally:
        platform.cli("down")
    assert [part.wait(30) for part in parts] == [0, 0]
