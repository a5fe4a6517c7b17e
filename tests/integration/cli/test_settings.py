"""Wrong settings, and a wrong data directory: each error names what is wrong and the way out."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from openclaw_hosted import datadir
from openclaw_hosted.settings import SettingsError, load_settings
from tests.integration.cli.conftest import Cli
from tests.support.platform import free_port


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("POOL_SPARE_COUNT", "-1"),
        ("POOL_SPARE_COUNT", "51"),
        ("POOL_WARMTH", "lukewarm"),
        ("FLEET_CAP", "0"),
        ("TRUSTED_PROXIES", "10.0.0.1, nginx"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("RETENTION_DAYS", "-7"),
        ("PUBLIC_URL", "claw.example.com"),
        ("PUBLIC_URL", "https://claw.example.com/under"),
        ("LOG_LEVEL", "loud"),
        ("DATABASE_URL", "mysql://root:hunter2@db/claw"),
        ("OPENCLAW_HOSTED_ADMIN_PASSWORD", "hunter2 and more"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_repeated(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert variable in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_short_admin_password_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_HOSTED_ADMIN_EMAIL", "admin@example.com")
    monkeypatch.setenv("OPENCLAW_HOSTED_ADMIN_PASSWORD", "hunter2")
    with pytest.raises(SettingsError, match="OPENCLAW_HOSTED_ADMIN_PASSWORD: Use at least"):
        load_settings()


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9000")
    assert load_settings().port == 9000
    assert load_settings({"PORT": 9001}).address == "http://localhost:9001"
    assert load_settings({"PORT": None}).port == 9000


def test_settings_never_print_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://claw:hunter2@db/claw")
    assert "hunter2" not in repr(load_settings())


def test_a_wrong_setting_is_wrong_usage(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "eighty")
    refused = cli("pool", "show")
    assert refused.code == 2
    assert refused.stderr.startswith("openclaw-hosted: PORT")


def test_a_data_directory_that_can_not_be_written_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    refused = cli.bare("up", "--data-dir", str(tmp_path / "file" / "data"))
    assert refused.code == 1
    assert "can't be written" in refused.stderr
    assert "--data-dir" in refused.stderr


def test_a_path_too_long_for_sockets_is_refused(cli: Cli, tmp_path: Path) -> None:
    refused = cli.bare("up", "--data-dir", str(tmp_path / ("x" * 100)))
    assert refused.code == 1
    assert "too long" in refused.stderr


def test_a_second_platform_on_the_same_directory_is_refused(cli: Cli) -> None:
    datadir.prepare(cli.data_dir)
    with datadir.held(cli.data_dir, tuple(datadir.Role)):
        holder = datadir.holder(cli.data_dir, datadir.Role.WEB)
        refused = cli("up")
        assert refused.code == 5
        assert f"process {holder}" in refused.stderr
    assert datadir.holder(cli.data_dir, datadir.Role.WEB) is None


def test_a_port_in_use_is_refused_before_anything_is_installed(cli: Cli) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = cli("up", "--port", str(port))
    assert refused.code == 5
    assert f"{port} is taken" in refused.stderr
    assert "--port" in refused.stderr
    assert not (cli.data_dir / "openclaw").exists()


def test_a_database_of_a_newer_version_is_refused_unchanged(with_admin: Cli) -> None:
    database = with_admin.data_dir / "platform.sqlite"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_from_the_future'")
    for command in (("pool", "show"), ("up", "--port", str(free_port()))):
        refused = with_admin(*command)
        assert refused.code == 5
        assert "newer version" in refused.stderr
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999_from_the_future",)


def test_trusted_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings({}).trusted_proxies == ()
    monkeypatch.setenv("TRUSTED_PROXIES", "127.0.0.1, 10.1.0.0/16 2001:db8::/48,")
    assert load_settings({}).trusted_proxies == ("127.0.0.1/32", "10.1.0.0/16", "2001:db8::/48")
