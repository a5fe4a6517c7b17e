"""Telemetry: sends all metrics once a minute to where they are collected.

They are the same, under the same names, that Prometheus would read at that moment. One process of a platform does it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from openclaw_hosted.domain.exposition import Sample
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.telemetry import Exporter


@dataclass(frozen=True, slots=True)
class Exporting:
    """What is sent, and who sends it."""

    look: Callable[[], Awaitable[Sequence[Sample]]]
    exporter: Exporter


class TelemetryController:
    """One tick: look, send."""

    def __init__(self, exporting: Exporting, clock: Clock) -> None:
        self._exporting = exporting
        self._clock = clock

    async def tick(self) -> None:
        """Send once; whether it arrives is no matter of the platform's."""
        self._exporting.exporter.publish(await self._exporting.look(), self._clock.now())
