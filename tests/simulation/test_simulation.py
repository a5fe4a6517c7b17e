"""Hundreds of bad days, the same each time; and that a day can be told from another, made shorter and shown."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from openclaw_hosted.adapters.fake.access import FakeRouter
from openclaw_hosted.controllers import runtime
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.logging import logging_to
from simulation import report
from simulation.__main__ import STANDARD_RUNS
from simulation.faults import Coverage
from simulation.many import run_many, run_one
from simulation.plan import CELLS, MIGRATION_CALLS, Plan, make_plan
from simulation.run import simulate
from simulation.shrink import shrink
from tests.support.waiting import PATIENCE_SECONDS

REPOSITORY = Path(__file__).resolve().parents[2]
PART_OF_THE_RUNS = 40


def in_another_process(seed: int, hash_seed: str) -> Sequence[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'src'}"}
    command = [sys.executable, "-m", "simulation", "--seed", str(seed), "--full"]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment, timeout=PATIENCE_SECONDS
    ).stdout.splitlines()


def test_a_seed_has_the_same_history_in_each_process_to_the_letter() -> None:
    here = list(simulate(make_plan(5)).history.all_lines())
    assert len(here) > 1000
    for hash_seed in ("1", "2"):
        assert in_another_process(5, hash_seed)[:-1] == here


def test_the_history_is_the_same_after_a_control_plane_logged_in_this_process(tmp_path: Path) -> None:
    with logging_to("info", tmp_path / "log"):
        runtime.log.info("first use")
    lines = list(simulate(make_plan(5)).history.all_lines())
    assert any(" log error=" in line and "loop=" in line for line in lines)
    assert lines == in_another_process(5, "1")[:-1]


def test_a_run_with_an_older_system_is_repeated_to_the_letter_as_well() -> None:
    plan = make_plan(1)
    assert plan.migrates
    outcome = simulate(plan)
    assert outcome.violation is None
    assert {"legacy.lead", "copies.install", "copies.carry_back"} <= outcome.coverage.calls.keys()
    assert in_another_process(1, "1")[:-1] == list(outcome.history.all_lines())


def test_two_seeds_have_two_histories() -> None:
    assert run_one(1).digest != run_one(2).digest


@pytest.mark.slow
def test_forty_days_of_the_standard_run_violate_nothing() -> None:
    total = run_many(range(PART_OF_THE_RUNS), os.cpu_count() or 1)
    assert total.violations == {}
    assert total.lifecycles > 10 * PART_OF_THE_RUNS


@pytest.mark.long  # six minutes of a core; fifty of its days run above
def test_the_standard_run_violates_nothing_and_meets_every_fault() -> None:
    total = run_many(range(STANDARD_RUNS), os.cpu_count() or 1)
    assert total.violations == {}
    assert report.never_met(total.coverage) == []
    assert total.lifecycles > 10 * STANDARD_RUNS


def test_without_faults_and_acts_nothing_happens_but_the_pool_being_filled() -> None:
    outcome = simulate(Plan(1, 2, (), ()))
    assert (outcome.violation, outcome.lifecycles) == (None, 0)


def test_the_plan_aims_at_each_cell_of_the_fault_space_in_turn() -> None:
    met = {(strike.call, strike.fault) for seed in range(STANDARD_RUNS) for strike in make_plan(seed).strikes}
    assert {each for each in met if each[0] not in MIGRATION_CALLS} == set(CELLS)
    assert {call for call, _ in met} >= set(MIGRATION_CALLS)


def test_a_fault_that_was_never_met_is_named() -> None:
    assert len(report.never_met(Coverage())) > len(CELLS)
    assert any("machines.launch" in line for line in report.coverage(Coverage()))


async def forgets_the_owner(self: FakeRouter, instance_id: InstanceId, *_: object) -> None:
    """Instead of taking the route away."""
    async with self._cloud.call("router.release"):
        assert instance_id


def test_a_failure_is_made_shorter_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeRouter, "release", forgets_the_owner)
    failed = simulate(make_plan(3))
    assert failed.violation is not None
    shorter = shrink(failed, seconds=20)
    assert shorter.violation is not None
    assert len(shorter.plan.acts) + len(shorter.plan.strikes) < len(failed.plan.acts) + len(failed.plan.strikes)
    shown = "\n".join(report.failure(shorter, 99))
    assert "seed 3: invariant" in shown
    assert "VIOLATION" in shown
    assert simulate(replace(shorter.plan)).history.digest() == shorter.history.digest()
