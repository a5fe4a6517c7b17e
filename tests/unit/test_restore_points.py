"""Which restore points are begun, kept and let go."""

from __future__ import annotations

import pytest

from openclaw_hosted.domain.cost import count_holdings
from openclaw_hosted.domain.naming import InstanceId, RestorePointId
from openclaw_hosted.domain.restore_point import (
    Cause,
    PointState,
    RestorePoint,
    RestorePointPolicy,
    describe_age,
    plan_restore_points,
)

ONE, OTHER = InstanceId("oc-11111111"), InstanceId("oc-22222222")
DAY = 86_400.0
POLICY = RestorePointPolicy(every_seconds=DAY, keep=2, making_seconds=1000.0, at_once=1)


def a_point(name: str, made_at: float, cause: Cause = Cause.SCHEDULE, state: PointState = PointState.READY) -> RestorePoint:
    return RestorePoint(RestorePointId(name), ONE, made_at, cause, state)


def removed(*points: RestorePoint, now: float = 100 * DAY, in_use: frozenset[RestorePointId] = frozenset()) -> list[str]:
    return [point.id for point in plan_restore_points({}, points, in_use, now, POLICY).remove]


def test_one_is_due_a_day_after_the_newest_or_after_the_instance_was_made() -> None:
    points = [a_point("a", 5 * DAY)]
    assert plan_restore_points({ONE: 0.0}, points, (), 6 * DAY - 1, POLICY).begin == ()
    assert plan_restore_points({ONE: 0.0}, points, (), 6 * DAY, POLICY).begin == (ONE,)
    assert plan_restore_points({OTHER: 5.5 * DAY}, points, (), 6 * DAY, POLICY).begin == ()
    assert plan_restore_points({ONE: 0.0, OTHER: 0.0}, [], (), 6 * DAY, POLICY).begin == (ONE,), "not all at once"


def test_one_that_is_being_made_counts_and_none_is_due_without_a_schedule() -> None:
    making = [a_point("a", 6 * DAY, state=PointState.MAKING)]
    assert plan_restore_points({ONE: 0.0}, making, (), 6 * DAY + 900, POLICY).begin == ()
    never = RestorePointPolicy(every_seconds=0.0)
    assert plan_restore_points({ONE: 0.0}, [], (), 6 * DAY, never).begin == ()


def test_the_newest_ready_ones_are_kept_whatever_they_were_made_for() -> None:
    points = [a_point("a", 1), a_point("b", 2, Cause.ASKED), a_point("c", 3, Cause.RESTORE), a_point("d", 4, state=PointState.MAKING)]
    assert removed(*points) == ["a"]
    assert removed(*points, in_use=frozenset({RestorePointId("a")})) == []


@pytest.mark.parametrize("keep", [0, 1])
def test_the_newest_is_never_removed(keep: int) -> None:
    plan = plan_restore_points({}, [a_point("a", 1), a_point("b", 2)], (), 3, RestorePointPolicy(keep=keep))
    assert [point.id for point in plan.remove] == ["a"]


def test_archives_and_what_orphans_held_go_by_their_age_and_count_for_nobody() -> None:
    points = [a_point("a", 1), a_point("b", 2), a_point("o", 69 * DAY, Cause.ORPHAN), a_point("p", 71 * DAY, Cause.ORPHAN)]
    assert removed(*points, a_point("x", 98 * DAY, Cause.BROUGHT), a_point("y", 99.5 * DAY, Cause.BROUGHT)) == ["x", "o"]


def test_one_that_is_not_ready_in_time_has_failed() -> None:
    points = [a_point("a", 0, state=PointState.MAKING), a_point("b", 600, state=PointState.MAKING)]
    assert [point.id for point in plan_restore_points({}, points, (), 1100, POLICY).fail] == ["a"]


@pytest.mark.parametrize(
    ("seconds", "said"), [(-5, "less than a minute"), (59, "less than a minute"), (60, "1 minute"), (7300, "2 hours"), (DAY, "1 day")]
)
def test_an_age_is_put_for_people(seconds: float, said: str) -> None:
    assert describe_age(seconds) == said


def test_restore_points_are_counted_as_what_they_differ_by() -> None:
    points = [RestorePoint(RestorePointId(str(number)), ONE, number, Cause.SCHEDULE, PointState.READY, 1 << 30) for number in range(3)]
    assert count_holdings([], {}, points).snapshot_gib == pytest.approx(1.2)
