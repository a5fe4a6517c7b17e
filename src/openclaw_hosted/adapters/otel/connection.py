"""The way to a collector: OTLP over HTTP, with traces in batches and metrics as they come.

Whatever the collector does, nobody waits for it: spans wait in a queue of 2,048, what does not fit is dropped, and threads that end with
the process do the sending. What the settings do not name, the SDK reads from its standard variables: OTEL_SERVICE_NAME,
OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_TIMEOUT, _COMPRESSION, _CERTIFICATE and the rest.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from openclaw_hosted import __version__
from openclaw_hosted.adapters.otel.ids import GivenIds
from openclaw_hosted.adapters.otel.metrics import OtelMetrics
from openclaw_hosted.adapters.otel.spans import OtelTracer
from openclaw_hosted.ports.clock import Clock

NAME: Final = "openclaw-hosted"
LAST_SECONDS: Final = 3.0
"""How long a process that ends waits for its last spans to arrive."""


@dataclass(frozen=True, slots=True)
class Collector:
    """Where it is. `endpoint` is without the path of a signal."""

    endpoint: str
    headers: Mapping[str, str]
    """May hold a key."""


class Connection:
    """A tracer and an exporter of metrics. `mark` is the platform's own, from which traces get their ids."""

    def __init__(self, collector: Collector, mark: str, clock: Clock) -> None:
        resource = Resource.create({SERVICE_VERSION: __version__, "openclaw_hosted.mark": mark})
        if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: NAME}))
        base, headers = collector.endpoint.rstrip("/"), dict(collector.headers)
        ids = GivenIds()
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=ids)
        self._spans = BatchSpanProcessor(OTLPSpanExporter(f"{base}/v1/traces", headers=headers))
        self._provider.add_span_processor(self._spans)
        self._metrics = OTLPMetricExporter(f"{base}/v1/metrics", headers=headers)
        self.tracer = OtelTracer(self._provider, ids, mark)
        self.exporter = OtelMetrics(self._metrics, resource, NAME, began=clock.now())

    async def aclose(self) -> None:
        """Send what is left, as far as that takes no time worth speaking of."""
        await within(LAST_SECONDS, self._end)

    def _end(self) -> None:
        self._spans.shutdown()  # type: ignore[no-untyped-call]
        self._metrics.shutdown()


async def within(seconds: float, work: Callable[[], None]) -> None:
    """Do blocking work in a thread that nobody waits for any longer than this."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        try:
            work()
        finally:
            if not loop.is_closed():
                loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, name="telemetry: the last", daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            await done.wait()
    except TimeoutError:
        return
