"""When an alarm begins and ends, who has to be told, and that CloudWatch judges alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from openclaw_hosted.domain.alarms import (
    ALARMS,
    LAUNCH_FAILURES,
    OVER_BUDGET,
    POOL_DEPLETED,
    WELL_SECONDS,
    WORTH_TELLING_SECONDS,
    Alarm,
    AlarmGauge,
    AlarmState,
    Limits,
    Measured,
    Told,
    alarm_named,
    due,
    judge,
    news,
    on_now,
)

TERRAFORM = Path(__file__).resolve().parents[2] / "terraform"
BLOCK = re.compile(r'resource "aws_cloudwatch_metric_alarm" "\w+" \{\n(.*?)\n\}', re.DOTALL)
SLOW = Alarm("slow", "It is slow.", AlarmGauge.FAILED, 1, for_seconds=180)


def watched(alarm: Alarm, limit: float | None, values: Sequence[float | None], *, every: float = 60.0) -> list[AlarmState]:
    """How the alarm is after each look."""
    state, states = AlarmState(alarm.name), []
    for number, value in enumerate(values):
        state = judge(alarm, limit, None if value is None else Measured(value), state, number * every)
        states.append(state)
    return states


def test_an_alarm_begins_once_its_condition_has_held_long_enough() -> None:
    assert [state.is_on for state in watched(SLOW, 1, [0, 1, 1, 1, 1, 1])] == [False, False, False, False, True, True]
    assert [state.is_on for state in watched(SLOW, 1, [1, 1, 0, 1, 1, 1])] == [False] * 6
    assert watched(SLOW, 1, [0, 1, 1, 1, 1, 1])[-1].began_at == 240


def test_what_comes_and_goes_is_one_alarm() -> None:
    looks = watched(SLOW, 1, [1, 1, 1, 1, 0, 1, 0, 0, 1, *[0] * 6])
    assert {state.began_at for state in looks if state.began_at is not None} == {180}
    assert [state.is_on for state in looks][-3:] == [True, True, False]
    assert looks[-1].ended_at == 9 * 60 + WELL_SECONDS


def test_an_alarm_without_patience_begins_at_once() -> None:
    assert [state.is_on for state in watched(replace(SLOW, for_seconds=0), 1, [0, 1])] == [False, True]


def test_an_alarm_below_a_limit_is_on_below_it() -> None:
    assert [state.is_on for state in watched(POOL_DEPLETED, 1, [1, 0, 0, 0, 0, 0, 0])] == [False] * 6 + [True]


def test_what_can_not_be_measured_changes_nothing() -> None:
    assert watched(replace(SLOW, for_seconds=0), 1, [1, None, None])[-1].is_on
    assert watched(replace(SLOW, for_seconds=0), 1, [None, None])[-1] == AlarmState("slow")


def test_an_alarm_ends_when_the_operator_takes_its_limit_away() -> None:
    (on,) = watched(OVER_BUDGET, 100, [120])
    ended = judge(OVER_BUDGET, None, Measured(120), on, 60)
    assert (on.is_on, ended.is_on, ended.ended_at) == (True, False, 60)
    assert judge(OVER_BUDGET, None, Measured(120), AlarmState("over-budget"), 60) == AlarmState("over-budget")


def test_where_no_spares_are_wanted_that_there_are_none_is_no_alarm() -> None:
    assert [Limits(spares).of(POOL_DEPLETED) for spares in (0, 1, 5)] == [None, 1, 1]
    assert (Limits(budget_usd=80).of(OVER_BUDGET), Limits(launch_failures=7).of(LAUNCH_FAILURES), Limits().of(SLOW)) == (80, 7, 1)


ON = AlarmState("slow", began_at=100.0)
OVER = replace(ON, ended_at=500.0)


@pytest.mark.parametrize(
    ("state", "told", "expected"),
    [
        (AlarmState("slow"), None, None), (ON, None, Told.BEGAN), (ON, Told.BEGAN, None), (OVER, Told.BEGAN, Told.ENDED),
        (OVER, Told.ENDED, None), (OVER, None, Told.ENDED),
    ],
)  # fmt: skip
def test_each_channel_hears_once_that_it_began_and_once_that_it_ended(state: AlarmState, told: Told | None, expected: Told | None) -> None:
    heard = {} if told is None else {"email": told}
    assert due(replace(state, told={**heard, "other": Told.BEGAN}), "email", 600.0) is expected


def test_what_is_long_over_is_not_told_to_whoever_heard_nothing_of_it() -> None:
    assert due(OVER, "email", 500.0 + WORTH_TELLING_SECONDS) is None
    assert due(replace(OVER, told={"email": Told.BEGAN}), "email", 500.0 + WORTH_TELLING_SECONDS) is Told.ENDED


def test_a_second_time_is_told_anew() -> None:
    again = judge(replace(SLOW, for_seconds=0), 1, Measured(2, "oc-a"), replace(OVER, told={"email": Told.ENDED}), 900.0)
    assert (again.is_on, again.began_at, due(again, "email", 900.0)) == (True, 900.0, Told.BEGAN)


def test_the_words_say_what_since_when_and_what_to_do() -> None:
    state = replace(ON, value=2.0, about="oc-a, oc-b")
    began = news(SLOW, state, Told.BEGAN, "https://claw.example.com", {"began": "noon", "ended": ""})
    assert began.subject == "slow began on https://claw.example.com"
    assert began.text == "It is slow.\nSince noon.\nNow: 2 failed instances (oc-a, oc-b).\nWhat to do: docs/runbooks/slow.md"
    ended = news(SLOW, replace(OVER, value=0.0), Told.ENDED, "https://claw.example.com", {"began": "noon", "ended": "one"})
    assert (ended.subject, ended.text.splitlines()[:2]) == (
        "slow has ended on https://claw.example.com", ["This is over: It is slow.", "From noon to one."]
    )  # fmt: skip


def test_alarms_are_known_by_name_and_sorted_by_age() -> None:
    assert alarm_named("pool-depleted") is POOL_DEPLETED
    assert alarm_named("nothing") is None
    younger = replace(ON, name="b", began_at=200.0)
    assert on_now([younger, OVER, ON]) == [ON, younger]


def attributes(block: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in re.findall(r"^  (\w+)\s*=\s*(.+)$", block, re.MULTILINE)}


def test_cloudwatch_judges_the_same_conditions() -> None:
    found = [attributes(block) for path in sorted(TERRAFORM.glob("*.tf")) for block in BLOCK.findall(path.read_text())]
    by_name = {each["alarm_name"].removeprefix("${var.deployment_name}-"): each for each in found}
    assert by_name.keys() == {alarm.name for alarm in ALARMS if alarm.metric is not None}
    thresholds = {POOL_DEPLETED.name: "min(1, var.pool_spare_count)", LAUNCH_FAILURES.name: "var.launch_failures_alarm"}
    for alarm in (each for each in ALARMS if each.metric is not None):
        terraform = by_name[alarm.name]
        assert terraform["metric_name"] == alarm.metric
        assert terraform["comparison_operator"] == ("LessThanThreshold" if alarm.below else "GreaterThanOrEqualToThreshold")
        assert terraform["threshold"] == thresholds.get(alarm.name, f"{alarm.threshold}"), alarm.name
        periods = int(terraform["evaluation_periods"])
        assert alarm.for_seconds == (int(terraform["period"]) * periods if periods > 1 else 0), alarm.name
    default = re.search(r'variable "launch_failures_alarm" \{.*?default\s*=\s*(\d+)', (TERRAFORM / "variables.tf").read_text(), re.DOTALL)
    assert default is not None
    assert int(default[1]) == Limits().launch_failures
