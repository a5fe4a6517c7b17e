from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from openclaw_hosted.cli.main import main
from openclaw_hosted.services import passwords
from tests.support.passwords import QUICK_HASHER

ADMIN = "admin@example.com"
PASSWORD = "correct horse battery"
VARIABLES = (
    "DATABASE_URL",
    "HOST",
    "PORT",
    "PUBLIC_URL",
    "TLS",
    "POOL_SPARE_COUNT",
    "OPENCLAW_HOSTED_URL",
    "OPENCLAW_HOSTED_TOKEN",
    "OPENCLAW_HOSTED_CONTEXT",
)


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


class Cli:
    """The command line over one data directory, in this process."""

    def __init__(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.data_dir = data_dir
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str, stdin: str = "") -> Ran:
        return self.bare(*arguments, "--data-dir", str(self.data_dir), stdin=stdin)

    def bare(self, *arguments: str, stdin: str = "") -> Ran:
        self._monkeypatch.setattr(sys, "argv", ["openclaw-hosted", *arguments])
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = self._capsys.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0 if code is None else 1, printed.out, printed.err)


@pytest.fixture
def loops_of_its_own() -> Iterator[None]:
    """Commands run event loops of their own, which would drop the one that pytest holds."""
    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
    yield
    asyncio.set_event_loop_policy(before)


@pytest.fixture
def cli(
    loops_of_its_own: None,  # noqa: ARG001 - wanted for what it does
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Cli:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(passwords, "PasswordHasher", lambda: QUICK_HASHER)
    return Cli(tmp_path / "data", monkeypatch, capsys)


@pytest.fixture
def with_admin(cli: Cli) -> Cli:
    made = cli("users", "create", ADMIN, "--admin", "--password-stdin", stdin=PASSWORD)
    assert made.code == 0, made.stderr
    return cli
