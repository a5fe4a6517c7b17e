"""Programs under a supervisor: real processes, small programs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from openclaw_hosted.adapters.local.processes import process as processes
from openclaw_hosted.adapters.local.processes import supervisor
from openclaw_hosted.adapters.local.processes.process import Program, SupervisedProcess
from tests.support.supervised import hurry_restarts, supervisor_has_looked
from tests.support.waiting import until

FIRST_BACKOFF_SECONDS = 0.05

SLEEPER = "import time, sys; print('hello', flush=True); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
ENDS_ONCE_IT_MAY = """
import os, signal, sys, time
def end(*_):
    print('asked to end', flush=True)
    while not os.path.exists('may-end'):
        time.sleep(0.01)
    print('ended well', flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
print('up', flush=True)
time.sleep(600)
"""
WITH_OFFSPRING = """
import subprocess, sys, time
for own_session in (False, True):
    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=own_session)
print('has children', flush=True)
time.sleep(600)
"""


def marked(process: SupervisedProcess) -> set[int]:
    return supervisor.marked_processes(str(process.directory))


def exits(process: SupervisedProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (process.directory / "exits.jsonl").read_text().splitlines()]


def program(directory: Path, code: str, **changes: object) -> Program:
    argv = (sys.executable, "-c", code)
    fields: dict[str, object] = {"argv": argv, "env": {}, "cwd": str(directory), "log": str(directory / "out.log"), **changes}
    return Program(**fields)  # type: ignore[arg-type]


@pytest.fixture
async def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SupervisedProcess]:
    hurry_restarts(monkeypatch, tmp_path, FIRST_BACKOFF_SECONDS)
    made = SupervisedProcess(tmp_path / "thing")
    made.directory.mkdir()
    yield made
    (made.directory / "may-end").touch()
    await made.stop()
    assert not marked(made)


async def test_a_program_runs_and_its_output_is_kept(process: SupervisedProcess) -> None:
    await process.ensure(program(process.directory, SLEEPER))
    await until(lambda: process.status().state == "running")
    await until(lambda: "hello" in (process.directory / "out.log").read_text())
    assert process.is_alive()


async def test_a_program_and_what_it_starts_stand_behind_others_for_processor_time(process: SupervisedProcess) -> None:
    await process.ensure(program(process.directory, WITH_OFFSPRING, nice=5))
    await until(lambda: len(marked(process)) == 3)
    own = process.status().supervisor_pid
    assert own
    assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in marked(process)} == {os.getpriority(os.PRIO_PROCESS, own) + 5}


async def test_asking_twice_changes_nothing(process: SupervisedProcess) -> None:
    wanted = program(process.directory, SLEEPER)
    await process.ensure(wanted)
    await until(lambda: process.status().child_pid)
    before = process.status()
    await process.ensure(wanted)
    await supervisor_has_looked(process)
    assert process.status() == before


async def test_another_program_replaces_the_first(process: SupervisedProcess) -> None:
    await process.ensure(program(process.directory, SLEEPER))
    await until(lambda: process.status().child_pid)
    first = process.status().child_pid
    other = program(process.directory, SLEEPER, env={"COLOUR": "blue"})
    await process.ensure(other)
    await until(lambda: process.status().fingerprint == other.fingerprint)
    assert process.status().child_pid != first
    assert not psutil.pid_exists(first or 0)


async def test_a_crashed_program_is_started_again(process: SupervisedProcess) -> None:
    await process.ensure(program(process.directory, SLEEPER))
    await until(lambda: process.status().child_pid)
    first = process.status().child_pid
    assert first
    os.kill(first, signal.SIGKILL)
    await until(lambda: process.status().child_pid not in (None, first))
    assert process.status().restarts == 1
    assert process.status().exit_code == -signal.SIGKILL
    assert [entry["exit_code"] for entry in exits(process)] == [-signal.SIGKILL]


async def test_a_program_that_keeps_crashing_is_started_ever_more_slowly(process: SupervisedProcess) -> None:
    await process.ensure(program(process.directory, "raise SystemExit(1)"))
    await until(lambda: process.status().restarts >= 4)
    ends = [entry["at"] for entry in exits(process)][:4]
    pauses = [later - earlier for earlier, later in pairwise(ends)]
    assert all(pause >= FIRST_BACKOFF_SECONDS * 2**number for number, pause in enumerate(pauses))


async def test_an_exit_that_says_so_is_not_followed_by_a_start(
    process: SupervisedProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry_restarts(monkeypatch, tmp_path, 0)
    wanted = program(process.directory, "raise SystemExit(78)", never_restart_exit_codes=(78,))
    await process.ensure(wanted)
    await until(lambda: process.status().state == "refused")
    await supervisor_has_looked(process)
    assert process.status().exit_code == 78
    assert len(exits(process)) == 1
    await process.restart()
    await until(lambda: len(exits(process)) == 2)


async def test_a_restart_at_once_does_not_wait_and_a_later_stop_waits_again(
    process: SupervisedProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "HURRY_SECONDS", 0.05)
    await process.ensure(program(process.directory, ENDS_ONCE_IT_MAY, stop_timeout_seconds=600))
    log = process.directory / "out.log"
    await until(lambda: log.exists() and "up" in log.read_text())
    first = process.status().child_pid
    await process.restart(at_once=True)
    await until(lambda: process.status().child_pid not in (None, first) and log.read_text().count("up") == 2)
    second = process.status().child_pid
    assert "ended well" not in log.read_text()
    asked_before = log.read_text().count("asked to end")
    halt = asyncio.create_task(process.halt())
    await until(lambda: log.read_text().count("asked to end") > asked_before or process.status().child_pid != second)
    (process.directory / "may-end").touch()
    await halt
    assert "ended well" in log.read_text()


async def test_a_stop_in_a_hurry_ends_by_force_what_does_not_end(process: SupervisedProcess) -> None:
    await process.ensure(program(process.directory, ENDS_ONCE_IT_MAY, stop_timeout_seconds=600))
    log = process.directory / "out.log"
    await until(lambda: log.exists() and "up" in log.read_text())
    await process.halt(hurry_seconds=0.05)
    assert process.status().child_pid is None
    assert "ended well" not in log.read_text()


async def test_a_restart_is_a_new_process_and_a_later_ensure_leaves_it_alone(process: SupervisedProcess) -> None:
    wanted = program(process.directory, SLEEPER)
    await process.ensure(wanted)
    await until(lambda: process.status().child_pid)
    first = process.status().child_pid
    await process.restart()
    await until(lambda: process.status().child_pid not in (None, first))
    second = process.status().child_pid
    await process.ensure(wanted)
    await supervisor_has_looked(process)
    assert process.status().child_pid == second


async def test_a_restart_of_what_is_ending_already_is_the_same_one(process: SupervisedProcess) -> None:
    await process.ensure(program(process.directory, ENDS_ONCE_IT_MAY, stop_timeout_seconds=600))
    log = process.directory / "out.log"
    await until(lambda: log.exists() and "up" in log.read_text())
    first = process.status()
    assert not first.stopping
    await process.restart()
    assert process.status().stopping
    await until(lambda: "asked to end" in log.read_text())
    await process.restart()
    assert (process.status().child_pid, process.status().stopping) == (first.child_pid, True)
    (process.directory / "may-end").touch()
    await until(lambda: process.status().child_pid not in (None, first.child_pid))
    await supervisor_has_looked(process)
    assert not process.status().stopping
    assert len(exits(process)) == 1


async def test_a_program_that_ignores_the_request_to_stop_is_killed(process: SupervisedProcess) -> None:
    await process.ensure(program(process.directory, STUBBORN, stop_timeout_seconds=0.05))
    await until(lambda: (process.directory / "out.log").exists() and "deaf" in (process.directory / "out.log").read_text())
    await process.halt()
    assert process.is_alive()
    assert process.status().state == "stopped"


async def test_offspring_in_a_session_of_its_own_ends_with_the_program(process: SupervisedProcess) -> None:
    await process.ensure(program(process.directory, WITH_OFFSPRING))
    await until(lambda: len(marked(process)) == 3)
    child = process.status().child_pid
    assert child
    os.kill(child, signal.SIGKILL)
    await until(lambda: process.status().child_pid not in (None, child) and len(marked(process)) == 3)
    await process.halt()
    assert not marked(process)


async def test_a_killed_supervisor_takes_its_program_along_and_the_next_one_starts_it_again(process: SupervisedProcess) -> None:
    await process.ensure(program(process.directory, SLEEPER))
    await until(lambda: process.status().child_pid)
    supervisor_pid, child = process.status().supervisor_pid, process.status().child_pid
    assert supervisor_pid
    os.kill(supervisor_pid, signal.SIGKILL)
    await until(lambda: not process.is_alive())
    assert process.status().state == "stopped"
    await process.supervise()
    await until(lambda: process.status().child_pid not in (None, child))
    assert marked(process) == {process.status().child_pid}


async def test_what_a_dead_supervisor_wrote_is_not_believed(process: SupervisedProcess) -> None:
    await process.ensure(program(process.directory, SLEEPER))
    await until(lambda: process.status().child_pid)
    written = (process.directory / "status.json").read_bytes()
    dead = process.status().supervisor_pid
    await process.stop()
    await process.supervise()
    await until(lambda: process.status().supervisor_pid not in (None, dead))
    (process.directory / "status.json").write_bytes(written)
    assert process.status().child_pid is None


async def test_a_second_supervisor_leaves_at_once(process: SupervisedProcess) -> None:
    await asyncio.gather(*(SupervisedProcess(process.directory).supervise() for _ in range(5)))
    assert process.is_alive()
    paths = [p for p in psutil.process_iter(["cmdline"]) if str(process.directory) in (p.info["cmdline"] or [])]
    assert len(paths) == 1


async def test_another_object_adopts_what_runs(process: SupervisedProcess) -> None:
    await process.ensure(program(process.directory, SLEEPER))
    await until(lambda: process.status().child_pid)
    assert SupervisedProcess(process.directory).status() == process.status()


async def test_sigterm_ends_the_program_and_the_supervisor(process: SupervisedProcess) -> None:
    await process.ensure(program(process.directory, SLEEPER))
    await until(lambda: process.status().child_pid)
    pid = process.status().supervisor_pid
    assert pid
    os.kill(pid, signal.SIGTERM)
    await until(lambda: not process.is_alive())
    assert not marked(process)


async def test_a_supervisor_is_small(process: SupervisedProcess) -> None:
    await process.supervise()
    await until(lambda: process.status().supervisor_pid)
    assert psutil.Process(process.status().supervisor_pid).memory_info().rss < 20_000_000


def test_a_log_that_grew_is_copied_and_emptied(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for round_number in range(5):
        log.write_bytes(b"%d" % round_number * 200)
        supervisor.rotate(str(log), 100, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1", "log.2", "log.3"]
    assert log.read_bytes() == b""
    assert (tmp_path / "log.1").read_bytes().startswith(b"4")
