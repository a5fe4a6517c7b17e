"""Wrong settings, and a wrong data directory: each error names what is wrong and the way out."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from openclaw_hosted import datadir
from tests.integration.cli.conftest import Cli
from tests.support.ports import free_port


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
