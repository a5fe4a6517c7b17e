"""How many spares would have been enough: replays of arrivals, and advice that is never worse than what there is."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_hosted.domain.advice import LEAST_ARRIVALS, Schedule, advise, replay

DAY, HOUR = 86_400.0, 3600.0


def daily(days: int, each_day: int, seed: int = 1) -> list[float]:
    """Arrivals between eight and eighteen o'clock."""
    chance = random.Random(seed)  # noqa: S311 - the same arrivals each time
    return sorted(day * DAY + 8 * HOUR + chance.random() * 10 * HOUR for day in range(days) for _ in range(each_day))


def test_a_spare_that_is_taken_is_missing_until_another_has_booted() -> None:
    two = Schedule(2, 2)
    assert replay([0.0, 1.0, 2.0], two, boot_seconds=100) == 1
    assert replay([0.0, 1.0, 101.0, 102.0], two, boot_seconds=100) == 0
    assert replay([0.0] * 5, two, boot_seconds=100) == 3
    assert replay([0.0, 500.0], Schedule(0, 0), boot_seconds=100) == 2
    assert replay([], two, boot_seconds=100) == 0


def test_a_schedule_has_its_day_where_it_begins() -> None:
    schedule = Schedule(3, 1, day_begins=20)
    assert [schedule.at(hour * HOUR) for hour in (19, 20, 23, 24, 31, 32)] == [1, 3, 3, 3, 3, 1]
    assert schedule.mean == 2


def test_spares_that_come_with_the_day_have_to_boot_first() -> None:
    arrivals = [0.0, 8 * HOUR, 8 * HOUR + 1, 8 * HOUR + 2]
    assert replay(arrivals, Schedule(3, 1, day_begins=8), boot_seconds=60) == 2
    assert replay(arrivals, Schedule(3, 1, day_begins=7), boot_seconds=60) == 0


def test_users_who_come_by_day_need_fewer_spares_by_night() -> None:
    found = advise(daily(7, 40), spares=3, boot_seconds=180)
    assert found is not None
    assert (found.best.schedule.by_night, found.best.misses <= found.now.misses) == (1, True)
    assert found.spares_saved > 0


def test_a_rush_gets_more_spares_than_there_are() -> None:
    found = advise([0.0] * LEAST_ARRIVALS, spares=2, boot_seconds=180)
    assert found is not None
    assert (found.now.misses, found.best.misses, found.best.schedule.by_day) == (18, 10, 10)
    assert found.spares_saved < 0


def test_too_few_arrivals_say_nothing() -> None:
    assert advise(daily(1, LEAST_ARRIVALS - 1), spares=2, boot_seconds=180) is None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 7 * DAY, allow_nan=False), min_size=LEAST_ARRIVALS, max_size=120).map(sorted),
    st.integers(0, 6),
    st.floats(1, 900),
)
def test_the_advice_never_misses_more_than_the_present_number(arrivals: list[float], spares: int, boot_seconds: float) -> None:
    found = advise(arrivals, spares, boot_seconds)
    assert found is not None
    assert found.best.misses <= found.now.misses
    assert found.best.misses == replay(arrivals, found.best.schedule, boot_seconds)
    if found.now.misses <= 0.01 * len(arrivals):
        assert found.best.schedule.mean <= max(spares, 1)


@pytest.mark.parametrize("spares", [1, 2, 5])
def test_what_is_advised_is_the_cheapest_that_is_as_good(spares: int) -> None:
    arrivals = daily(7, 30, seed=spares)
    found = advise(arrivals, spares, 180)
    assert found is not None
    limit = min(found.now.misses, int(0.01 * len(arrivals)))
    cheaper = [
        Schedule(day, night, found.best.schedule.day_begins)
        for day in range(1, 11)
        for night in range(1, day + 1)
        if (day + night) / 2 < found.best.schedule.mean
    ]
    assert all(replay(arrivals, schedule, 180) > limit for schedule in cheaper)
