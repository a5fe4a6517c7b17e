"""What reaches CloudWatch."""

from __future__ import annotations

from lab.plain import plain_lab
from openclaw_hosted.adapters.aws.meter import MOST_VALUES
from openclaw_hosted.domain.metering import Metric, Reading
from tests.support.aws import provided_on


async def test_readings_arrive_whole_in_one_call() -> None:
    durations = tuple(float(number) for number in range(MOST_VALUES + 1))
    with plain_lab() as lab:
        async with provided_on(lab.site) as provided:
            lab.cloud.calls.clear()
            await provided.meter.publish([Reading(Metric.AVAILABLE, (2.0,)), Reading(Metric.ASSIGNMENT, durations)])
        assert lab.cloud.calls.counts() == {"cloudwatch:PutMetricData": 1}
        series = {name: points for (_, name, _), points in lab.cloud.metrics.series.items()}
        assert {(space, dims) for space, _, dims in lab.cloud.metrics.series} == {
            ("OpenClawHosted", frozenset({("Deployment", "openclaw")}))
        }
        assert [point.values for point in series["AvailableMachines"]] == [(2.0,)]
        assert sorted(value for point in series["AssignmentSeconds"] for value in point.values) == list(durations)
