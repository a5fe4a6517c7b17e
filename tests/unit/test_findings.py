"""What an operator is told of now, and in which words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openclaw_hosted.domain.alarms import ALARMS, AlarmState
from openclaw_hosted.domain.findings import ALARMS_OF, FindingKind, Looped, Severity, State, findings, verdict
from openclaw_hosted.domain.pool import PoolStatus

WELL = State(
    PoolStatus.READY, paused=False, failures_in_row=0, error="", note="", ready=2, wanted=2, booting=0, fleet_cap=50, waiting=0,
    longest_wait_seconds=0.0, running=9, failed=0,
)  # fmt: skip


def kinds(state: State) -> list[tuple[FindingKind, Severity]]:
    return [(each.kind, each.severity) for each in findings(state)]


def test_all_is_well_in_one_sentence() -> None:
    assert findings(WELL) == []
    assert verdict(WELL, []) == (None, "All is well: 9 instances run, 2 of 2 spares are ready, and nobody waits.")
    alone = replace(WELL, running=1, wanted=0, ready=0)
    assert verdict(alone, findings(alone)) == (None, "All is well: 1 instance runs, no spare is asked for, and nobody waits.")


@pytest.mark.parametrize(
    ("changed", "kind", "severity"),
    [
        ({"status": PoolStatus.STOPPED, "failures_in_row": 8, "error": "Denied."}, FindingKind.POOL_STOPPED, Severity.BAD),
        ({"status": PoolStatus.FAILING, "failures_in_row": 2}, FindingKind.POOL_FAILING, Severity.WARN),
        ({"status": PoolStatus.NO_CAPACITY}, FindingKind.NO_CAPACITY, Severity.WARN),
        ({"status": PoolStatus.NO_CAPACITY, "ready": 0}, FindingKind.NO_CAPACITY, Severity.BAD),
        ({"status": PoolStatus.AT_CAP}, FindingKind.AT_CAP, Severity.WARN),
        ({"status": PoolStatus.PAUSED, "paused": True}, FindingKind.POOL_PAUSED, Severity.WARN),
        ({"status": PoolStatus.FILLING, "ready": 0, "booting": 2}, FindingKind.NO_SPARES, Severity.WARN),
        ({"waiting": 1, "longest_wait_seconds": 10.0}, FindingKind.USERS_WAIT, Severity.WARN),
        ({"waiting": 2, "longest_wait_seconds": 301.0}, FindingKind.USERS_WAIT, Severity.BAD),
        ({"failed": 1}, FindingKind.INSTANCES_FAILED, Severity.BAD),
        ({"loops": (Looped("mc-1", "oc-1", 3),)}, FindingKind.CRASH_LOOP, Severity.BAD),
        ({"loops": (Looped("mc-1", None, 3),)}, FindingKind.CRASH_LOOP, Severity.WARN),
        ({"filled": ("oc-1",)}, FindingKind.DISK_FILLED, Severity.BAD),
        ({"held_back": 40}, FindingKind.ORPHANS_HELD_BACK, Severity.BAD),
        ({"backup_error": "No space."}, FindingKind.BACKUP_FAILED, Severity.WARN),
    ],
)
def test_each_thing_that_is_wrong_is_told(changed: dict[str, object], kind: FindingKind, severity: Severity) -> None:
    assert kinds(replace(WELL, **changed)) == [(kind, severity)]  # type: ignore[arg-type]


def test_the_worst_comes_first_and_counts() -> None:
    state = replace(WELL, status=PoolStatus.PAUSED, paused=True, failed=2)
    found = findings(state)
    assert [each.severity for each in found] == [Severity.BAD, Severity.WARN]
    assert verdict(state, found) == (Severity.BAD, "Not all is well: 1 thing needs you now.")
    assert verdict(state, found[1:]) == (Severity.WARN, "Everybody's OpenClaw works, but look at 1 thing.")


def test_what_is_alarmed_about_and_found_is_one_entry_that_hurts() -> None:
    depleted, failing = (AlarmState(name, began_at=10.0, value=0.0) for name in ("pool-depleted", "launch-failures"))
    over = AlarmState("instances-failed", began_at=1.0, ended_at=5.0)
    (empty,) = findings(replace(WELL, status=PoolStatus.FILLING, ready=0, alarms=[depleted, over]))
    assert (empty.kind, empty.severity, empty.alarms) == (FindingKind.NO_SPARES, Severity.BAD, [depleted])
    (stopped,) = findings(replace(WELL, status=PoolStatus.STOPPED, ready=0, alarms=[depleted, failing]))
    assert {alarm.name for alarm in stopped.alarms} == {"launch-failures", "pool-depleted"}


def test_an_alarm_about_nothing_that_is_found_is_told_in_its_own_words() -> None:
    alarm = AlarmState("over-budget", began_at=10.0, value=97.5)
    (found,) = findings(replace(WELL, alarms=[alarm]))
    assert (found.kind, found.severity) == (FindingKind.ALARM, Severity.WARN)
    assert found.text == "What exists costs more in a month than the budget. Now: 97.5 US dollars a month, estimated."
    (waning,) = findings(replace(WELL, alarms=[replace(alarm, value=70.0, well_since=20.0)]))
    assert waning.text.startswith("This may be over: What exists")
    assert kinds(replace(WELL, failed=1, alarms=[alarm])) == [
        (FindingKind.INSTANCES_FAILED, Severity.BAD), (FindingKind.ALARM, Severity.WARN),
    ]  # fmt: skip


def test_alarms_of_findings_exist() -> None:
    named = {name for names in ALARMS_OF.values() for name in names}
    assert named <= {alarm.name for alarm in ALARMS}
