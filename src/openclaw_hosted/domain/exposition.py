"""All metrics that Prometheus reads here, and that are sent to OpenTelemetry: names, what they mean, labels, and how they are written.

Labels take values from a fixed set each, so that no number of users makes more series. Names end in their unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import Final

from openclaw_hosted.domain.measures import BOUNDS, Durations

PREFIX: Final = "openclaw_hosted_"


class Exposed(StrEnum):
    """Each by its name, without the prefix."""

    INFO = "info"
    MACHINES = "machines"
    INSTANCES = "instances"
    WAITING = "waiting_instances"
    SPARES_WANTED = "spares_wanted"
    FLEET_CAP = "fleet_cap_machines"
    POOL_STATUS = "pool_status"
    LAUNCH_FAILURES_IN_ROW = "launch_failures_in_row"
    ASSIGNMENT = "assignment_seconds"
    GATEWAYS = "gateways"
    CRASH_LOOPS = "crash_looping_gateways"
    ALARM = "alarm_on"
    COST = "estimated_cost_usd_per_month"
    READY = "ready"
    STEP = "step_seconds"
    CALLS = "cloud_calls_total"
    CALL_ERRORS = "cloud_call_errors_total"
    CALL_THROTTLES = "cloud_call_throttles_total"


class Kind(StrEnum):
    """What a metric does over time."""

    GAUGE = "gauge"
    COUNTER = "counter"
    """Never falls."""
    HISTOGRAM = "histogram"
    """Of durations, by `BOUNDS`; never falls either."""


HELP: Final[Mapping[Exposed, str]] = {
    Exposed.INFO: "1, with the versions of the platform and of OpenClaw.",
    Exposed.MACHINES: "Machines that exist, by state.",
    Exposed.INSTANCES: "Instances that keep something, by phase.",
    Exposed.WAITING: "Instances that wait for a machine.",
    Exposed.SPARES_WANTED: "How many spares there should be.",
    Exposed.FLEET_CAP: "The most machines at once.",
    Exposed.POOL_STATUS: "1 for what the pool says of itself, 0 for the others.",
    Exposed.LAUNCH_FAILURES_IN_ROW: "Failed launches since the last that succeeded.",
    Exposed.ASSIGNMENT: "From a user's request until their instance ran for the first time, of the newest ones, by quantile.",
    Exposed.GATEWAYS: "Gateways of users, by whether they are healthy.",
    Exposed.CRASH_LOOPS: "Gateways that were restarted three times within ten minutes, spares included.",
    Exposed.ALARM: "1 for an alarm that is on, 0 for the others.",
    Exposed.COST: "What exists, in US dollars for a month; absent where machines cost nothing.",
    Exposed.READY: "1 for what the platform needs and is well, 0 for what is not.",
    Exposed.STEP: "How long the steps of placements and deletions took that succeeded, by step.",
    Exposed.CALLS: "Calls to the cloud, by service and operation; absent where there is no cloud.",
    Exposed.CALL_ERRORS: "Calls to the cloud that were refused or got no answer, but for those that were throttled.",
    Exposed.CALL_THROTTLES: "Calls to the cloud that were throttled.",
}
OTHER_KINDS: Final[Mapping[Exposed, Kind]] = {
    Exposed.STEP: Kind.HISTOGRAM,
    **dict.fromkeys((Exposed.CALLS, Exposed.CALL_ERRORS, Exposed.CALL_THROTTLES), Kind.COUNTER),
}


def kind_of(metric: Exposed) -> Kind:
    """A gauge, most of the time."""
    return OTHER_KINDS.get(metric, Kind.GAUGE)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value, or what a histogram holds."""

    metric: Exposed
    value: float | Durations
    labels: Mapping[str, str] = field(default_factory=dict)


def about(version: str, openclaw: str, checks: Mapping[str, bool]) -> list[Sample]:
    """The versions that run, and what is well of what the platform needs."""
    info = Sample(Exposed.INFO, 1, {"version": version, "openclaw": openclaw})
    return [info, *(Sample(Exposed.READY, is_well, {"check": check.replace(" ", "_")}) for check, is_well in checks.items())]


def render(samples: Sequence[Sample]) -> str:
    """As Prometheus reads it (text format 0.0.4)."""
    lines: list[str] = []
    for metric in Exposed:
        own = [sample for sample in samples if sample.metric is metric]
        if own:
            name = f"{PREFIX}{metric}"
            lines += [f"# HELP {name} {HELP[metric]}", f"# TYPE {name} {kind_of(metric)}"]
            lines += [line for sample in own for line in _lines(name, sample)]
    return "\n".join(lines) + "\n"


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of `values` does not exceed. There has to be one."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _lines(name: str, sample: Sample) -> list[str]:
    if not isinstance(sample.value, Durations):
        return [f"{name}{_labels(sample.labels)} {_number(sample.value)}"]
    edges = [*(_number(bound) for bound in BOUNDS), "+Inf"]
    up_to = zip(edges, accumulate(sample.value.dense), strict=True)
    return [
        *(f"{name}_bucket{_labels({**sample.labels, 'le': edge})} {count}" for edge, count in up_to),
        f"{name}_sum{_labels(sample.labels)} {_number(sample.value.milliseconds / 1000)}",
        f"{name}_count{_labels(sample.labels)} {sample.value.count}",
    ]


def _labels(labels: Mapping[str, str]) -> str:
    written = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{written}}}" if written else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return f"{value:.10g}"
