"""Traces: what a placement or a request consists of, for whoever looks at its parts. Without a tracer, nothing is traced.

Attributes are ids, names and numbers, never what a user gave. None of this makes anybody wait, whatever becomes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.domain.tally import Tally

Attributes = Mapping[str, str | int]


class Flow(StrEnum):
    """What is traced."""

    PLACEMENT = "placement"
    UPDATE = "update"
    REMOVAL = "removal"


@dataclass(frozen=True, slots=True)
class Work:
    """One trace: all attempts at it, by whichever control plane. `number` tells works of one kind at one instance apart."""

    flow: Flow
    instance_id: InstanceId
    number: str


class Span(Protocol):
    """A part of a trace that is under way."""

    def fail(self, kind: str, message: str) -> None:
        """It does not succeed: a kind of error, and words that may be shown to an operator."""
        ...


class RequestSpan(Span, Protocol):
    """A request that is being served."""

    def was(self, name: str, attributes: Attributes) -> None:
        """What it turned out to be: its method and its route."""
        ...


class Tracer(Protocol):
    """Takes spans. Times are seconds since the epoch."""

    def attempt(self, work: Work, attributes: Attributes) -> AbstractContextManager[Span]:
        """One attempt at a work; what is traced inside is part of it."""
        ...

    def span(self, name: str, attributes: Attributes, *, is_call: bool = False) -> AbstractContextManager[Span]:
        """A part of what is under way here; nothing where nothing is. `is_call` where another system is asked."""
        ...

    def request(self, attributes: Attributes) -> AbstractContextManager[RequestSpan]:
        """A request to the platform, a trace of its own; what is traced inside is part of it."""
        ...

    def was(self, name: str, began: float, ended: float, attributes: Attributes) -> None:
        """A part that is over already."""
        ...

    def finish(self, work: Work, began: float, ended: float, attributes: Attributes, error: str | None = None) -> None:
        """A work is over: with all attempts at it, its trace is whole."""
        ...


class _NoSpan:
    def fail(self, kind: str, message: str) -> None:
        pass

    def was(self, name: str, attributes: Attributes) -> None:
        pass


class NoTracer:
    """`Tracer` where nobody looks."""

    def attempt(self, work: Work, attributes: Attributes) -> AbstractContextManager[Span]:  # noqa: ARG002
        """Nothing."""
        return nullcontext(_NoSpan())

    def span(self, name: str, attributes: Attributes, *, is_call: bool = False) -> AbstractContextManager[Span]:  # noqa: ARG002
        """Nothing."""
        return nullcontext(_NoSpan())

    def request(self, attributes: Attributes) -> AbstractContextManager[RequestSpan]:  # noqa: ARG002
        """Nothing."""
        return nullcontext(_NoSpan())

    def was(self, name: str, began: float, ended: float, attributes: Attributes) -> None:
        """Nothing."""

    def finish(self, work: Work, began: float, ended: float, attributes: Attributes, error: str | None = None) -> None:
        """Nothing."""


NO_TRACER: Final = NoTracer()


@dataclass(frozen=True, slots=True)
class Watch:
    """Who watches what a process does: its tally, and a tracer."""

    tally: Tally = field(default_factory=Tally)
    tracer: Tracer = NO_TRACER
