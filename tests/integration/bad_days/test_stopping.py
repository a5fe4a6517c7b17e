"""The control plane ends when it is told to, whatever hangs in it."""

from __future__ import annotations

import signal

import pytest

from openclaw_hosted.adapters.local.backup.backups import HISTORY
from openclaw_hosted.adapters.local.files import is_locked, locked, read_json
from tests.support.platform import RunningPlatform, wait_until
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("told", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)], ids=lambda each: each.name)
def test_a_backup_that_hangs_does_not_keep_the_control_plane(platform: RunningPlatform, told: signal.Signals) -> None:
    platform.environment = {"BACKUP_EVERY_HOURS": "1"}
    vault = platform.data_dir / "vault"
    vault.mkdir(parents=True, mode=0o700)
    with locked(vault / ".lock"):
        platform.start(spares=0)
        wait_until(lambda: is_locked(platform.data_dir / "run" / "backup.lock"), PATIENCE_SECONDS)
        assert platform.process
        platform.process.send_signal(told)
        assert platform.process.wait(PATIENCE_SECONDS) == 0
        assert "was cut off" in platform.output
        assert read_json(platform.data_dir / HISTORY) is None
    platform.start(spares=0)
    wait_until(lambda: (read_json(platform.data_dir / HISTORY) or {}).get("succeeded_at"), PATIENCE_SECONDS)
    assert [path.name for path in (platform.data_dir / "run").glob("backup-*")] == []
