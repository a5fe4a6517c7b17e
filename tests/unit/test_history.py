"""What rolls up from minutes to days loses nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.history import (
    EMPTY,
    Bucket,
    Count,
    Gauge,
    Level,
    Resolution,
    counted,
    decode_bucket,
    encode_bucket,
    regrouped,
    rolled_up,
    sampled,
    together,
)
from openclaw_hosted.domain.instance import StepName
from openclaw_hosted.domain.machine import MachineFailure
from openclaw_hosted.domain.measures import BOUNDS, Calls, Durations, lasted
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.notice import NoticeKind
from openclaw_hosted.domain.tally import MOST_MINUTES, MOST_NAMES, OTHER, Outcome, Tally

NOON = 1_790_000_000 // 86_400 * 86_400 + 43_200
RUNNING = Event(EventName.INSTANCE_RUNNING, NOON)
MOMENTS = st.lists(st.tuples(st.integers(0, 3 * 86_400), st.integers(0, 50)), max_size=40)


def ran(value: int) -> Bucket:
    """A step that took so long, and calls to a cloud."""
    return Bucket(steps={StepName.VOLUME: lasted(value / 3)}, calls={"ec2:CreateFleet": Calls(value + 1, value, 0)})


def counts(event: Event) -> dict[Count, int]:
    return dict(counted(event).counts)


@given(MOMENTS)
def test_days_put_together_from_minutes_are_the_days_that_were_watched(moments: list[tuple[int, int]]) -> None:
    parts = [(NOON + at, sampled({Gauge.READY: value}) + counted(RUNNING, float(value)) + ran(value)) for at, value in moments]
    buckets = rolled_up(parts)
    for coarse, fine in ((Resolution.HOUR, Resolution.MINUTE), (Resolution.DAY, Resolution.HOUR)):
        regained: dict[int, Bucket] = {}
        for (resolution, start), bucket in buckets.items():
            if resolution is fine:
                regained[coarse.start_of(start)] = regained.get(coarse.start_of(start), EMPTY) + bucket
        assert regained == {start: bucket for (resolution, start), bucket in buckets.items() if resolution is coarse}


@given(MOMENTS)
def test_a_bucket_reads_back_as_it_was_written(moments: list[tuple[int, int]]) -> None:
    bucket = together(
        sampled({Gauge.COST: value / 7})
        + counted(RUNNING, float(at))
        + Bucket(steps={StepName.VOLUME: lasted(at / 3)}, calls={"ec2:CreateFleet": Calls(value, value // 2, value // 3)})
        for at, value in moments
    )
    assert decode_bucket(encode_bucket(bucket)) == bucket


def test_what_a_later_version_counts_is_left_out() -> None:
    assert decode_bucket('{"g":{"ready":[1,2,2,2],"mood":[1,1,1,1]},"c":{"creates":3,"hugs":9},"l":{}}') == Bucket(
        {Gauge.READY: Level(1, 2, 2, 2)}, {Count.CREATES: 3}
    )


def test_a_create_with_a_machine_is_a_hit_and_one_without_a_miss() -> None:
    created = Event(EventName.INSTANCE_CREATED, NOON, InstanceId("oc-1"))
    assert counts(created) == {Count.CREATES: 1, Count.MISSES: 1}
    assert counts(Event(EventName.INSTANCE_CREATED, NOON, InstanceId("oc-1"), MachineId("mc-1"))) == {Count.CREATES: 1, Count.HITS: 1}


def test_only_what_the_provider_took_is_an_interruption() -> None:
    def noticed(kind: NoticeKind) -> Event:
        return Event(EventName.MACHINE_NOTICED, NOON, detail={"kind": kind})

    def condemned(reason: MachineFailure) -> Event:
        return Event(EventName.MACHINE_CONDEMNED, NOON, detail={"reason": reason})

    assert counts(noticed(NoticeKind.INTERRUPTION)) == counts(condemned(MachineFailure.DIED)) == {Count.INTERRUPTIONS: 1}
    assert counts(noticed(NoticeKind.DRAIN)) == counts(condemned(MachineFailure.SURPLUS)) == {}
    assert counts(condemned(MachineFailure.NOT_READY_IN_TIME)) == {Count.LAUNCH_FAILURES: 1}


def test_a_quantile_is_the_bound_within_which_so_many_ended() -> None:
    quick = together(counted(RUNNING, 0.3) for _ in range(19))
    assert EMPTY.quantile(0.5) is None
    assert (quick.quantile(0.5), quick.quantile(0.95)) == (0.5, 0.5)
    slow = quick + counted(RUNNING, 100.0) + counted(RUNNING, 99_999.0)
    assert (slow.quantile(0.5), slow.quantile(0.95), slow.quantile(1.0)) == (0.5, 120.0, BOUNDS[-1])


def test_stretches_without_anything_are_there_and_empty() -> None:
    buckets = {
        NOON: counted(RUNNING, 1.0),
        NOON + 60: counted(RUNNING, 1.0),
        NOON + 300: counted(RUNNING, 1.0),
        NOON - 60: counted(RUNNING),
    }
    shown = regrouped(buckets, NOON, 120, 3)
    assert [start - NOON for start, _ in shown] == [0, 120, 240]
    assert [sum(bucket.latency) for _, bucket in shown] == [2, 0, 1]


def test_a_step_is_known_by_the_bounds_within_which_it_ended_and_by_its_sum() -> None:
    took = lasted(0.3) + lasted(0.3) + lasted(4.0) + lasted(9_999.0)
    assert (took.count, took.milliseconds, took.within(0.5), took.within(0.95)) == (4, 10_003_600, 0.5, BOUNDS[-1])
    assert sum(took.dense) == 4
    assert Durations().within(0.5) is None


def test_a_tally_is_taken_once_by_the_minute_and_bounded_in_names_and_in_time() -> None:
    tally = Tally()
    tally.step(StepName.VOLUME, NOON, NOON + 61)
    for number in range(MOST_NAMES + 5):
        tally.call(f"ec2:Call{number}", Outcome.THROTTLED if number else Outcome.FAILED, NOON + 1)
    first, second = tally.take()
    assert (first[0], second[0], second[1].steps) == (NOON, NOON + 60, {StepName.VOLUME: lasted(61)})
    assert first[1].calls["ec2:Call0"] == Calls(1, 1, 0)
    assert first[1].calls[OTHER] == Calls(5, 0, 5)
    assert tally.take() == []
    for minute in range(MOST_MINUTES + 3):
        tally.call("ec2:DescribeVpcs", Outcome.WELL, NOON + 60 * minute)
    kept = tally.take()
    assert (len(kept), kept[0][0]) == (MOST_MINUTES, NOON + 180)
