"""A meter that keeps the newest readings and tells them to the log, where nobody draws graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from openclaw_hosted.domain.metering import Metric, Reading

log = structlog.get_logger("meter")


class KeptMeter:
    """`Meter` in memory."""

    def __init__(self) -> None:
        self.newest: Mapping[Metric, tuple[float, ...]] = {}

    async def publish(self, readings: Sequence[Reading]) -> None:
        """Keep them; the log has them at level debug."""
        self.newest = {reading.metric: reading.values for reading in readings}
        log.debug("readings", **{str(reading.metric): reading.values for reading in readings})
