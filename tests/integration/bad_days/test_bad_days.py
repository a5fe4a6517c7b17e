"""Bad days of the whole platform, each ending where it should: nothing lost, and nobody had to do anything."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from openclaw_hosted.adapters.local.processes import supervisor
from openclaw_hosted.adapters.local.processes.process import SupervisedProcess
from openclaw_hosted.domain.naming import InstanceId, volume_of
from tests.integration.bad_days.truth import all_running, assert_each_has_one_machine, instances, look
from tests.support.disk import fill_up, small_disk
from tests.support.platform import RunningPlatform, wait_until
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.stand_in import install_stand_in
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.slow
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
SECONDS = [6, pytest.param(30, marks=pytest.mark.long)]
together = pytest.mark.xdist_group("a platform that stays up")


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """One without spares for all days that it survives as it is. Each leaves all that runs there in good order."""
    made = RunningPlatform(tmp_path_factory.mktemp("steady") / "data", free_port())
    install_stand_in(made.data_dir)
    try:
        made.start(spares=0)
        yield made
    finally:
        made.end_all()
        shutil.rmtree(made.data_dir, ignore_errors=True)


def created(api: httpx.Client, name: str = "A") -> str:
    """A new instance that runs: its id."""
    instance_id = str(api.post("/instances", json={"name": name}).raise_for_status().json()["id"])
    until_phase(api, instance_id, "running")
    return instance_id


def until_phase(api: httpx.Client, instance_id: str, phase: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
    def reached() -> bool:
        return bool(shown(api, instance_id)["phase"] == phase)

    wait_until(reached, seconds, lambda: str(shown(api, instance_id)))
    return shown(api, instance_id)


def shown(api: httpx.Client, instance_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/instances/{instance_id}").raise_for_status().json()
    return found


def machine_of(platform: RunningPlatform, instance_id: str) -> Path:
    """The directory of the machine that serves an instance."""
    return next(platform.data_dir / "machines" / name for name, served in look(platform).serving.items() if served == instance_id)


def state_of(platform: RunningPlatform, instance_id: str) -> Path:
    """The state directory on an instance's volume."""
    return platform.data_dir / "volumes" / volume_of(InstanceId(instance_id)) / "state"


def gateway_pid(machine: Path) -> int:
    """The gateway, as the machine's supervisor says."""
    pid = SupervisedProcess(machine).status().child_pid
    assert pid
    return pid


def test_everything_is_killed_at_once_as_when_the_power_fails(platform: RunningPlatform) -> None:
    platform.start(spares=1)
    with platform.api() as api:
        ids = [created(api, name) for name in ("A", "B")]
        before = {each["id"]: each["generation"] for each in instances(api)}
        assert platform.process
        kill_all(platform)
        platform.start(spares=1)
        wait_until(
            lambda: all_running(api, 2) and all(reachable(platform, each) for each in ids), PATIENCE_SECONDS, lambda: platform.output
        )
        assert {each["id"]: each["generation"] for each in instances(api)} == before
        assert_each_has_one_machine(platform, api)


def kill_all(platform: RunningPlatform) -> None:
    """SIGKILL to every process of the data directory."""
    directory = str(platform.data_dir)
    folders = [path for kind in ("machines", "edge") for path in (platform.data_dir / kind).iterdir() if path.is_dir()]
    pids = {pid for folder in folders for pid in supervisor.marked_processes(str(folder))}
    pids |= {process.pid for process in psutil.process_iter(["cmdline"]) if directory in " ".join(process.info["cmdline"] or [])}
    for pid in pids - {os.getpid()}:
        supervisor.kill(pid, signal.SIGKILL)
    assert platform.process
    platform.process.wait(10)


def reachable(platform: RunningPlatform, instance_id: str) -> bool:
    """Whether its gateway answers as itself at its machine's address."""
    try:
        machine = machine_of(platform, instance_id)
        port = json.loads((machine / "machine.json").read_text())["port"]
        return "openclaw-app" in httpx.get(f"http://127.0.0.1:{port}/{instance_id}/", timeout=5).text
    except (StopIteration, httpx.HTTPError):
        return False


@together
@pytest.mark.parametrize("seconds", SECONDS)
def test_the_database_is_locked_for_a_while(steady: RunningPlatform, seconds: int) -> None:
    with steady.api() as api:
        first = created(api)
        with closing(sqlite3.connect(steady.data_dir / "platform.sqlite", isolation_level=None)) as hog:
            hog.execute("BEGIN IMMEDIATE")
            stays_up(steady, first, seconds)
            hog.execute("ROLLBACK")
        carries_on(steady, api, first)


@pytest.mark.postgres
@pytest.mark.parametrize("seconds", SECONDS)
def test_the_database_is_gone_for_a_while(
    platform: RunningPlatform, postgres_server: PostgresServer, postgres_url: str, seconds: int
) -> None:
    platform.environment = {"DATABASE_URL": postgres_url}
    platform.start(spares=1)
    with platform.api() as api:
        first = created(api)
        postgres_server.stop()
        answer = api.get("/instances")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert "database" in answer.json()["detail"].lower()
        stays_up(platform, first, seconds)
        postgres_server.start()
        wait_until(lambda: api.get("/instances").status_code == 200, PATIENCE_SECONDS)
        carries_on(platform, api, first)


def stays_up(platform: RunningPlatform, instance_id: str, seconds: float) -> None:
    """Instances are used meanwhile, the platform goes on answering, and it does not end."""
    machine = machine_of(platform, instance_id)
    pid = gateway_pid(machine)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert reachable(platform, instance_id)
        assert httpx.get(f"{platform.url}/healthz", timeout=5).status_code == 200
        time.sleep(0.5)
    assert platform.process
    assert platform.process.poll() is None, platform.output
    assert gateway_pid(machine) == pid


def carries_on(platform: RunningPlatform, api: httpx.Client, instance_id: str) -> None:
    """What ran runs on where it did, and new ones come."""
    until_phase(api, instance_id, "running")
    created(api, "later")
    assert {each["generation"] for each in instances(api)} == {1}
    assert_each_has_one_machine(platform, api)


def test_the_disk_is_full_for_a_while(platform: RunningPlatform) -> None:
    with small_disk(platform.data_dir, "96m"):
        platform.start(spares=1)
        with platform.api() as api:
            first = created(api)
            ballast = platform.data_dir / "ballast"
            fill_up(ballast)
            answer = api.post("/instances", json={"name": "too much"})
            assert answer.status_code == 202 or "disk is full" in answer.json()["detail"], answer.text
            says_that_the_disk_is_full(platform)
            stays_up(platform, first, 6)
            ballast.unlink()
            wait_until(platform.is_answering, PATIENCE_SECONDS)
            carries_on(platform, api, first)
        platform.down()


def says_that_the_disk_is_full(platform: RunningPlatform) -> None:
    ready = httpx.get(f"{platform.url}/readyz", timeout=30)
    assert (ready.status_code, ready.json()["checks"]["disk"]) == (503, False)
    told = json.loads(platform.cli("status", "--json", check=False).stdout)
    assert told["ready"] is False
    assert f"{platform.data_dir} is full" in told["note"]
    assert "old backups" in told["note"]


@pytest.mark.faketime
def test_the_clock_is_set_back_an_hour(platform: RunningPlatform, tmp_path: Path) -> None:
    if FAKETIME is None:
        pytest.skip("libfaketime is not installed: apt-get install faketime")
    offset = tmp_path / "offset"
    offset.write_text("+0\n")
    platform.environment = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    platform.start(spares=1)
    with platform.api() as api:
        first = created(api)
        offset.write_text("-3600\n")
        carries_on(platform, api, first)
        api.delete(f"/instances/{first}").raise_for_status()
        until_phase(api, first, "deleted")


@together
def test_a_gateway_that_keeps_crashing_says_so_and_comes_back_once_it_can(steady: RunningPlatform) -> None:
    with steady.api() as api:
        instance_id = created(api)
        trap = state_of(steady, instance_id) / "crash"
        trap.touch()
        os.kill(gateway_pid(machine_of(steady, instance_id)), signal.SIGKILL)
        until_phase(api, instance_id, "updating")
        trap.unlink()
        assert until_phase(api, instance_id, "running")["generation"] == 1


@together
def test_settings_that_openclaw_refuses_are_named_and_can_be_mended(steady: RunningPlatform) -> None:
    with steady.api() as api:
        instance_id = created(api)
        config = state_of(steady, instance_id) / "openclaw.json"
        config.write_text(config.read_text().replace('"gateway": {', '"gateway": {"nonsense": 1,', 1))
        os.kill(gateway_pid(machine_of(steady, instance_id)), signal.SIGTERM)
        failed = until_phase(api, instance_id, "failed")
        assert "nonsense" in failed["error"]
        assert "restart" in failed["error"].lower()
        api.post(f"/instances/{instance_id}/restart").raise_for_status()
        assert until_phase(api, instance_id, "running")["error"] is None
        assert "nonsense" not in config.read_text()


@together
def test_a_restart_during_a_turn_shows_what_the_address_answers(steady: RunningPlatform) -> None:
    with steady.api() as api:
        instance_id = created(api)
        machine = machine_of(steady, instance_id)
        before, turn = gateway_pid(machine), state_of(steady, instance_id) / "turn"
        turn.touch()
        try:
            api.post(f"/instances/{instance_id}/restart").raise_for_status()
            wait_until(lambda: has_told_of_the_restart(steady, instance_id), PATIENCE_SECONDS)
            found = shown(api, instance_id)
            assert (found["phase"], found["error"]) == ("updating", None)
            assert gateway_pid(machine) == before
            refused = api.post(f"/instances/{instance_id}/open")
            told = "Its state is “Applying changes”. It opens once that is “Running”."
            assert (refused.status_code, refused.json()["detail"]) == (409, told)
        finally:
            turn.unlink()
        assert until_phase(api, instance_id, "running")["generation"] == 1
        assert gateway_pid(machine) not in (None, before)


def has_told_of_the_restart(platform: RunningPlatform, instance_id: str) -> bool:
    """Whether placement has told the machine of the restart, and is through with that attempt."""
    with closing(sqlite3.connect(f"file:{platform.data_dir / 'platform.sqlite'}?mode=ro", uri=True)) as database:
        row = database.execute("SELECT restarts_done, lease_token FROM instances WHERE id = ?", [instance_id]).fetchone()
    return bool(row == (1, None))


@together
@pytest.mark.long
def test_a_gateway_that_hangs_is_ended_by_force(steady: RunningPlatform) -> None:
    with steady.api() as api:
        instance_id = created(api)
        machine = machine_of(steady, instance_id)
        time.sleep(6)
        before = gateway_pid(machine)
        os.kill(before, signal.SIGSTOP)
        until_phase(api, instance_id, "updating")
        until_phase(api, instance_id, "running")
        assert gateway_pid(machine) != before
