"""N+2 beside the adaptive pool, for 10 to 1,000,000 users: `make pool-table` writes docs/pool.md's tables and plots anew.

Always the same from the same seeds, on any computer. It takes some minutes on two cores. The plot of a week alone takes seconds:
python -m simulation.spares_table --week
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from openclaw_hosted.domain.adaptive import AdaptivePolicy, WeekPlan, plan_week
from openclaw_hosted.domain.cost import Deployment, estimate, planned_holdings
from simulation.spares import COUNTED_WEEKS, LEARNED_WEEKS, Outcome, Past, Weather, live, past_of, watched
from simulation.svg import Line, Plot

SIZES: Final = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
SPARES: Final = 2
LARGE: Final = 100_000
MOST_OF_LARGE: Final = 300
"""POOL_SPARE_MOST, which an operator of so many raises."""
SEEDS: Final = (1, 2, 3)
DOCS: Final = Path(__file__).parent.parent / "docs"
BEGIN, END = "<!-- make pool-table: from here -->", "<!-- make pool-table: until here -->"
SHOWN_WEEK: Final = 10_000
WEEK_FILE: Final = "pool-week.svg"


@dataclass(frozen=True, slots=True)
class Job:
    """A run of both policies."""

    users: int
    weather: Weather
    seed: int


@dataclass(frozen=True, slots=True)
class Row:
    """What came of both, over all seeds."""

    users: int
    weather: Weather
    fixed: Sequence[Outcome]
    adaptive: Sequence[Outcome]


def policy_for(users: int) -> AdaptivePolicy:
    """The production policy's defaults; large platforms may keep more."""
    return AdaptivePolicy(most=MOST_OF_LARGE) if users >= LARGE else AdaptivePolicy()


def run(job: Job) -> tuple[Job, Outcome, Outcome]:
    """Both policies on the same past."""
    past = past_of(job.users, job.weather, job.seed)
    return job, live(past, SPARES, None), live(past, SPARES, policy_for(job.users))


def jobs(sizes: Iterable[int]) -> list[Job]:
    """The longest first. Large platforms have one seed: they are many users in themselves."""
    found = [Job(users, weather, seed) for users in sizes for weather in Weather for seed in (SEEDS if users < LARGE else SEEDS[:1])]
    return sorted(found, key=lambda job: -job.users)


def rows(results: Sequence[tuple[Job, Outcome, Outcome]]) -> list[Row]:
    """By size and weather."""
    keys = sorted({(job.users, list(Weather).index(job.weather)) for job, _, _ in results})
    found = []
    for users, number in keys:
        weather = list(Weather)[number]
        mine = sorted((job.seed, fixed, adaptive) for job, fixed, adaptive in results if (job.users, job.weather) == (users, weather))
        found.append(Row(users, weather, [each[1] for each in mine], [each[2] for each in mine]))
    return found


def table(found: Sequence[Row]) -> str:
    """Markdown."""
    lines = []
    for weather in Weather:
        lines += [
            f"**{weather.capitalize()}**", "",
            "| users | came | N+2 missed | spares | adaptive missed | spares | wait of a miss, N+2 | adaptive | costs more a month |",
            "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            *(_row(row) for row in found if row.weather is weather), "",
        ]  # fmt: skip
    return "\n".join(lines)


def _row(row: Row) -> str:
    runs = len(row.fixed)
    more = (_mean(row.adaptive) - _mean(row.fixed)) * usd_of_a_spare()
    cells = [
        f"{row.users:,}", f"{sum(each.arrivals for each in row.fixed) / runs:,.0f}",
        f"{_missed(row.fixed)}", f"{_mean(row.fixed):.1f}", f"{_missed(row.adaptive)}", f"{_mean(row.adaptive):.1f}",
        _wait(row.fixed), _wait(row.adaptive), f"${more:,.0f}".replace("$-", "−$"),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _missed(outcomes: Sequence[Outcome]) -> str:
    share = missed_share(outcomes)
    return f"{sum(each.misses for each in outcomes) / len(outcomes):,.0f} ({share:.1%})" if share else "0"


def missed_share(outcomes: Sequence[Outcome]) -> float:
    """Of all that came."""
    return sum(each.misses for each in outcomes) / max(1, sum(each.arrivals for each in outcomes))


def _wait(outcomes: Sequence[Outcome]) -> str:
    misses = sum(each.misses for each in outcomes)
    return f"{sum(each.waited_seconds for each in outcomes) / misses:.0f} s" if misses else "–"


def _mean(outcomes: Sequence[Outcome]) -> float:
    return sum(each.spares for each in outcomes) / len(outcomes)


def usd_of_a_spare() -> float:
    """In a month, on AWS by list prices."""
    with_it, without = (estimate(planned_holdings(0, spares), Deployment()).total_usd for spares in (1, 0))
    return with_it - without


def plots(found: Sequence[Row]) -> dict[str, Plot]:
    """By file name."""
    sizes = sorted({row.users for row in found})
    drawn = {}
    for weather in Weather:
        mine = [row for row in found if row.weather is weather]
        fixed, adaptive = (
            [100 * missed_share(each) for each in outcomes] for outcomes in zip(*((r.fixed, r.adaptive) for r in mine), strict=True)
        )
        drawn[f"pool-{weather.name.lower().replace('_', '-')}.svg"] = Plot(
            f"Who found no spare: {weather}", "By users, the share of new instances that found no spare; the table has the figures.",
            [f"{size:,}" for size in sizes], [Line("adaptive", "a", adaptive), Line("N+2", "b", fixed)], "%",
        )  # fmt: skip
    return drawn | {WEEK_FILE: week()}


def week() -> Plot:
    """What the pool plans for a week, over what it learned from."""
    plan, record = learned(past_of(SHOWN_WEEK, Weather.CALM, SEEDS[0]))
    counts = [0] * 168
    for start, count in record.items():
        counts[(start // 3600) % 168] += count
    labels = [day if hour == 12 else "" for day in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun") for hour in range(24)]
    return Plot(
        f"Spares by hour of the week, {SHOWN_WEEK:,} users", "The plan as a line; behind it, how many instances were created in that hour.",
        labels, [Line("adaptive", "a", plan.hours), Line("N+2", "b", [SPARES] * 168)],
        bars=counts, bars_name="created in four weeks", has_dots=False,
    )  # fmt: skip


def learned(past: Past) -> tuple[WeekPlan, dict[int, int]]:
    """What four weeks taught, and how many came in each of their hours."""
    record = watched(past)
    plan = plan_week(record, SPARES, policy_for(SHOWN_WEEK))
    assert plan is not None
    return plan, dict(record.by_hour)


def main() -> None:
    """Simulate, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--users", type=int, nargs="+", default=list(SIZES), help="sizes (default: all of the page); others are only printed"
    )
    parser.add_argument("--week", action="store_true", help="write the plot of a week alone, which takes seconds")
    given = parser.parse_args()
    if given.week:
        (DOCS / "images" / WEEK_FILE).write_text(week().svg(), encoding="utf-8")
        return
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        results = []
        for result in pool.map(run, jobs(given.users)):
            sys.stderr.write(f"{result[0].users:,} users, {result[0].weather}, seed {result[0].seed}\n")
            results.append(result)
    found = rows(results)
    sys.stdout.write(f"{table(found)}\n")
    if tuple(given.users) == SIZES:
        _write(found)


def _write(found: Sequence[Row]) -> None:
    page = DOCS / "pool.md"
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{table(found)}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    for name, plot in plots(found).items():
        (DOCS / "images" / name).write_text(plot.svg(), encoding="utf-8")
    sys.stderr.write(f"{LEARNED_WEEKS} weeks to learn, {COUNTED_WEEKS} counted; docs/pool.md and its plots are written.\n")


if __name__ == "__main__":
    main()
