"""What commands print, on terminals of every kind: other encodings, narrow, none, and one that is closed meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.platform import RunningPlatform
from tests.support.waiting import PATIENCE_SECONDS
from tests.support.web_only import web_only

NAME = "Zoë 🦄 日本"
KINDS = {
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "narrow": {"COLUMNS": "12"},
    "dumb": {"TERM": "dumb", "NO_COLOR": "1"},
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with web_only(tmp_path_factory.mktemp("terminal") / "data", {}) as running:
        running.cli("instances", "create", NAME)
        yield running


def command(platform: RunningPlatform, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "openclaw_hosted", *arguments, "--data-dir", str(platform.data_dir)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arguments", [("instances", "list"), ("instances", "show", NAME), ("instances", "list", "--json")], ids=" ".join)
def test_a_name_in_any_script_is_printed_on_any_terminal(platform: RunningPlatform, kind: str, arguments: tuple[str, ...]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))} | KINDS[kind]
    done = subprocess.run(command(platform, *arguments), capture_output=True, env=environment, timeout=PATIENCE_SECONDS, check=False)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert b"Zo" in done.stdout


def test_an_error_that_names_it_is_printed_too(platform: RunningPlatform) -> None:
    environment = {**os.environ, **KINDS["ascii"]}
    done = subprocess.run(
        command(platform, "instances", "show", "no 🦄"), capture_output=True, env=environment, timeout=PATIENCE_SECONDS, check=False
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (3, False), done.stderr


def test_a_reader_that_leaves_early_is_no_error_to_be_shown(platform: RunningPlatform) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            command(platform, "users", "list"), stdout=writer, stderr=subprocess.PIPE, timeout=PATIENCE_SECONDS, check=False
        )
    finally:
        os.close(writer)
    assert done.returncode != 0
    assert done.stderr == b""
