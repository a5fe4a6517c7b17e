"""What is measured of the platform as a whole, for graphs and alarms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.machine import Machine, MachineFailure, MachineState

LOOP_SECONDS: Final = 600.0
LOOP_RESTARTS: Final = 3
"""A gateway that was started again so often within `LOOP_SECONDS` is in a crash loop."""


class Metric(StrEnum):
    """Each by the name that terraform/monitoring.tf knows it by."""

    AVAILABLE = "AvailableMachines"
    """Spares ready for a user."""
    INITIALIZING = "InitializingMachines"
    ASSIGNMENT = "AssignmentSeconds"
    """From a user's request until their instance ran, for each that first ran since the last reading."""
    HEALTHY = "HealthyGateways"
    """Instances with a machine that run, or take up a change."""
    UNHEALTHY = "UnhealthyGateways"
    """Instances with a machine that were given up, or whose gateway is in a crash loop."""
    CRASH_LOOPS = "CrashLoops"
    """Gateways in a crash loop, spares included."""
    LAUNCH_FAILURES = "LaunchFailures"
    """Launches that failed since the last reading, and machines that were not ready in time."""
    MONTHLY_COST = "EstimatedMonthlyCost"
    """US dollars for a month of what exists now (domain/cost.py), where it costs anything."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric now: a count, or some durations."""

    metric: Metric
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class MeterView:
    """What readings are made from. Events are in any order."""

    machines: Sequence[Machine]
    placed: Sequence[Instance]
    fresh: Sequence[Event]
    """What happened since the last reading."""
    recent: Sequence[Event]
    """What happened in the last `LOOP_SECONDS`."""
    assignment_seconds: Sequence[float]
    monthly_cost: float | None = None
    """None where nothing costs money."""


def take_readings(view: MeterView) -> list[Reading]:
    """All metrics; durations and costs only where there are any."""
    states = Counter(machine.state for machine in view.machines)
    alive = {machine.id for machine in view.machines if machine.state in (MachineState.AVAILABLE, MachineState.ASSIGNED)}
    restarts = Counter(event.machine_id for event in view.recent if event.name is EventName.GATEWAY_RESTARTED)
    looping = {machine_id for machine_id, count in restarts.items() if count >= LOOP_RESTARTS and machine_id in alive}
    sound = [instance for instance in view.placed if instance.machine_id not in looping]
    counts = {
        Metric.AVAILABLE: states[MachineState.AVAILABLE],
        Metric.INITIALIZING: states[MachineState.INITIALIZING],
        Metric.HEALTHY: sum(instance.phase in (Phase.RUNNING, Phase.UPDATING) for instance in sound),
        Metric.UNHEALTHY: len(view.placed) - len(sound) + sum(instance.phase is Phase.FAILED for instance in sound),
        Metric.CRASH_LOOPS: len(looping),
        Metric.LAUNCH_FAILURES: sum(_is_launch_failure(event) for event in view.fresh),
    }
    durations = [Reading(Metric.ASSIGNMENT, tuple(view.assignment_seconds))] if view.assignment_seconds else []
    costs = [] if view.monthly_cost is None else [Reading(Metric.MONTHLY_COST, (view.monthly_cost,))]
    return [*(Reading(metric, (float(count),)) for metric, count in counts.items()), *durations, *costs]


def first_run(history: Sequence[Event], running: Event) -> float | None:
    """How long the instance of this event took from its creation until it ran; None where it had run before.

    `history` is all that happened to it.
    """
    runs = [event for event in history if event.name is EventName.INSTANCE_RUNNING]
    created = [event.at for event in history if event.name is EventName.INSTANCE_CREATED]
    if not created or any(event.at < running.at for event in runs):
        return None
    return max(0.0, running.at - created[0])


def _is_launch_failure(event: Event) -> bool:
    if event.name is EventName.MACHINE_CONDEMNED:
        return event.detail.get("reason") == MachineFailure.NOT_READY_IN_TIME
    return event.name is EventName.MACHINE_LAUNCH_FAILED
