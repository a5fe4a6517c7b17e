"""The tracer: spans of OpenTelemetry, and their ids in each line that is logged meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from structlog.contextvars import bound_contextvars

from openclaw_hosted import __version__
from openclaw_hosted.adapters.otel.ids import GivenIds, ids_of
from openclaw_hosted.logging import blotted
from openclaw_hosted.ports.tracing import Attributes, RequestSpan, Span, Work

PREFIX: Final = "openclaw_hosted."
ERROR_TYPE: Final = "error.type"
STANDARD: Final = {"method": "http.request.method", "route": "http.route", "status": "http.response.status_code"}
"""Attributes that have a name in OpenTelemetry's semantic conventions."""
LONGEST_MESSAGE: Final = 300


class _OtelSpan:
    """`Span`."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def fail(self, kind: str, message: str) -> None:
        _fail(self._span, kind, message)

    def was(self, name: str, attributes: Attributes) -> None:
        self._span.update_name(name)
        self._span.set_attributes(_told(attributes))


class OtelTracer:
    """`Tracer`. What a process traces outside of an attempt and of a request is left out: its loops look around all the time."""

    def __init__(self, provider: TracerProvider, ids: GivenIds, mark: str) -> None:
        self._tracer = provider.get_tracer("openclaw_hosted", __version__)
        self._sampler = provider.sampler
        self._ids = ids
        self._mark = mark

    @contextmanager
    def attempt(self, work: Work, attributes: Attributes) -> Iterator[Span]:
        trace_id, root = ids_of(self._mark, work)
        is_sampled = self._sampler.should_sample(Context(), trace_id, work.flow).decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT)
        parent = trace.set_span_in_context(NonRecordingSpan(SpanContext(trace_id, root, is_remote=True, trace_flags=flags)), Context())
        span = self._tracer.start_span(f"{work.flow} attempt", parent, attributes=_told(attributes))
        with self._as_current(span) as shown:
            yield shown

    @contextmanager
    def span(self, name: str, attributes: Attributes, *, is_call: bool = False) -> Iterator[Span]:
        if not trace.get_current_span().get_span_context().is_valid:
            yield _OtelSpan(trace.INVALID_SPAN)
            return
        kind = SpanKind.CLIENT if is_call else SpanKind.INTERNAL
        with self._as_current(self._tracer.start_span(name, kind=kind, attributes=_told(attributes))) as shown:
            yield shown

    @contextmanager
    def request(self, attributes: Attributes) -> Iterator[RequestSpan]:
        span = self._tracer.start_span("request", Context(), SpanKind.SERVER, _told(attributes))
        with self._as_current(span) as shown:
            yield shown

    def was(self, name: str, began: float, ended: float, attributes: Attributes) -> None:
        if trace.get_current_span().get_span_context().is_valid:
            span = self._tracer.start_span(name, attributes=_told(attributes), start_time=_nanoseconds(began))
            span.end(_nanoseconds(max(began, ended)))

    def finish(self, work: Work, began: float, ended: float, attributes: Attributes, error: str | None = None) -> None:
        with self._ids.giving(*ids_of(self._mark, work)):
            span = self._tracer.start_span(work.flow, Context(), attributes=_told(attributes), start_time=_nanoseconds(began))
        if error is not None:
            _fail(span, "GivenUp", error)
        span.end(_nanoseconds(max(began, ended)))

    @contextmanager
    def _as_current(self, span: trace.Span) -> Iterator[_OtelSpan]:
        """Errors are not recorded by themselves: their texts and traces may hold anything."""
        context = span.get_span_context()
        shown = {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False), bound_contextvars(**shown):
            yield _OtelSpan(span)


def _fail(span: trace.Span, kind: str, message: str) -> None:
    span.set_attribute(ERROR_TYPE, kind)
    span.set_status(Status(StatusCode.ERROR, blotted(message)[:LONGEST_MESSAGE]))


def _told(attributes: Attributes) -> dict[str, str | int]:
    return {STANDARD.get(name, PREFIX + name): value for name, value in attributes.items()}


def _nanoseconds(at: float) -> int:
    return int(at * 1e9)
