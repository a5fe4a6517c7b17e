"""A collector of OpenTelemetry: a real HTTP server on this computer that decodes what it is sent by OTLP."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.serving import serving
from tests.support.waiting import PATIENCE_SECONDS


@dataclass(frozen=True)
class Seen:
    """A span as it came. Times are nanoseconds."""

    name: str
    trace: str
    id: str
    parent: str
    began: int
    ended: int
    attributes: dict[str, Any]
    error: str
    kind: int


@dataclass
class Collector:
    """What it got, and in what order."""

    port: int
    spans: list[Seen] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    """Each message by the names of its metrics."""
    resources: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    hangs: bool = False
    """Whether it takes a message and answers nothing until the end."""
    released: Event = field(default_factory=Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.headers.append(headers)
        self.bodies.append(body)
        if path == "/v1/traces":
            asked = ExportTraceServiceRequest.FromString(body)
            for group in asked.resource_spans:
                self.resources.append(_values(group.resource.attributes))
                self.spans += [_span(span) for scope in group.scope_spans for span in scope.spans]
        elif path == "/v1/metrics":
            told = ExportMetricsServiceRequest.FromString(body)
            groups = [scope for group in told.resource_metrics for scope in group.scope_metrics]
            self.metrics.append({metric.name: metric for scope in groups for metric in scope.metrics})
        else:
            raise AssertionError(path)


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def _span(span: Any) -> Seen:
    return Seen(
        span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.start_time_unix_nano, span.end_time_unix_nano,
        _values(span.attributes), span.status.message if span.status.code == 2 else "", span.kind,
    )  # fmt: skip


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if collector.hangs:
                collector.released.wait(PATIENCE_SECONDS)
                return
            plain = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            collector.take(self.path, {name.lower(): value for name, value in self.headers.items()}, plain)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(server.server_address[1])
    with serving(server):
        try:
            yield collector
        finally:
            collector.released.set()
