"""Two control planes on one Postgres and one provider: one is killed, or stopped, in the middle of placements."""

from __future__ import annotations

import signal
import subprocess
import time

import httpx
import pytest

from tests.integration.bad_days.truth import all_running, assert_each_has_one_machine, instances, is_empty_but_for_spares
from tests.support.platform import RunningPlatform, wait_until

COUNT = 5
CONVERGED_SECONDS = 30


@pytest.fixture
def both(platform: RunningPlatform, postgres_url: str) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    platform.environment = {"DATABASE_URL": postgres_url, "POOL_SPARE_COUNT": "1"}
    first = platform.launch("serve")
    wait_until(platform.is_answering, 60, lambda: platform.output)
    second = platform.launch("serve", "--role", "controller", "--replica", "2")
    wait_until((platform.data_dir / "run" / "controller.2.lock").exists, 60, lambda: platform.output)
    return first, second


def create_all(api: httpx.Client) -> None:
    for number in range(COUNT):
        api.post("/instances", json={"name": f"n{number}"}).raise_for_status()


def in_the_middle(api: httpx.Client) -> bool:
    phases = [instance["phase"] for instance in instances(api)]
    return "running" in phases and any(phase != "running" for phase in phases)


@pytest.mark.postgres
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_the_other_one_finishes_what_one_began(
    platform: RunningPlatform, both: tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]], blow: signal.Signals
) -> None:
    first, second = both
    with platform.api() as api:
        create_all(api)
        wait_until(lambda: in_the_middle(api), 60, lambda: str(instances(api)), every=0.02)
        second.send_signal(blow)
        began = time.monotonic()
        wait_until(lambda: all_running(api, COUNT), CONVERGED_SECONDS, lambda: f"{instances(api)}\n{platform.output}")
        assert time.monotonic() - began <= CONVERGED_SECONDS
        assert_each_has_one_machine(platform, api)
        if blow is signal.SIGSTOP:
            second.send_signal(signal.SIGCONT)
            time.sleep(3)
            assert second.poll() is None
        assert all_running(api, COUNT)
        assert_each_has_one_machine(platform, api)
        assert {instance["generation"] for instance in instances(api)} == {1}
        nothing_is_left_of_deleted_ones(platform, api)
    assert first.poll() is None


def nothing_is_left_of_deleted_ones(platform: RunningPlatform, api: httpx.Client) -> None:
    for instance in instances(api):
        api.delete(f"/instances/{instance['id']}").raise_for_status()
    wait_until(lambda: is_empty_but_for_spares(platform, api), CONVERGED_SECONDS, lambda: platform.output)


@pytest.mark.postgres
def test_the_second_carries_on_when_the_first_is_killed(
    platform: RunningPlatform, both: tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]
) -> None:
    first, _ = both
    with platform.api() as api:
        create_all(api)
        wait_until(lambda: in_the_middle(api), 60, lambda: str(instances(api)), every=0.02)
        first.kill()
        first.wait(10)
        began = time.monotonic()
        wait_until(lambda: platform.phases() == ["running"] * COUNT, CONVERGED_SECONDS, lambda: platform.output)
        assert time.monotonic() - began <= CONVERGED_SECONDS
        platform.launch("serve")
        wait_until(platform.is_answering, 60, lambda: platform.output)
        assert_each_has_one_machine(platform, api)
        nothing_is_left_of_deleted_ones(platform, api)


def test_a_second_controller_on_sqlite_is_refused(platform: RunningPlatform) -> None:
    done = platform.cli("serve", "--role", "controller", "--replica", "2", check=False)
    assert done.returncode == 2
    assert "DATABASE_URL" in done.stderr
