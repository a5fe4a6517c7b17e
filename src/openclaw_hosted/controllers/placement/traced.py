"""What an attempt at an instance looks like from outside: its trace, and the ids in each line that it logs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from openclaw_hosted.controllers.context import Ports
from openclaw_hosted.controllers.describing import describe, leaves
from openclaw_hosted.controllers.naming_lines import ids, lines_about
from openclaw_hosted.controllers.runtime import Requeue
from openclaw_hosted.domain.errors import LeaseLost
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.naming import MachineId
from openclaw_hosted.ports.tracing import Attributes, Flow, Span, Work

AGAIN: Final = frozenset({Phase.REPLACING, Phase.RESTORING})


def work_of(flow: Flow, instance: Instance) -> Work:
    """The trace that an attempt belongs to: the first and the tenth at one thing to the same. What is written later about a placement on a
    spare belongs to that; another go at the same machine, after a failure or for a restore, does not."""
    if flow is Flow.UPDATE:
        return Work(flow, instance.id, f"{instance.generation}.{instance.revision}.{instance.restarts_asked}")
    again = f".{instance.phase_changed_at:.3f}" if instance.phase in AGAIN else ""
    return Work(flow, instance.id, f"{instance.generation}{again}")


def wanted_since(instance: Instance) -> float:
    """Since when somebody waits for what is being done."""
    return instance.created_at if instance.generation <= 1 and instance.applied_revision is None else instance.phase_changed_at


@contextmanager
def attempting(ports: Ports, flow: Flow, instance: Instance, machine_id: MachineId | None, *, is_last: bool = True) -> Iterator[None]:
    """One attempt. With the first that ends well the work is over, unless it `is_last` not."""
    tracer, work = ports.watch.tracer, work_of(flow, instance)
    told: Attributes = ids(instance.id, machine_id)
    with lines_about(instance.id, machine_id), tracer.attempt(work, {**told, "attempt": instance.attempts + 1}) as span:
        try:
            yield
        except Exception as error:
            note(span, error)
            raise
    if is_last:
        tracer.finish(work, wanted_since(instance), ports.clock.now(), told)


def given_up(ports: Ports, instance: Instance, error: str) -> None:
    """The work on an instance ends without success."""
    flow = Flow.UPDATE if instance.phase is Phase.UPDATING else Flow.PLACEMENT
    ports.watch.tracer.finish(work_of(flow, instance), wanted_since(instance), ports.clock.now(), {"instance": instance.id}, error)


def note(span: Span, error: Exception) -> None:
    """That a span failed, unless it only has to wait, or another worker goes on."""
    reasons = [each for each in leaves(error) if not isinstance(each, Requeue | LeaseLost)]
    if reasons:
        span.fail(type(reasons[0]).__name__, describe(error))
