"""Commands where there is no platform: they say so and how to start one, and make nothing."""

from __future__ import annotations

import shlex
import sqlite3
from contextlib import closing

import pytest

from tests.integration.cli.conftest import Cli

NEED_ONE = [
    ("pool", "show"), ("pool", "pause"), ("machines", "list"), ("machines", "show", "mc-1"), ("cost",), ("users", "list"),
    ("users", "invite", "x@example.com"), ("tokens", "list"), ("tokens", "create"), ("senders", "list", "x"),
    ("instances", "list"), ("instances", "show", "x"), ("instances", "logs", "x"), ("instances", "create", "x"),
]  # fmt: skip


@pytest.mark.parametrize("command", NEED_ONE, ids=" ".join)
def test_a_command_that_needs_a_platform_makes_none(cli: Cli, command: tuple[str, ...]) -> None:
    refused = cli(*command)
    assert refused.code == 6
    assert f"openclaw-hosted up --data-dir {shlex.quote(str(cli.data_dir))}" in refused.stderr
    assert not cli.data_dir.exists()


@pytest.mark.parametrize("command", [("status",), ("doctor",), ("trust",), ("down",), ("backup",), ("cost", "--users", "3")], ids=" ".join)
def test_what_looks_at_a_data_directory_does_not_make_it(cli: Cli, command: tuple[str, ...]) -> None:
    cli.bare(*command, *(() if command[0] == "cost" else ("--data-dir", str(cli.data_dir))))
    assert not cli.data_dir.exists()


def test_a_directory_in_which_only_openclaw_was_installed_holds_no_platform(cli: Cli) -> None:
    (cli.data_dir / "openclaw").mkdir(parents=True)
    assert cli("pool", "show").code == 6
    assert cli("status", "--json").json["running"] is False
    assert [path.name for path in cli.data_dir.iterdir()] == ["openclaw"]


def test_a_database_elsewhere_that_is_not_there_is_not_made(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.data_dir.mkdir()
    file = cli.data_dir.parent / "elsewhere.sqlite"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{file}")
    assert cli("pool", "show").code == 6
    assert not file.exists()
    file.touch()
    refused = cli("pool", "show")
    assert (refused.code, "DATABASE_URL" in refused.stderr) == (6, True)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
