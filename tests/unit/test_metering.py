"""What is counted, of which rows and events."""

from __future__ import annotations

from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase
from openclaw_hosted.domain.machine import Machine, MachineState, Warmth
from openclaw_hosted.domain.metering import LOOP_RESTARTS, MeterView, Metric, first_run, take_readings
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId, volume_of


def machine(number: int, state: MachineState) -> Machine:
    reserved = InstanceId(f"oc-{number}")
    return Machine(MachineId(f"m-{number}"), state, reserved, volume_of(reserved), "v1", Warmth.HOT, 0.0, 0.0)


def instance(number: int, phase: Phase) -> Instance:
    return Instance(
        InstanceId(f"oc-{number}"), UserId("u"), "mine", DesiredState.RUNNING, phase, 0.0, 0.0, machine_id=MachineId(f"m-{number}")
    )  # fmt: skip


def event(name: EventName, at: float = 0.0, number: int = 1, **detail: str) -> Event:
    return Event(name, at, InstanceId(f"oc-{number}"), MachineId(f"m-{number}"), detail=detail)


def counted(**view: object) -> dict[Metric, tuple[float, ...]]:
    nothing: dict[str, object] = dict.fromkeys(("machines", "placed", "fresh", "recent", "assignment_seconds"), ())
    readings = take_readings(MeterView(**{**nothing, **view}))  # type: ignore[arg-type]
    return {reading.metric: reading.values for reading in readings}


def test_machines_are_counted_by_state() -> None:
    states = (MachineState.AVAILABLE, MachineState.AVAILABLE, MachineState.INITIALIZING, MachineState.TERMINATING)
    found = counted(machines=[machine(number, state) for number, state in enumerate(states)])
    assert (found[Metric.AVAILABLE], found[Metric.INITIALIZING]) == ((2.0,), (1.0,))


def test_a_platform_without_anything_says_so_in_zeros_and_tells_no_durations() -> None:
    found = counted()
    assert set(found.values()) == {(0.0,)}
    assert Metric.ASSIGNMENT not in found


def test_a_gateway_started_again_often_within_a_while_is_in_a_crash_loop_while_its_machine_lives() -> None:
    machines = [machine(1, MachineState.ASSIGNED), machine(2, MachineState.ASSIGNED), machine(3, MachineState.TERMINATING)]
    restarts = [
        *(event(EventName.GATEWAY_RESTARTED, number=1) for _ in range(LOOP_RESTARTS)),
        *(event(EventName.GATEWAY_RESTARTED, number=2) for _ in range(LOOP_RESTARTS - 1)),
        *(event(EventName.GATEWAY_RESTARTED, number=3) for _ in range(LOOP_RESTARTS)),
    ]
    placed = [instance(1, Phase.RUNNING), instance(2, Phase.RUNNING), instance(4, Phase.FAILED), instance(5, Phase.PLACING)]
    found = counted(machines=machines, placed=placed, recent=restarts)
    assert found[Metric.CRASH_LOOPS] == (1.0,)
    assert (found[Metric.HEALTHY], found[Metric.UNHEALTHY]) == ((1.0,), (2.0,))


def test_a_launch_that_fails_counts_once() -> None:
    fresh = [
        event(EventName.MACHINE_LAUNCH_FAILED),
        event(EventName.MACHINE_CONDEMNED, reason="launch_failed"),
        event(EventName.MACHINE_CONDEMNED, reason="not_ready_in_time"),
        event(EventName.MACHINE_CONDEMNED, reason="died"),
    ]
    assert counted(fresh=fresh)[Metric.LAUNCH_FAILURES] == (2.0,)


def test_only_the_first_time_that_an_instance_runs_is_how_long_its_user_waited() -> None:
    created, first, again = (
        event(EventName.INSTANCE_CREATED, 10.0),
        event(EventName.INSTANCE_RUNNING, 14.5),
        event(EventName.INSTANCE_RUNNING, 99.0),
    )
    history = [again, first, created]
    assert first_run(history, first) == 4.5
    assert first_run(history, again) is None
    assert first_run([first], first) is None, "what happened before is not known any more"
