"""The exporter of metrics: the SDK's, given what the platform counts as the SDK's own records. The platform's counters stand in its
database, so that the SDK's instruments, which count in one process, have nothing to do."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import structlog
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from openclaw_hosted.domain.exposition import HELP, PREFIX, Exposed, Kind, Sample, kind_of
from openclaw_hosted.domain.measures import BOUNDS, Durations

log = structlog.get_logger("telemetry")


class OtelMetrics:
    """`Exporter`. `began` is since when counters may be taken to count."""

    def __init__(self, exporter: OTLPMetricExporter, resource: Resource, scope: str, began: float) -> None:
        self._exporter = exporter
        self._resource = resource
        self._scope = InstrumentationScope(scope)
        self._began = int(began * 1e9)
        self._busy = threading.Lock()

    def publish(self, samples: Sequence[Sample], at: float) -> None:
        if not self._busy.acquire(blocking=False):
            log.info("metrics left out: the last ones are still on their way")
            return
        threading.Thread(target=self._send, args=(samples, int(at * 1e9)), name="telemetry: metrics", daemon=True).start()

    def _send(self, samples: Sequence[Sample], at: int) -> None:
        try:
            if self._exporter.export(self._data(samples, at)) is not MetricExportResult.SUCCESS:
                log.info("metrics not taken")
        finally:
            self._busy.release()

    def _data(self, samples: Sequence[Sample], at: int) -> MetricsData:
        metrics = [self._metric(metric, own, at) for metric in Exposed if (own := [each for each in samples if each.metric is metric])]
        return MetricsData([ResourceMetrics(self._resource, [ScopeMetrics(self._scope, metrics, "")], "")])

    def _metric(self, metric: Exposed, samples: Sequence[Sample], at: int) -> Metric:
        unit = "s" if metric.endswith("_seconds") else "1"
        return Metric(f"{PREFIX}{metric}", HELP[metric], unit, self._points(kind_of(metric), samples, at))

    def _points(self, kind: Kind, samples: Sequence[Sample], at: int) -> Gauge | Sum | Histogram:
        if kind is Kind.HISTOGRAM:
            points = [self._histogram(each, each.value, at) for each in samples if isinstance(each.value, Durations)]
            return Histogram(points, AggregationTemporality.CUMULATIVE)
        numbers = [
            NumberDataPoint(dict(each.labels), self._began, at, float(each.value))
            for each in samples if not isinstance(each.value, Durations)
        ]  # fmt: skip
        return Gauge(numbers) if kind is Kind.GAUGE else Sum(numbers, AggregationTemporality.CUMULATIVE, is_monotonic=True)

    def _histogram(self, sample: Sample, took: Durations, at: int) -> HistogramDataPoint:
        longest = BOUNDS[min(max(took.slots, default=0), len(BOUNDS) - 1)]
        return HistogramDataPoint(
            dict(sample.labels), self._began, at, took.count, took.milliseconds / 1000, took.dense, BOUNDS, min=0.0, max=longest
        )
