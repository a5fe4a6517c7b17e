"""The states of a migration, its window, versions, and the mapping that the documentation shows."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import yaml

from openclaw_hosted.adapters.ecs.mapping import parse_mapping
from openclaw_hosted.domain.errors import IllegalTransition, InvalidInput
from openclaw_hosted.domain.migration import (
    FORWARD,
    ROLLBACK,
    TRANSITIONS,
    Migration,
    MigrationEvent,
    MigrationState,
    MigrationStep,
    OldService,
    Side,
    ask_rollback,
    begin_step,
    end_step,
    fail_step,
    next_state,
    start,
)
from openclaw_hosted.domain.versions import is_newer
from openclaw_hosted.domain.window import parse_window

GUIDE = Path(__file__).parents[2] / "docs" / "migration.md"


def through(row: Migration, steps: int) -> Migration:
    for number in range(steps):
        row = end_step(begin_step(row, float(number)), float(number))
    return row


@pytest.mark.parametrize(("state", "event"), list(product(MigrationState, MigrationEvent)))
def test_every_state_takes_the_events_of_the_table_and_no_others(state: MigrationState, event: MigrationEvent) -> None:
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition):
            next_state(state, event)


@pytest.mark.parametrize("done", range(len(FORWARD)))
def test_whatever_step_fails_before_the_switch_the_way_back_begins(done: int) -> None:
    row = through(start(Migration("u", "r"), OldService("u", "r"), 0.0), done)
    failed = fail_step(begin_step(row, 50.0), "no", 50.0)
    assert (failed.state, failed.step, failed.side) == (MigrationState.RETURNING, MigrationStep.REMOVE, Side.OLD)
    stuck = fail_step(begin_step(failed, 51.0), "not yet", 51.0)
    assert (stuck.state, stuck.error, stuck.trouble) == (MigrationState.RETURNING, "no", "not yet")
    assert through(stuck, 3).state is MigrationState.RETURNED
    assert through(stuck, 3).trouble == "no"


def test_all_steps_lead_to_the_switch_and_a_failure_afterwards_goes_nowhere() -> None:
    row = through(start(Migration("u", "r"), OldService("u", "r"), 0.0), len(FORWARD))
    assert (row.state, row.side, row.step) == (MigrationState.SOAKING, Side.NEW, MigrationStep.SOAK)
    assert fail_step(begin_step(row, 1.0), "unwell", 1.0).state is MigrationState.SOAKING
    asked = ask_rollback(replace(row, switched_at=0.0), 10.0)
    assert through(asked, len(ROLLBACK)).state is MigrationState.ROLLED_BACK


@pytest.mark.parametrize(("text", "hour", "is_open"), [
    ("02:00-05:00", 1, False), ("02:00-05:00", 2, True), ("02:00-05:00", 5, False), ("22:00-03:00", 23, True), ("22:00-03:00", 12, False),
])  # fmt: skip
def test_a_window_is_open_from_its_first_hour_to_its_last(text: str, hour: int, is_open: bool) -> None:
    assert parse_window(text).is_open(hour * 3600.0) is is_open


@pytest.mark.parametrize("text", ["2-5", "02:00-02:00", "24:00-01:00", "02:00"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="window"):
        parse_window(text)


@pytest.mark.parametrize(("one", "other", "newer"), [
    ("2026.10.1", "2026.9.6", True), ("2026.9.6", "2026.9.6", False), ("v2026.9.7", "2026.9.6", True), ("latest", "2026.9.6", False),
])  # fmt: skip
def test_versions_are_compared_by_their_numbers(one: str, other: str, newer: bool) -> None:
    assert is_newer(one, other) is newer


def test_the_mapping_in_the_guide_is_one() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    mapping = parse_mapping(yaml.safe_load(example))
    assert mapping == parse_mapping({"listeners": mapping.listeners, "state": {"mounts": mapping.state.mounts}}), "it shows the defaults"
