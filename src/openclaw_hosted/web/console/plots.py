"""What the overview draws: a few lines or bars over time, and the same figures as a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from openclaw_hosted.domain.history import Bucket, Count, Gauge
from openclaw_hosted.domain.measures import Calls
from openclaw_hosted.services.console import Range

Value = float | None
Read = Callable[[Bucket], Value]
HALF, MOST = 0.5, 0.95


class Shape(StrEnum):
    """How figures are drawn."""

    LINES = "lines"
    BARS = "bars"
    """One on top of the other."""


@dataclass(frozen=True, slots=True)
class Line:
    """One series. `tone` names a colour of the style sheet."""

    label: str
    tone: str
    read: Read


@dataclass(frozen=True, slots=True)
class Kind:
    """One plot. `unit` comes before or after each figure."""

    name: str
    title: str
    shape: Shape
    lines: Sequence[Line]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot with its figures: `rows` has a time and a figure for each line, `data` the same for the script."""

    kind: Kind
    rows: Sequence[tuple[int, Sequence[Value]]]
    data: str
    is_empty: bool
    newest: Sequence[Value]
    """The last figure that is known of each line."""


def _lowest(gauge: Gauge) -> Read:
    return lambda bucket: bucket.gauges[gauge].lowest if gauge in bucket.gauges else None


def _highest(gauge: Gauge) -> Read:
    return lambda bucket: bucket.gauges[gauge].highest if gauge in bucket.gauges else None


def _mean(gauge: Gauge) -> Read:
    return lambda bucket: round(bucket.gauges[gauge].mean, 4) if gauge in bucket.gauges else None


def _count(*counts: Count) -> Read:
    return lambda bucket: float(sum(bucket.counts.get(count, 0) for count in counts))


def _calls(figure: Callable[[Calls], int]) -> Read:
    return lambda bucket: float(sum(figure(made) for made in bucket.calls.values()))


def _quantile(share: float) -> Read:
    return lambda bucket: bucket.quantile(share)


KINDS: Final = (
    Kind(
        "pool",
        "Spares",
        Shape.LINES,
        (
            Line("Ready, at least", "good", _lowest(Gauge.READY)),
            Line("Wanted", "soft", _highest(Gauge.WANTED)),
            Line("Getting ready, at most", "accent", _highest(Gauge.BOOTING)),
        ),
    ),
    Kind(
        "creates",
        "New instances",
        Shape.BARS,
        (Line("Found a spare", "good", _count(Count.HITS)), Line("Waited for a machine", "warn", _count(Count.MISSES))),
    ),
    Kind(
        "latency",
        "From asking to running",
        Shape.LINES,
        (Line("Half within", "accent", _quantile(HALF)), Line("95 of 100 within", "warn", _quantile(MOST))),
        "s",
    ),
    Kind(
        "instances",
        "Instances",
        Shape.LINES,
        (
            Line("Running", "good", _mean(Gauge.RUNNING)),
            Line("Waiting, at most", "warn", _highest(Gauge.WAITING)),
            Line("Failed, at most", "bad", _highest(Gauge.FAILED)),
        ),
    ),
    Kind(
        "trouble",
        "Trouble",
        Shape.BARS,
        (
            Line("Machines taken away", "bad", _count(Count.INTERRUPTIONS)),
            Line("Instances that moved", "accent", _count(Count.REPLACEMENTS)),
            Line("OpenClaw restarted", "warn", _count(Count.RESTARTS)),
            Line("Launches failed", "soft", _count(Count.LAUNCH_FAILURES)),
        ),
    ),
    Kind(
        "calls",
        "Calls to the cloud",
        Shape.BARS,
        (
            Line("Answered", "good", _calls(lambda made: made.made - made.failed - made.throttled)),
            Line("Refused or without an answer", "bad", _calls(lambda made: made.failed)),
            Line("Throttled", "warn", _calls(lambda made: made.throttled)),
        ),
    ),
    Kind("cost", "Cost per hour", Shape.LINES, (Line("Estimated", "accent", _mean(Gauge.COST)),), "$"),
)


ONLY_WHERE_KNOWN: Final = ("cost", "calls")


def plots_of(series: Sequence[tuple[int, Bucket]], back: Range) -> list[Plot]:
    """All plots, but those of costs and of calls to a cloud only where there are any."""
    plots = [_plot(kind, series, back) for kind in KINDS]
    return [plot for plot in plots if plot.kind.name not in ONLY_WHERE_KNOWN or not plot.is_empty]


def _plot(kind: Kind, series: Sequence[tuple[int, Bucket]], back: Range) -> Plot:
    rows = [(start, [line.read(bucket) for line in kind.lines]) for start, bucket in series]
    columns = [[values[number] for _, values in rows] for number in range(len(kind.lines))]
    data = {
        "shape": kind.shape,
        "unit": kind.unit,
        "first": series[0][0],
        "step": back.seconds,
        "lines": [{"label": line.label, "tone": line.tone} for line in kind.lines],
        "values": [[_short(value) for value in column] for column in columns],
    }
    newest = [next((value for value in reversed(column) if value is not None), None) for column in columns]
    is_empty = not any(value for column in columns for value in column)
    return Plot(kind, rows, json.dumps(data, separators=(",", ":")), is_empty, newest)


def _short(value: Value) -> Value:
    return int(value) if value is not None and value == int(value) else value
