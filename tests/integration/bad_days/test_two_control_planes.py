"""Two control planes on one Postgres and one provider: one is killed, or stopped, in the middle of placements."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from tests.integration.bad_days.truth import all_running, assert_each_has_one_machine, instances, is_empty_but_for_spares
from tests.support.platform import RunningPlatform, wait_until
from tests.support.waiting import PATIENCE_SECONDS, run_apart

COUNT = 5
pytestmark = pytest.mark.slow
ROUND_SECONDS = 0.3
"""Of computing: more than a round of all loops takes."""


@pytest.fixture
def both(platform: RunningPlatform, postgres_url: str) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    platform.environment = {"DATABASE_URL": postgres_url, "POOL_SPARE_COUNT": "1"}
    first = platform.launch("serve")
    wait_until(platform.is_answering, PATIENCE_SECONDS, lambda: platform.output)
    second = platform.launch("serve", "--role", "controller", "--replica", "2")
    wait_until((platform.data_dir / "run" / "controller.2.lock").exists, PATIENCE_SECONDS, lambda: platform.output)
    return first, second


def create_all(api: httpx.Client) -> None:
    for number in range(COUNT):
        api.post("/instances", json={"name": f"n{number}"}).raise_for_status()


def in_the_middle(api: httpx.Client) -> bool:
    phases = [instance["phase"] for instance in instances(api)]
    return "running" in phases and any(phase != "running" for phase in phases)


BLOWS = [
    pytest.param(signal.SIGKILL, marks=pytest.mark.long),  # less than being stopped, after which it comes back; the first is killed below
    signal.SIGSTOP,
]


@pytest.mark.postgres
@pytest.mark.parametrize("blow", BLOWS, ids=lambda each: each.name)
def test_the_other_one_finishes_what_one_began(
    platform: RunningPlatform, both: tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]], blow: signal.Signals
) -> None:
    first, second = both
    with platform.api() as api:
        create_all(api)
        wait_until(lambda: in_the_middle(api), PATIENCE_SECONDS, lambda: str(instances(api)), every=0.02)
        second.send_signal(blow)
        if blow is signal.SIGSTOP:
            hold_between_writes(second)
        wait_until(lambda: all_running(api, COUNT), PATIENCE_SECONDS, lambda: f"{instances(api)}\n{platform.output}")
        assert_each_has_one_machine(platform, api)
        if blow is signal.SIGSTOP:
            second.send_signal(signal.SIGCONT)
            has_worked_again(second)
        assert all_running(api, COUNT)
        assert_each_has_one_machine(platform, api)
        assert {instance["generation"] for instance in instances(api)} == {1}
        nothing_is_left_of_deleted_ones(platform, api)
    assert first.poll() is None


def hold_between_writes(process: subprocess.Popen[bytes]) -> None:
    """Have one that was stopped go on for as long as it holds a lock on a file that others write as well.

    The kernel lets go of such a lock when a process ends, and not while it is stopped; docs/guide.md says so. The database lets go of both.
    """
    wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED, PATIENCE_SECONDS)
    assert locks_of(process.pid), "one says that it runs"
    while len(locks_of(process.pid)) > 1:
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED, PATIENCE_SECONDS)


def locks_of(pid: int) -> list[str]:
    """The locks on files that this process holds; those that it waits for are left out."""
    lines = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return [words[-3] for words in lines if words[1] == "FLOCK" and words[4] == str(pid)]


def has_worked_again(process: subprocess.Popen[bytes]) -> None:
    """Wait until it has used the processor for a while, in which its loops came round."""
    before = psutil.Process(process.pid).cpu_times().user
    wait_until(
        lambda: process.poll() is not None or psutil.Process(process.pid).cpu_times().user > before + ROUND_SECONDS, PATIENCE_SECONDS
    )
    assert process.poll() is None


def phases_in(database_url: str) -> list[str]:
    """The phase of each instance, as the database has it: no control plane with pages runs."""

    async def ask() -> list[str]:
        connection = await asyncpg.connect(database_url)
        try:
            return [str(row["phase"]) for row in await connection.fetch("SELECT phase FROM instances")]
        finally:
            await connection.close()

    return run_apart(ask())


def nothing_is_left_of_deleted_ones(platform: RunningPlatform, api: httpx.Client) -> None:
    for instance in instances(api):
        api.delete(f"/instances/{instance['id']}").raise_for_status()
    wait_until(lambda: is_empty_but_for_spares(platform, api), PATIENCE_SECONDS, lambda: platform.output)


@pytest.mark.postgres
def test_the_second_carries_on_when_the_first_is_killed(
    platform: RunningPlatform, both: tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]], postgres_url: str
) -> None:
    first, _ = both
    with platform.api() as api:
        create_all(api)
        wait_until(lambda: in_the_middle(api), PATIENCE_SECONDS, lambda: str(instances(api)), every=0.02)
        first.kill()
        first.wait(PATIENCE_SECONDS)
        wait_until(lambda: phases_in(postgres_url) == ["running"] * COUNT, PATIENCE_SECONDS, lambda: platform.output)
        platform.launch("serve")
        wait_until(platform.is_answering, PATIENCE_SECONDS, lambda: platform.output)
        assert_each_has_one_machine(platform, api)
        nothing_is_left_of_deleted_ones(platform, api)


def test_a_second_controller_on_sqlite_is_refused(platform: RunningPlatform) -> None:
    done = platform.cli("serve", "--role", "controller", "--replica", "2", check=False)
    assert done.returncode == 2
    assert "DATABASE_URL" in done.stderr
