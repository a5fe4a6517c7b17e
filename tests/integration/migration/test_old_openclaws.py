"""Users come by command from tasks of the lab's ECS that run, asked for at their old addresses all the time.

How long each waits is measured by `make bench-migration`, which this is a small run of: it raises where a file, a turn or a user is lost,
where an old address answers anything but OpenClaw's page or the waiting page, and where an old task still runs.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.migration import measure
from tests.support.stand_in import install_stand_in

pytestmark = pytest.mark.slow


def test_users_come_from_running_tasks_and_their_old_addresses_answer_all_the_time(tmp_path: Path) -> None:
    (moved,) = measure(tmp_path, 1, install_stand_in, keeps_turns=False)
    assert moved.held_seconds > 0


@pytest.mark.long
@pytest.mark.openclaw
def test_real_openclaws_come_with_their_conversations_and_files(tmp_path: Path) -> None:
    """Long: the test above has the same flow, with a program that stands for OpenClaw."""
    assert [moved.user for moved in measure(tmp_path, 2)] == ["user-1", "user-2"]
