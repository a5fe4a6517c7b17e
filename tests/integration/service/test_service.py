"""The systemd unit: what it says, whether systemd takes it, and that what it starts outlives a stop as it says."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from openclaw_hosted.adapters.local.environment import TAKEN_OVER
from openclaw_hosted.adapters.local.processes.process import SupervisedProcess
from openclaw_hosted.datadir import open_to_others
from openclaw_hosted.systemd import Service, environment_text, hidden_from_others, left_out
from tests.integration.cli.conftest import Cli, cli, loops_of_its_own
from tests.support.platform import RunningPlatform, wait_until
from tests.support.ports import free_port
from tests.support.stand_in import install_stand_in
from tests.support.systemd import SYSTEM, lines_of
from tests.support.waiting import PATIENCE_SECONDS

__all__ = ["cli", "loops_of_its_own"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("user", [None, "root"])
def test_systemd_takes_the_unit(tmp_path: Path, user: str | None) -> None:
    path = tmp_path / "openclaw-hosted.service"
    path.write_text(Service(SYSTEM.python, tmp_path / "100% $HOME data", SYSTEM.environment, user, low_port=True).unit)
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *([] if user else ["--user"]), str(path)]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=environment, check=False)
    complaints = [line for line in done.stderr.splitlines() if path.name in line]
    assert not complaints, done.stderr
    if done.returncode and "Failed to" in done.stderr:
        pytest.skip(f"systemd-analyze can't work here: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr


def test_the_environment_file_keeps_every_value(tmp_path: Path) -> None:
    values = {"PORT": "9000", "OPENCLAW_HOSTED_ADMIN_PASSWORD": 'a "b" c\\d', "PATH": "/bin", "OPENCLAW_HOSTED_DATA_DIR": "/x"}
    text = environment_text(values, [])
    assert "PATH=/bin" not in text
    assert "OPENCLAW_HOSTED_DATA_DIR" not in text
    assert "#DATABASE_URL=" in text
    (tmp_path / "env").write_text(text)
    shell = subprocess.run(
        ["bash", "-c", f". {tmp_path}/env; echo \"$PORT\"; echo \"$OPENCLAW_HOSTED_ADMIN_PASSWORD\""],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shell.stdout.splitlines() == ["9000", 'a "b" c\\d']


def test_what_gateways_take_over_is_copied_unless_it_may_hold_a_secret_or_can_not_be_read(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if Path("/run/systemd/system").is_dir():
        pytest.skip("systemd runs here, and would start it")
    for name in TAKEN_OVER:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("npm_config_registry", "https://packages.example.com/npm/")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter22@proxy.example.com:3128")
    monkeypatch.setenv("NO_PROXY", "models.local")
    monkeypatch.setenv("PATH", str(tmp_path))
    done = cli("install-service", "--user")
    assert "HTTPS_PROXY is not copied: it may hold a password" in " ".join(done.stderr.split())
    assert "hunter22" not in done.stdout + done.stderr
    text = (tmp_path / "config/openclaw-hosted/environment").read_text()
    assert 'npm_config_registry="https://packages.example.com/npm/"' in text
    assert 'NO_PROXY="models.local"' in text
    assert "proxy.example.com" not in text


def test_a_file_that_the_services_user_can_not_read_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "own.pem").touch(mode=0o600)
    environment = {"SSL_CERT_FILE": str(tmp_path / "own.pem"), "PIP_CERT": str(tmp_path / "gone.pem"), "LANG": "C.UTF-8"}
    assert list(left_out(environment, list(environment), for_user=False)) == ["SSL_CERT_FILE", "PIP_CERT"]
    assert left_out(environment, list(environment), for_user=True) == {}


def test_what_the_services_user_can_not_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "closed" / "python").write_text("")
    found = hidden_from_others(tmp_path / "closed" / "python")
    assert found is not None
    assert (tmp_path / "closed").is_relative_to(found)


def test_install_and_uninstall_for_a_user(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("OPENCLAW_HOSTED_ADMIN_PASSWORD", "correct horse battery")
    monkeypatch.setenv("OPENCLAW_HOSTED_ADMIN_EMAIL", "admin@example.com")
    monkeypatch.setenv("PATH", str(tmp_path))
    unit, environment = tmp_path / "config/systemd/user/openclaw-hosted.service", tmp_path / "config/openclaw-hosted/environment"
    if Path("/run/systemd/system").is_dir():
        pytest.skip("systemd runs here, and would start it")
    shown = cli("install-service", "--user", "--dry-run")
    assert (shown.code, "KillMode=process" in shown.stdout, unit.exists()) == (0, True, False)
    assert "correct horse" not in shown.stdout + shown.stderr
    done = cli("install-service", "--user")
    assert done.code == 0, done.stderr
    assert "enable-linger" in done.stderr
    assert environment.stat().st_mode & 0o777 == 0o600
    assert str(cli.data_dir) in unit.read_text()
    assert "correct horse" not in unit.read_text() + done.stdout + done.stderr
    environment.write_text("PORT=9001\n")
    assert cli("install-service", "--user").code == 0
    assert environment.read_text() == "PORT=9001\n"
    assert cli.bare("uninstall-service", "--user").code == 0
    assert not unit.exists()
    assert environment.exists()
    assert cli.bare("uninstall-service", "--user").code == 3


def test_what_the_unit_starts_is_stopped_alone_and_adopted_again(tmp_path: Path) -> None:
    platform = RunningPlatform(tmp_path / "data", free_port())
    install_stand_in(platform.data_dir)
    unit = Service(Path(sys.executable), platform.data_dir, tmp_path / "environment").unit
    command = shlex.split(lines_of(unit)["ExecStart"])
    environment = {**os.environ, "PORT": str(platform.port), "POOL_SPARE_COUNT": "1"}

    def started() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(platform.is_answering, PATIENCE_SECONDS)
        return process

    def outliving() -> set[int]:
        folders = [*platform.data_dir.glob("edge/*/"), *platform.data_dir.glob("machines/*/")]
        found = [SupervisedProcess(folder).status() for folder in folders]
        return {pid for status in found for pid in (status.supervisor_pid, status.child_pid) if pid is not None}

    process = started()
    try:
        wait_until(lambda: len(outliving()) == 6, 240)
        before = outliving()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert outliving() == before
        assert all(psutil.pid_exists(pid) for pid in before)
        assert open_to_others(platform.data_dir) == []
        process = started()
        assert outliving() == before
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        platform.cli("down")
