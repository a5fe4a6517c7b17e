"""Spares by hour of the week: never worse than N+2 in what was recorded, cheaper where nobody comes, ready where people do."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_hosted.domain.adaptive import (
    WEEK_HOURS,
    WEEK_SECONDS,
    AdaptivePolicy,
    Record,
    WeekPlan,
    demands,
    needed_for,
    plan_week,
    refill_seconds,
    spares_at,
)
from openclaw_hosted.domain.advice import Schedule, missed

DAY, HOUR = 86_400.0, 3600.0
POLICY = AdaptivePolicy()


def record(arrivals: list[float], weeks: int = 4, refill: float = 180.0) -> Record:
    by_hour = Counter({int(hour * HOUR): 0 for hour in range(weeks * WEEK_HOURS)})
    by_hour.update(int(at // HOUR * HOUR) for at in arrivals)
    return Record(weeks * WEEK_SECONDS, arrivals, by_hour, refill)


def by_day(weeks: int, each_day: int, seed: int = 1) -> list[float]:
    """Arrivals between eight and eighteen o'clock."""
    chance = random.Random(seed)  # noqa: S311 - the same arrivals each time
    return sorted(day * DAY + 8 * HOUR + chance.random() * 10 * HOUR for day in range(7 * weeks) for _ in range(each_day))


ARRIVALS = st.lists(st.floats(0, 3 * WEEK_SECONDS - 1, allow_nan=False), min_size=20, max_size=150).map(sorted)
CLUSTERS = st.lists(
    st.tuples(st.floats(0, 3 * WEEK_SECONDS - 700, allow_nan=False), st.integers(1, 6), st.floats(0, 100)), min_size=20, max_size=40
).map(lambda found: sorted(start + number * gap for start, count, gap in found for number in range(count)))


@settings(max_examples=80, deadline=None)
@given(st.one_of(ARRIVALS, CLUSTERS), st.integers(1, 5), st.floats(1, 900))
def test_whoever_n_spares_would_have_served_at_once_the_plan_serves_at_once(arrivals: list[float], base: int, refill: float) -> None:
    plan = plan_week(record(arrivals, 3, refill), base, POLICY)
    assert plan is not None
    always = list(missed(arrivals, Schedule(base, base), refill))
    planned = list(missed(arrivals, plan, refill))
    assert not [at for at, before, now in zip(arrivals, always, planned, strict=True) if now and not before]


@settings(max_examples=60, deadline=None)
@given(ARRIVALS, st.integers(0, 30), st.integers(0, 30), st.lists(st.floats(0, HOUR), max_size=300).map(sorted))
def test_no_more_are_kept_than_may_be_and_none_where_none_are_wanted(
    arrivals: list[float], base: int, most: int, recent: list[float]
) -> None:
    policy = AdaptivePolicy(most=most)
    plan = plan_week(record(arrivals, 3), base, policy)
    for hour in range(WEEK_HOURS):
        wanted = spares_at(hour * HOUR, plan, [hour * HOUR - HOUR + at for at in recent], base, policy)
        assert min(1, base) <= wanted <= max(base, most if base else 0)


def test_an_arrivals_demand_is_what_serves_it_at_once() -> None:
    arrivals = [0.0, 10.0, 20.0, 150.0, 1000.0, 1000.0]
    needed = demands(arrivals, 100.0)
    assert needed == [1, 2, 3, 1, 1, 2]
    for spares in (1, 2, 3):
        found = list(missed(arrivals, Schedule(spares, spares), 100.0))
        assert [demand > spares for demand in needed[:3]] == found[:3]


def test_nights_without_anybody_have_one_spare_and_days_as_many_as_before_or_more() -> None:
    arrivals = by_day(4, 30)
    plan = plan_week(record(arrivals), 2, POLICY)
    assert plan is not None
    hours = [plan.at(day * DAY + hour * HOUR) for day in range(7) for hour in range(24)]
    assert all(hours[day * 24 + hour] == 1 for day in range(7) for hour in (0, 1, 2, 3, 21, 22, 23))
    assert all(hours[day * 24 + hour] >= 2 for day in range(7) for hour in range(7, 18))
    assert sum(missed(arrivals, plan, 180)) <= 0.01 * len(arrivals)


def test_too_little_is_known_and_n_stays() -> None:
    assert plan_week(record(by_day(1, 30), weeks=1), 2, POLICY) is None
    assert plan_week(record([float(at) * 1000 for at in range(19)]), 2, POLICY) is None
    assert plan_week(record(by_day(4, 30)), 0, POLICY) is None
    assert spares_at(0, None, [], 2, POLICY) == 2


def test_what_came_once_is_no_habit_and_what_comes_each_week_is() -> None:
    quiet = by_day(4, 5)
    rush = [2 * HOUR + number for number in range(8)]
    once = plan_week(record(sorted([*quiet, *rush])), 2, POLICY)
    weekly = plan_week(record(sorted([*quiet, *(week * WEEK_SECONDS + at for week in range(4) for at in rush)])), 2, POLICY)
    assert once is not None
    assert weekly is not None
    assert once.at(2 * HOUR) <= 3
    assert weekly.at(2 * HOUR) == weekly.at(HOUR) == 8, "an hour ahead, so that they are ready"


def test_an_arrival_brings_n_back_for_an_hour_and_a_rush_more() -> None:
    plan = WeekPlan((1,) * WEEK_HOURS, 180.0)
    now = 5 * HOUR
    assert spares_at(now, plan, [], 2, POLICY) == 1
    assert spares_at(now, plan, [now - 10], 2, POLICY) == 2
    assert spares_at(now, plan, [now - HOUR - 1], 2, POLICY) == 1
    rush = [now - 3000 + number for number in range(60)]
    assert spares_at(now, plan, rush, 2, POLICY) == 20
    assert spares_at(now, plan, rush, 2, AdaptivePolicy(most=5)) == 5


def test_fewer_for_an_hour_or_two_are_no_saving() -> None:
    busy = [(9, 0), (9, 60), (14, 0), (14, 60)]
    arrivals = sorted(
        week * WEEK_SECONDS + day * DAY + hour * HOUR + second for week in range(4) for day in range(7) for hour, second in busy
    )
    plan = plan_week(record(arrivals), 2, POLICY)
    assert plan is not None
    assert [plan.at(hour * HOUR) for hour in range(24)] == [1] * 7 + [2] * 9 + [1] * 8


@pytest.mark.parametrize(
    ("expected", "share", "spares"), [(0.0, 0.01, 1), (0.009, 0.01, 1), (0.02, 0.01, 2), (1.0, 0.01, 5), (75.0, 0.01, 97)]
)
def test_poissons_law_says_how_many_are_needed(expected: float, share: float, spares: int) -> None:
    assert needed_for(expected, share) == spares


def test_a_refill_is_what_nine_of_ten_took_and_longer_where_launches_fail() -> None:
    assert refill_seconds([], 0, 0, 180.0) == 180.0
    assert refill_seconds([float(at) for at in range(1, 11)], 10, 0, 180.0) == 9.0
    assert refill_seconds([60.0], 100, 50, 180.0) == 120.0
    assert refill_seconds([600.0], 10, 10, 180.0) == HOUR
