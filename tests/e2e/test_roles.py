"""The two halves of the control plane as processes of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.platform import RunningPlatform, free_port, share_install, wait_until


@pytest.mark.openclaw
def test_web_and_controller_start_at_once_and_work_together(tmp_path: Path) -> None:
    platform = RunningPlatform(tmp_path / "data", free_port(), {"POOL_SPARE_COUNT": "0"})
    share_install(platform.data_dir)
    parts = [platform.launch("serve", "--role", role) for role in ("controller", "web")]
    try:
        wait_until(platform.is_answering, 120, lambda: platform.output)
        with platform.api() as api:
            path = f"/instances/{api.post('/instances', json={'name': 'A'}).json()['id']}"
            wait_until(lambda: api.get(path).json()["phase"] == "running", 120, lambda: platform.output)
        assert [part.poll() for part in parts] == [None, None], platform.output
    finally:
        platform.cli("down")
    assert [part.wait(30) for part in parts] == [0, 0]
