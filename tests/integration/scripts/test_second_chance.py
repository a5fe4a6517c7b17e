"""The second look at what failed: each case is a real run of pytest in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.second_chance import FAILED_LAST

REPOSITORY = Path(__file__).resolve().parents[3]
FLAKY = """
import pathlib, pytest

@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("name", ["a@b", "c[d]"])
def test_that_passes_the_second_time(name):
    seen = pathlib.Path(f"seen-{name[0]}")
    was, _ = seen.exists(), seen.touch()
    assert was
"""
BROKEN = "def test_that_never_passes():\n    assert False\n"
SOUND = "def test_that_passes():\n    assert True\n"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def written(folder: Path, **texts: str) -> None:
    (folder / "pytest.ini").touch()
    for name, text in texts.items():
        (folder / f"test_{name}.py").write_text(text)


def test_what_fails_once_and_passes_alone_is_named_and_passes(tmp_path: Path) -> None:
    written(tmp_path, flaky=FLAKY, sound=SOUND)
    run(tmp_path, "pytest", "-q", "-p", "xdist", "-n", "1", "--dist", "loadgroup")
    again = run(tmp_path, "scripts.second_chance", "-q")
    assert again.returncode == 0, again.stdout
    assert "2 passed" in again.stdout
    assert "They passed when they ran alone:\n  test_flaky.py::test_that_passes_the_second_time[a@b]" in again.stdout


def test_a_fault_stays_a_failure(tmp_path: Path) -> None:
    written(tmp_path, flaky=FLAKY, broken=BROKEN)
    run(tmp_path, "pytest", "-q")
    again = run(tmp_path, "scripts.second_chance", "-q")
    assert again.returncode == 1, again.stdout
    assert "They did not all pass" in again.stdout


@pytest.mark.parametrize("failed", [0, 11])
def test_many_faults_and_a_run_that_failed_without_a_test_stay_failures(tmp_path: Path, failed: int) -> None:
    kept = tmp_path / FAILED_LAST
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({f"test_x.py::test_{number}": True for number in range(failed)}))
    again = run(tmp_path, "scripts.second_chance")
    assert again.returncode == 1
    assert f"{failed} tests failed" in again.stdout
