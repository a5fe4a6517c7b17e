"""Ids of traces that are known before they are made: all attempts at one work, by whichever process, are parts of one trace."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from openclaw_hosted.ports.tracing import Work

_given: ContextVar[tuple[int, int] | None] = ContextVar("given", default=None)


def ids_of(mark: str, work: Work) -> tuple[int, int]:
    """The ids of its trace and of the span that is its root. `mark` tells platforms apart."""
    digest = hashlib.sha256(f"{mark}/{work.flow}/{work.instance_id}/{work.number}".encode()).digest()
    return int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1


class GivenIds(RandomIdGenerator):
    """Ids at random, but for a span that is to have these."""

    @contextmanager
    def giving(self, trace_id: int, span_id: int) -> Iterator[None]:
        """The span that is started within the block gets these ids."""
        before = _given.set((trace_id, span_id))
        try:
            yield
        finally:
            _given.reset(before)

    def generate_trace_id(self) -> int:
        """One for a new trace."""
        given = _given.get()
        return super().generate_trace_id() if given is None else given[0]

    def generate_span_id(self) -> int:
        """One for a new span."""
        given = _given.get()
        return super().generate_span_id() if given is None else given[1]
