"""Other users of the computer read nothing of the platform, and what outlives it holds no secret of its start."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from openclaw_hosted import datadir
from openclaw_hosted.adapters.local.processes.process import Program, SupervisedProcess
from openclaw_hosted.bootstrap.doctor.computer import Verdict, check_data_dir
from openclaw_hosted.settings import load_settings
from openclaw_hosted.store import open_store
from tests.support.waiting import until

SECRET = "a-password-of-the-first-start"


async def test_a_data_directory_that_was_open_to_others_is_closed_at_the_next_start(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o755)
    await (await open_store(f"sqlite:///{data_dir}/platform.sqlite")).aclose()
    (data_dir / "run").mkdir(mode=0o755)
    for path in (data_dir / "platform.sqlite", data_dir / "docker.json"):
        path.touch()
        path.chmod(0o644)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (data_dir / "openclaw").symlink_to(elsewhere)
    datadir.prepare(data_dir)
    assert [path.name for path in (data_dir, *data_dir.iterdir()) if not path.is_symlink() and path.stat().st_mode & 0o077] == []
    assert elsewhere.stat().st_mode & 0o777 == 0o755
    assert (data_dir / "platform.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_all_users_share_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(datadir.DataDirError, match="a folder of its own"):
        datadir.prepare(tmp_path)
    assert tmp_path.stat().st_mode & 0o7777 == 0o1777
    assert not list(tmp_path.iterdir())


def test_doctor_tells_what_others_could_read(tmp_path: Path) -> None:
    settings = load_settings({"OPENCLAW_HOSTED_DATA_DIR": tmp_path / "data"})
    datadir.prepare(settings.data_dir)
    assert check_data_dir(settings).verdict is Verdict.OK
    (settings.data_dir / "platform.sqlite").touch(mode=0o644)
    found = check_data_dir(settings)
    assert (found.verdict, "platform.sqlite" in found.message) == (Verdict.WARNING, True)
    assert check_data_dir(settings).verdict is Verdict.OK


async def test_a_supervisor_keeps_nothing_of_the_platforms_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_HOSTED_ADMIN_PASSWORD", SECRET)
    process = SupervisedProcess(tmp_path / "p")
    await process.ensure(Program(("/bin/sleep", "600"), {"COLOUR": "blue"}, "/", str(tmp_path / "log")))
    await until(lambda: process.status().child_pid)
    try:
        for pid in (process.status().supervisor_pid, process.status().child_pid):
            assert pid
            assert SECRET not in str(psutil.Process(pid).environ())
    finally:
        await process.stop()
