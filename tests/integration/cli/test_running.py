"""The command line beside a platform that runs: what it sees, by whose settings, and who else may come in by that door."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from openclaw_hosted import datadir, local_socket
from openclaw_hosted.settings import load_settings
from tests.integration.cli.conftest import Cli
from tests.support.platform import ADMIN_EMAIL, RunningPlatform
from tests.support.waiting import PATIENCE_SECONDS
from tests.support.web_only import web_only

LIMIT = 3
SETTINGS = {"POOL_SPARE_COUNT": "7", "FLEET_CAP": "77", "INSTANCES_TOTAL": str(LIMIT), "PUBLIC_URL": "https://claw.example.com"}
NOBODY = 65534
KNOCK = """
import os, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
except PermissionError:
    print("refused")
else:
    print("let in")
"""
ASK = """
import os, pathlib, sys
from openclaw_hosted.cli.client import Target
from openclaw_hosted.cli.output import CommandError
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
try:
    Target(pathlib.Path(sys.argv[1])).runs
except CommandError as error:
    print(int(error.code), error)
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with web_only(tmp_path_factory.mktemp("beside") / "data", SETTINGS) as running:
        yield running


@pytest.fixture
def beside(cli: Cli, platform: RunningPlatform) -> Cli:
    """The command line in a shell whose settings are not the platform's."""
    cli.data_dir = platform.data_dir
    return cli


def test_the_settings_of_the_running_platform_count_and_not_the_shells(beside: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOL_SPARE_COUNT", "1")
    monkeypatch.setenv("INSTANCES_TOTAL", "1000")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{beside.data_dir}/other.sqlite")
    shown = beside("pool", "show", "--json").json
    assert (shown["spares_wanted"], shown["fleet_cap"]) == (7, 77)
    assert beside("status", "--json").json["address"] == "https://claw.example.com"
    for number in range(LIMIT):
        made = beside("instances", "create", f"Instance {number}")
        assert made.code == 0, made.stderr
    refused = beside("instances", "create", "One too many")
    assert refused.code == 1
    assert f"holds {LIMIT} instances at most" in refused.stderr
    assert not (beside.data_dir / "other.sqlite").exists()


def test_a_wrong_setting_of_the_shell_is_nothing_to_a_running_platform(beside: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "eighty")
    shown = beside("pool", "show")
    assert shown.code == 0, shown.stderr


def test_a_command_acts_as_the_user_whom_it_names(beside: Cli) -> None:
    made = beside("users", "create", "zoë@example.com", "--password-stdin", "--json", stdin="correct horse battery")
    assert made.code == 0, made.stderr
    assert made.json["role"] == "user"
    assert beside("instances", "list", "--user", "zoë@example.com", "--json").json == {"items": []}
    assert beside("instances", "list", "--user", "nobody@example.com").code == 3
    assert beside("instances", "list", "--user", "").code != 0, "an empty variable of a script must not make it the first admin"
    assert beside("users", "create", "zoë@example.com", "--password-stdin", stdin="correct horse battery").code == 5
    short = beside("users", "create", "x@example.com", "--password-stdin", stdin="short")
    assert (short.code, "characters" in short.stderr) == (2, True)


def test_the_socket_is_its_owners_alone(platform: RunningPlatform) -> None:
    path = local_socket.path_of(platform.data_dir)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_socket_is_closed_to_others_before_it_listens(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with local_socket.listening(tmp_path / "local.sock"):
            assert (tmp_path / "local.sock").stat().st_mode & 0o777 == 0o600
            assert not local_socket.answers(tmp_path.parent)
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_of_the_computer_is_refused_even_where_the_directory_is_open(platform: RunningPlatform) -> None:
    path = local_socket.path_of(platform.data_dir)

    def knock(user: int) -> str:
        done = subprocess.run(
            [sys.executable, "-c", KNOCK, str(path), str(user)], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True
        )
        return done.stdout.strip()

    assert knock(NOBODY) == "refused"
    opened = [folder for folder in (path.parent, *path.parents) if folder.stat().st_mode & 0o005 != 0o005]
    modes = {folder: folder.stat().st_mode & 0o7777 for folder in opened}
    try:
        for folder in modes:
            folder.chmod(0o755)
        assert knock(NOBODY) == "refused"
        path.chmod(0o666)
        assert knock(NOBODY) == "let in", "the test itself would not see an open door"
    finally:
        path.chmod(0o600)
        for folder, mode in modes.items():
            folder.chmod(mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_is_told_whose_platform_it_is(platform: RunningPlatform) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(platform.data_dir), str(NOBODY)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("4 ")
    assert "belongs to another user" in done.stdout


def test_nothing_that_a_client_sends_over_the_network_makes_it_local(platform: RunningPlatform) -> None:
    headers = {local_socket.ACT_AS: ADMIN_EMAIL, local_socket.NEEDS_ACCOUNT: "yes", "openclaw_hosted.local": "True", "Host": "localhost"}
    edge = httpx.HTTPTransport(uds=str(platform.data_dir / "run" / "web.sock"))
    with httpx.Client(transport=edge, base_url="http://localhost", headers=headers) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/api/v1/pool").status_code == 401
        assert client.get("/api/v1/local").status_code == 404
        made = client.post("/api/v1/local/users", json={"email": "x@example.com", "password": "correct horse battery", "role": "admin"})
        assert made.status_code == 404
        assert "local" not in client.get("/api/v1/openapi.json").text.replace("localhost", "")


def test_one_that_was_killed_leaves_a_socket_that_nobody_waits_for(cli: Cli) -> None:
    with web_only(cli.data_dir, {"INSTANCES_TOTAL": "2"}) as killed:
        assert cli("status", "--json").json["address"] == killed.url
        killed.kill()
        assert local_socket.path_of(cli.data_dir).exists()
        assert cli("pool", "show").code == 0
        assert json.loads(cli("status", "--json").stdout)["running"] is False
    with web_only(cli.data_dir, {}) as stopped:
        assert cli("pool", "show").code == 0
        assert stopped.process is not None
        stopped.process.terminate()
        stopped.process.wait(60)
        assert not local_socket.path_of(cli.data_dir).exists()
        assert cli("users", "list").code == 0
    assert not datadir.holders(cli.data_dir)


def test_one_that_was_stopped_is_judged_by_the_limits_that_it_was_started_with(cli: Cli) -> None:
    datadir.prepare(cli.data_dir)
    where = {"OPENCLAW_HOSTED_DATA_DIR": cli.data_dir}
    datadir.remember(load_settings({**where, "INSTANCES_TOTAL": 10_000, "INSTANCES_PER_USER": 500, "RETENTION_DAYS": 30}))
    beside = datadir.as_started(load_settings(where))
    assert (beside.instances_total, beside.instances_per_user, beside.retention_days) == (10_000, 500, 30)
    assert datadir.as_started(load_settings({**where, "INSTANCES_TOTAL": 5})).instances_total == 5
