"""Tests that need much of the computer run one after the other, whatever the number of workers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MADE = """
import os
import pathlib

import pytest


@pytest.mark.{marker}
@pytest.mark.parametrize("number", range(6))
def test_of_a_group(number: int) -> None:
    with pathlib.Path(os.environ["SEEN"]).open("a") as seen:
        seen.write(os.environ["PYTEST_XDIST_WORKER"] + " ")
"""


def test_the_tests_of_a_group_run_on_one_worker(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_made.py").write_text(MADE.format(marker="browser"))
    seen = tmp_path / "seen"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "2",
        "--dist",
        "loadgroup",
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run(
        [*command, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "SEEN": str(seen)},
    )
    assert done.returncode == 0, done.stdout
    workers = seen.read_text().split()
    assert (len(workers), len(set(workers))) == (6, 1)
