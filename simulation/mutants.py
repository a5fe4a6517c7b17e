"""Breaks the production code on purpose, one way at a time, and sees that the standard run notices each.

    python -m simulation.mutants            # all of them; `make test-all` does so too
    python -m simulation.mutants NAME ...   # some

A mutant is a text that is replaced in a copy of the code. Where the text is gone, that is an error: mend the mutant.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from simulation.mutation import Catcher, Mutant
from simulation.mutations import MUTANTS

REPOSITORY: Final = Path(__file__).resolve().parents[1]
LONGEST_SECONDS: Final = 900
AS_FOUND: Final = "OPENCLAW_HOSTED_TEST_AS_FOUND"
"""Set where a failure need not be made shorter."""
COPIED: Final = ("simulation", "tests/simulation", "tests/support", "tests/contract/store", "tests/integration/convergence")
COPIED_FILES: Final = (
    "tests/__init__.py",
    "tests/conftest.py",
    "tests/contract/__init__.py",
    "tests/integration/__init__.py",
    "pyproject.toml",
)


class Fate(StrEnum):
    """What became of a mutant."""

    CAUGHT = "caught"
    SURVIVED = "SURVIVED"


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant, by what, and in how much time."""

    mutant: Mutant
    fate: Fate
    evidence: str
    seconds: float


class Gone(Exception):
    """The text that a mutant replaces is not there exactly once."""


def try_out(mutant: Mutant, jobs: int) -> Verdict:
    """Run what has to catch it on a copy of the code with the mutant in it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        _copy(copy)
        mutate(copy, mutant)
        done = subprocess.run(
            _command(mutant, jobs), cwd=copy, env=_environment(copy), capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False
        )
    lines = [line for line in (done.stdout + done.stderr).splitlines() if _tells(mutant, line)]
    if done.returncode not in (0, 1) or (done.returncode == 1 and not lines):
        raise RuntimeError(f"{mutant.name} could not be tried out:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}")
    fate = Fate.CAUGHT if done.returncode else Fate.SURVIVED
    return Verdict(mutant, fate, lines[0] if lines else "", time.monotonic() - began)


def mutate(copy: Path, mutant: Mutant) -> None:
    """Replace the mutant's text. Raises `Gone`."""
    path = copy / "src" / "openclaw_hosted" / mutant.path
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise Gone(f"{mutant.name}: its text stands {text.count(mutant.old)} times in {mutant.path}:\n{mutant.old}")
    path.write_text(text.replace(mutant.old, mutant.new))


def _copy(copy: Path) -> None:
    skipped = shutil.ignore_patterns("__pycache__", "node_modules", "static")
    shutil.copytree(REPOSITORY / "src" / "openclaw_hosted", copy / "src" / "openclaw_hosted", ignore=skipped)
    for name in COPIED:
        shutil.copytree(REPOSITORY / name, copy / name, ignore=skipped)
    for name in COPIED_FILES:
        shutil.copy(REPOSITORY / name, copy / name)


def _command(mutant: Mutant, jobs: int) -> list[str]:
    pytest = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    match mutant.catcher:
        case Catcher.SIMULATION:
            return [sys.executable, "-m", "simulation", "--stop-at-first", "--no-shrink", "--jobs", str(jobs)]
        case Catcher.CONTRACT:
            return [*pytest, *(f"tests/contract/store/test_{name}.py" for name in ("placement", "machines", "stores"))]
        case Catcher.MOVES:
            return [*pytest, "tests/integration/convergence/test_moves.py"]
        case Catcher.ADOPTION:
            return [*pytest, "tests/integration/convergence/test_adoption.py"]
        case Catcher.SCENES:
            return [*pytest, "tests/integration/convergence/test_found_by_simulation.py"]
        case Catcher.RESTORES:
            folder = "tests/integration/convergence"
            return [*pytest, f"{folder}/test_restore_points.py", f"{folder}/test_elsewhere.py"]


def _environment(copy: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{copy}:{copy / 'src'}", "PYTHONDONTWRITEBYTECODE": "1", AS_FOUND: "1"}


def _tells(mutant: Mutant, line: str) -> bool:
    return line.startswith("seed ") if mutant.catcher is Catcher.SIMULATION else line.startswith("FAILED ")


def main(names: Sequence[str]) -> int:
    """Try out the named mutants, or all; 1 where one survived."""
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    survived = 0
    for mutant in chosen:
        verdict = try_out(mutant, os.cpu_count() or 1)
        survived += verdict.fate is Fate.SURVIVED
        print(f"{verdict.fate}: {mutant.name} ({verdict.seconds:.0f} s) {verdict.evidence[:160]}", flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} mutants were caught")
    return 1 if survived else 0


def _names() -> Sequence[str]:
    known = [mutant.name for mutant in MUTANTS]
    parser = argparse.ArgumentParser(
        prog="python -m simulation.mutants", description=f"Breaks the code, and sees that it is noticed: {', '.join(known)}."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; all where none is named")
    named: Sequence[str] = parser.parse_args().names
    if unknown := sorted(set(named) - set(known)):
        parser.error(f"there is no mutant {', '.join(unknown)}; --help names them all")
    return named


if __name__ == "__main__":
    sys.exit(main(_names()))
