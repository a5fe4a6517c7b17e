"""CloudWatch alarms that look at their metric: one metric against a threshold, over periods that end now.

Metric math, composite alarms and actions are not carried out: such an alarm keeps the state that it has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lab.cloud.calls import Call
from lab.cloud.describe import moment
from lab.cloud.operations import moto, operation

if TYPE_CHECKING:
    from lab.cloud.account import Account

KEPT_SECONDS = 24 * 3600.0
Series = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, name and dimensions of a metric."""


@dataclass(frozen=True)
class Point:
    """What was put at one time: single values, or a summary of several."""

    at: float
    total: float
    count: float
    least: float
    most: float
    values: tuple[float, ...] = ()


@dataclass
class Metrics:
    """The points of every metric, oldest first."""

    series: dict[Series, list[Point]] = field(default_factory=dict)

    def add(self, series: Series, point: Point) -> None:
        """Keep one more, and let go of what is a day old."""
        points = self.series.setdefault(series, [])
        points.append(point)
        points.sort(key=lambda each: each.at)
        while points[0].at < point.at - KEPT_SECONDS:
            points.pop(0)

    def between(self, series: Series, start: float, end: float) -> list[Point]:
        """Those after `start`, up to and with `end`."""
        return [point for point in self.series.get(series, []) if start < point.at <= end]


@operation("cloudwatch", "PutMetricData")
def put_metric_data(account: Account, call: Call) -> Any:
    """Keep metrics, and look at the alarms."""
    answer = moto(call)
    for datum in call.params["MetricData"]:
        series = _series(call.params["Namespace"], datum["MetricName"], datum.get("Dimensions"))
        account.metrics.add(series, _point(datum, account.clock()))
    evaluate(account)
    return answer


@operation("cloudwatch", "PutMetricAlarm")
def put_metric_alarm(account: Account, call: Call) -> Any:
    """Make or change an alarm; a new one has insufficient data until it was looked at."""
    alarms = account.cloudwatch.alarms
    known = alarms.get(call.params["AlarmName"])
    answer = moto(call)
    if known is None:
        alarms[call.params["AlarmName"]].update_state("Unchecked: Initial alarm creation", "{}", "INSUFFICIENT_DATA")
    else:
        alarms[call.params["AlarmName"]].update_state(known.state_reason, "{}", known.state_value)
    return answer


def _series(namespace: str, name: str, dimensions: Sequence[Mapping[str, str]] | None) -> Series:
    return namespace, name, frozenset((each["Name"], each["Value"]) for each in dimensions or [])


def _point(datum: Mapping[str, Any], now: float) -> Point:
    at = _seconds(datum["Timestamp"]) if datum.get("Timestamp") else now
    if summary := datum.get("StatisticValues"):
        return Point(at, float(summary["Sum"]), float(summary["SampleCount"]), float(summary["Minimum"]), float(summary["Maximum"]))
    values = [float(each) for each in datum.get("Values") or [datum.get("Value", 0)]]
    counts = [int(float(each)) for each in datum.get("Counts") or [1] * len(values)]
    each_value = tuple(value for value, count in zip(values, counts, strict=True) for _ in range(count))
    return Point(at, sum(each_value), len(each_value), min(each_value), max(each_value), each_value)


def _seconds(timestamp: datetime) -> float:
    return (timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)).timestamp()


def evaluate(account: Account) -> None:
    """Bring all alarms up to now. Call with the lock held."""
    for alarm in account.cloudwatch.alarms.values():
        if alarm.rule or alarm.metric_data_queries or not alarm.metric_name:
            continue
        state = _state(account, alarm)
        if state is not None and state != alarm.state_value:
            alarm.update_state(f"Threshold Crossed: {alarm.comparison_operator} {alarm.threshold}", "{}", state)
            alarm.state_updated_timestamp = moment(account.clock())


def _state(account: Account, alarm: Any) -> str | None:
    """None to keep the state that it has."""
    series = alarm.namespace, alarm.metric_name, frozenset((each.name, each.value) for each in alarm.dimensions)
    now, period, periods = account.clock(), float(alarm.period), int(alarm.evaluation_periods)
    found = []
    for number in range(periods):
        points = account.metrics.between(series, now - (number + 1) * period, now - number * period)
        if points:
            found.append(_breaches(_statistic(alarm, points), alarm))
    missing = periods - len(found)
    treat = alarm.treat_missing_data or "missing"
    if not found and treat in {"missing", "ignore"}:
        return "INSUFFICIENT_DATA" if treat == "missing" else None
    breaching = sum(found) + (missing if treat == "breaching" else 0)
    needed = int(alarm.datapoints_to_alarm or periods)
    if treat == "missing":
        needed = min(needed, len(found))
    return "ALARM" if breaching >= needed else "OK"


def _statistic(alarm: Any, points: Sequence[Point]) -> float:
    total, count = sum(point.total for point in points), sum(point.count for point in points)
    if alarm.extended_statistic:
        return _percentile(sorted(value for point in points for value in point.values), float(alarm.extended_statistic.lstrip("p")))
    of_name = {
        "Sum": total,
        "SampleCount": count,
        "Average": total / count,
        "Minimum": min(point.least for point in points),
        "Maximum": max(point.most for point in points),
    }
    return of_name[alarm.statistic]


def _percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed."""
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)] if values else math.nan


def _breaches(value: float, alarm: Any) -> bool:
    threshold = float(alarm.threshold)
    holds = {
        "GreaterThanThreshold": value > threshold,
        "GreaterThanOrEqualToThreshold": value >= threshold,
        "LessThanThreshold": value < threshold,
        "LessThanOrEqualToThreshold": value <= threshold,
    }
    return holds[alarm.comparison_operator]
