"""Users come by command from tasks of the lab's ECS that run, and go back, asked for at their old addresses all the time.

How long each waits is measured by `make bench-migration`, which these are small runs of: it raises where a file, a turn or a user is lost,
where an old address answers anything but OpenClaw's page or the waiting page, and where an old task still runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bench.migration import FILE, check, check_conversation, measure, migrated, moved, names, old_system, said_by
from tests.support.docker import image, stand_in_image
from tests.support.openclaw import release
from tests.support.platform import share_install
from tests.support.stand_in import install_stand_in

__all__ = ["image", "release", "stand_in_image"]

pytestmark = pytest.mark.slow
SAID = "only the new side heard of the butter"
LAST = "and what is on the old side?"


def there_and_back(root: Path, users: Sequence[str], image: str, install: Callable[[Path], None], *, keeps_turns: bool) -> None:
    """They come from containers; the first of them speaks to the new side, and goes back."""
    for data_dir in (root, root / "data"):
        install(data_dir)
    with old_system(root, users, image) as old, migrated(root, old, users) as made:
        moved(made, keeps_turns=keeps_turns)
        first, *others = users
        before = old.task_of(first)
        made.speak(first, SAID)
        (made.state_of(first) / FILE).write_text(SAID)
        back = made.platform.cli("migrate", "rollback", first, "--json", check=False)
        assert back.returncode == 0, back.stdout + back.stderr
        assert json.loads(back.stdout)["items"][0]["state"] == "rolled_back"
        made.until_answered()
        assert (before.runs(), old.task_of(first).runs()) == (False, True)
        assert (old.state_of(first) / FILE).read_text() == SAID
        old.task_of(first).speak(LAST)
        if keeps_turns:
            for text in (said_by(first), SAID, LAST):
                check_conversation(old.node, old.state_of(first), text)
        for user in others:
            check(made, user)
        assert [asker.strange for asker in made.askers.values()] == [[] for _ in users]


def test_users_come_from_running_tasks_and_their_old_addresses_answer_all_the_time(tmp_path: Path) -> None:
    (found,) = measure(tmp_path, 1, None, install_stand_in, keeps_turns=False)
    assert found.held_seconds > 0


@pytest.mark.docker
@pytest.mark.openclaw
def test_users_come_from_containers_and_one_goes_back_with_what_was_written_since(tmp_path: Path, stand_in_image: str) -> None:
    there_and_back(tmp_path, names(2), stand_in_image, install_stand_in, keeps_turns=False)


@pytest.mark.long
@pytest.mark.docker
@pytest.mark.openclaw
def test_a_real_openclaw_in_a_container_comes_and_goes_back_with_its_conversation(tmp_path: Path, image: str) -> None:
    """Long: the test above has the same flow, with a program that stands for OpenClaw."""
    there_and_back(tmp_path, names(1), image, share_install, keeps_turns=True)


@pytest.mark.long
@pytest.mark.openclaw
def test_real_openclaws_come_with_their_conversations_and_files(tmp_path: Path) -> None:
    """Long: the first test here has the same flow, with a program that stands for OpenClaw."""
    assert [found.user for found in measure(tmp_path, 2)] == ["user-1", "user-2"]
