"""The meter: custom metrics of CloudWatch, which terraform/monitoring.tf has alarms on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from openclaw_hosted.adapters.aws.names import Tag
from openclaw_hosted.adapters.aws.sdk import Call, Sdk
from openclaw_hosted.domain.metering import Metric, Reading

NAMESPACE: Final = "OpenClawHosted"
MOST_VALUES: Final = 150
"""How many values a datum may hold. A call takes 1,000 data, far more than there are metrics."""

UNITS: Final[Mapping[Metric, str]] = {Metric.ASSIGNMENT: "Seconds", Metric.MONTHLY_COST: "None"}
"""CloudWatch has no unit for money."""


class AwsMeter:
    """`Meter` on CloudWatch."""

    def __init__(self, sdk: Sdk, deployment: str) -> None:
        self._sdk = sdk
        self._dimensions = [{"Name": Tag.DEPLOYMENT, "Value": deployment}]

    async def publish(self, readings: Sequence[Reading]) -> None:
        """One call."""
        data = [datum for reading in readings for datum in self._data(reading)]
        await self._sdk.call(Call.PUT_METRICS, Namespace=NAMESPACE, MetricData=data)

    def _data(self, reading: Reading) -> Iterator[dict[str, Any]]:
        unit = UNITS.get(reading.metric, "Count")
        for start in range(0, len(reading.values), MOST_VALUES):
            values = list(reading.values[start : start + MOST_VALUES])
            yield {"MetricName": reading.metric.value, "Dimensions": self._dimensions, "Unit": unit, "Values": values}
