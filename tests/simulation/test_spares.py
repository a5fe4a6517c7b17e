"""Spares without the control plane: the same from the same seed, and never worse than N+2, in small runs and on the page."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from simulation.spares import Weather, live, past_of
from simulation.spares_table import BEGIN, DOCS, END, SPARES, WEEK_FILE, Job, plots, policy_for, rows, run, table
from simulation.svg import Line, Plot

ROW = re.compile(r"^\| ([\d,]+) \| [\d,]+ \| ([\d,]+)[^|]*\| [\d.]+ \| ([\d,]+)[^|]*\|", re.MULTILINE)


def number(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.mark.parametrize("weather", Weather)
@pytest.mark.parametrize("users", [100, 1000])
def test_the_adaptive_pool_misses_no_more_than_two_spares(users: int, weather: Weather) -> None:
    for seed in (11, 12):
        past = past_of(users, weather, seed)
        assert live(past, SPARES, policy_for(users)).misses <= live(past, SPARES, None).misses


def test_the_same_seed_gives_the_same() -> None:
    job = Job(300, Weather.FAILURES, 5)
    assert run(job) == run(job)
    assert past_of(300, Weather.CALM, 5) != past_of(300, Weather.CALM, 6)


def test_nothing_is_learned_of_ten_users_and_both_are_the_same() -> None:
    past = past_of(10, Weather.CALM, 1)
    assert live(past, SPARES, policy_for(10)) == live(past, SPARES, None)


def test_in_no_row_of_the_page_does_the_adaptive_pool_miss_more() -> None:
    written = (DOCS / "pool.md").read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    found = [(number(users), number(fixed), number(adaptive)) for users, fixed, adaptive in ROW.findall(written)]
    assert [users for users, _, _ in found] == [10, 100, 1_000, 10_000, 100_000, 1_000_000] * len(Weather)
    assert [each for each in found if each[2] > each[1]] == []


def test_plots_are_whole_and_the_page_shows_all() -> None:
    found = rows([run(Job(users, weather, 1)) for users in (10, 100) for weather in Weather])
    page = (DOCS / "pool.md").read_text(encoding="utf-8")
    for name, plot in plots(found).items():
        drawn = ET.fromstring(plot.svg())  # noqa: S314 - our own
        assert len(drawn.findall(".//{*}polyline")) == 4
        assert f"(images/{name})" in page
        assert (DOCS / "images" / name).exists()
    assert table(found).count("| 100 |") == 3


def test_a_legend_names_each_line_and_the_bars_and_their_highest() -> None:
    plot = Plot("Week", "A week.", ["Mon", "Tue"], [Line("plan", "a", [1, 2])], bars=[3, 1200], bars_name="created")
    shown = ET.fromstring(plot.svg())  # noqa: S314 - our own
    assert [text.text for text in shown.findall("{*}text")][:3] == ["Week", "plan", "created, 1,200 at most"]
    assert next(bar.get("y") for bar in shown.findall("{*}rect[@class='bar']")) == "35"
    assert "created in four weeks" in (DOCS / "images" / WEEK_FILE).read_text(encoding="utf-8")
