"""Lines of a log: when they were written, how grave they are, and which ones somebody wants to see."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openclaw_hosted.domain.errors import InvalidInput
from openclaw_hosted.domain.loglines import Level, LogWish, chosen, parse_since, read_lines

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
LINES = [
    "what came before the first head",
    "2026-11-30 11:00:00 INFO [gateway] ready",
    "2026-11-30 11:30:00 WARN [agent] slow model",
    "2026-11-30 11:59:00 ERROR [agent] broke",
    "    at run (agent.js:1)",
    "2026-11-30T13:00:00.123+01:00 debug done",
    "not a time 2026",
]


def texts(wish: LogWish) -> list[str]:
    return [line.text for line in chosen(LINES, wish)]


def test_a_line_without_a_head_belongs_to_the_one_above() -> None:
    read = list(read_lines(LINES))
    assert [line.level for line in read] == [None, Level.INFO, Level.WARN, Level.ERROR, Level.ERROR, Level.DEBUG, Level.DEBUG]
    assert [line.at for line in read] == [None, NOON - 3600, NOON - 1800, NOON - 60, NOON - 60, NOON, NOON]


def test_times_in_another_zone_are_the_same_moment() -> None:
    (line,) = read_lines(["2026-11-30T13:00:00+01:00 x"])
    assert line.at == NOON


def test_no_wish_is_all_lines() -> None:
    assert texts(LogWish()) == LINES


def test_since_level_and_search_narrow_together() -> None:
    assert texts(LogWish(since=NOON - 120)) == [LINES[0], *LINES[3:]]
    assert texts(LogWish(level=Level.WARN)) == [LINES[0], LINES[2], LINES[3], LINES[4]]
    assert texts(LogWish(search="AGENT")) == [LINES[2], LINES[3], LINES[4]]
    assert texts(LogWish(since=NOON - 120, level=Level.ERROR, search="broke")) == [LINES[3]]


@pytest.mark.parametrize(
    ("text", "ago"), [("90s", 90), ("15m", 900), ("2h", 7200), ("3d", 259_200), ("2026-11-30T11:00:00Z", 3600), ("2026-11-30 11:00", 3600)]
)
def test_since_is_a_time_or_how_long_ago(text: str, ago: float) -> None:
    assert parse_since(text, NOON) == NOON - ago


@pytest.mark.parametrize("text", ["", "yesterday", "5", "-3h", "99999999999s", "2026-13-01"])
def test_what_is_no_time_is_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(InvalidInput, match="15m") as refused:
        parse_since(text, NOON)
    assert refused.value.problems[0].field == "since"


@pytest.mark.parametrize("line", ["9999-99-99 99:99:99 INFO x", "0000-00-00 00:00:00", "\x00", "2026-11-30 11:00:00 WARNING x"])
def test_no_line_is_too_strange(line: str) -> None:
    assert [found.text for found in read_lines([line])] == [line]
