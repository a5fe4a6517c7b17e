"""OpenTelemetry, wired where the settings name a collector; nothing of it is loaded where they do not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from openclaw_hosted import OPENCLAW_VERSION, __version__
from openclaw_hosted.controllers.telemetry import Exporting
from openclaw_hosted.domain.actor import PLATFORM
from openclaw_hosted.domain.exposition import Sample, about
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.telemetry import Exporter
from openclaw_hosted.ports.tracing import Watch
from openclaw_hosted.services import MetricsService
from openclaw_hosted.settings_operating import OperatingSettings


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Who watches what the platform does, and where its metrics are sent besides; None for nowhere."""

    watch: Watch
    exporter: Exporter | None = None

    def exporting(self, readiness: Callable[[], Awaitable[dict[str, bool]]], metrics: MetricsService) -> Exporting | None:
        """What is sent, and by whom; None where nothing is."""
        if self.exporter is None:
            return None

        async def look() -> Sequence[Sample]:
            return [*about(__version__, OPENCLAW_VERSION, await readiness()), *await metrics.samples(PLATFORM)]

        return Exporting(look, self.exporter)


@asynccontextmanager
async def telemetry(operating: OperatingSettings, mark: str, clock: Clock) -> AsyncIterator[Telemetry]:
    """What the settings ask for, for the length of the block."""
    if operating.otlp_endpoint is None or operating.otlp_off:
        yield Telemetry(Watch())
        return
    from openclaw_hosted.adapters.otel.connection import Collector, Connection

    connection = Connection(Collector(operating.otlp_endpoint, operating.otlp_header_values), mark, clock)
    try:
        yield Telemetry(Watch(tracer=connection.tracer), connection.exporter)
    finally:
        await connection.aclose()
