"""What reaches CloudWatch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from lab.plain import plain_lab
from openclaw_hosted.adapters.aws.meter import MOST_VALUES, AwsMeter
from openclaw_hosted.adapters.aws.sdk import Answer, Call, Operation
from openclaw_hosted.domain.metering import Metric, Reading
from tests.support.aws import provided_on


async def test_readings_arrive_whole_in_one_call() -> None:
    durations = tuple(float(number) for number in range(MOST_VALUES + 1))
    with plain_lab() as lab:
        async with provided_on(lab.site) as provided:
            lab.cloud.calls.clear()
            await provided.meter.publish([Reading(Metric.AVAILABLE, (2.0,)), Reading(Metric.ASSIGNMENT, durations)])
        assert lab.cloud.calls.counts() == {"cloudwatch:PutMetricData": 1}
        ours = {key: points for key, points in lab.cloud.metrics.series.items() if not key[0].startswith("AWS/")}
        series = {name: points for (_, name, _), points in ours.items()}
        assert {(space, dims) for space, _, dims in ours} == {("OpenClawHosted", frozenset({("Deployment", "openclaw")}))}
        assert [point.values for point in series["AvailableMachines"]] == [(2.0,)]
        assert sorted(value for point in series["AssignmentSeconds"] for value in point.values) == list(durations)


class Listening:
    """An `Sdk` that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    async def call(self, call: Operation, **parameters: Any) -> Answer:
        assert call is Call.PUT_METRICS
        self.told.append(parameters)
        return {}

    def pages(self, call: Operation, **parameters: Any) -> AsyncIterator[Answer]:
        raise AssertionError(f"{call} is not asked for: {parameters}")


async def test_costs_have_no_unit_that_cloudwatch_knows() -> None:
    listening = Listening()
    await AwsMeter(listening, "openclaw").publish([Reading(Metric.MONTHLY_COST, (193.27,)), Reading(Metric.AVAILABLE, (2.0,))])
    (told,) = listening.told
    assert {datum["MetricName"]: datum["Unit"] for datum in told["MetricData"]} == {
        "EstimatedMonthlyCost": "None",
        "AvailableMachines": "Count",
    }


async def test_the_provider_says_what_costs_are_estimated_with() -> None:
    with plain_lab() as lab:
        changes = {"SPOT_PRICE_PER_HOUR": "0.0066", "ROOT_VOLUME_GIB": "20", "ON_DEMAND_SPARES": "true"}
        async with provided_on(lab.site, **changes) as provided:
            found = provided.options.deployment
    assert found is not None
    assert (found.spot_price, found.root_gib, found.on_demand, found.postgres) == (0.0066, 20, True, False)
    assert (found.load_balancers, found.zones) == (len(lab.site.listeners), len(lab.site.subnets))
