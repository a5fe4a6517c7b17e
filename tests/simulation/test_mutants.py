"""The simulation notices some sixty ways to break the code. `python -m simulation.mutants` does the same by hand."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from simulation.mutants import REPOSITORY, Fate, Gone, mutate, try_out
from simulation.mutation import Catcher, Mutant
from simulation.mutations import MUTANTS


def copied(path: str, tmp_path: Path) -> Path:
    target = tmp_path / "src" / "openclaw_hosted" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text((REPOSITORY / "src" / "openclaw_hosted" / path).read_text())
    return target


def test_the_page_counts_the_mutants_that_there_are() -> None:
    page = (REPOSITORY / "docs" / "simulation.md").read_text()
    caught = Counter(mutant.catcher for mutant in MUTANTS)
    assert f"There are {len(MUTANTS)} mutants. Seeds catch {caught[Catcher.SIMULATION]} of them." in page
    moves, adoption, restores = caught[Catcher.MOVES], caught[Catcher.ADOPTION], caught[Catcher.RESTORES]
    assert f"{moves} are about moves, {adoption} about adoption and {restores} about restore points" in page


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_text_that_a_mutant_replaces_stands_there_once_and_what_it_becomes_is_python(mutant: Mutant, tmp_path: Path) -> None:
    target = copied(mutant.path, tmp_path)
    before = target.read_text()
    mutate(tmp_path, mutant)
    assert target.read_text() != before
    compile(target.read_text(), mutant.path, "exec")


def test_a_mutant_whose_text_is_gone_is_an_error(tmp_path: Path) -> None:
    copied("domain/pool.py", tmp_path)
    with pytest.raises(Gone, match="stands 0 times"):
        mutate(tmp_path, Mutant("old", "domain/pool.py", "no such text", "", Catcher.SIMULATION))


def test_there_are_more_than_twelve_and_each_has_a_name_of_its_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 12
    assert sum(mutant.catcher is Catcher.SIMULATION for mutant in MUTANTS) >= 12


@pytest.mark.long
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught(mutant: Mutant) -> None:
    verdict = try_out(mutant, os.cpu_count() or 1)
    assert verdict.fate is Fate.CAUGHT, f"{mutant.name} survived {mutant.catcher}"
