"""Records the steps of one attempt, each with its start, its end and its error.

A step that takes a while is shown as it begins and as it ends. Quick ones are written together, with the next that is slow, or at the
end, when the attempt is settled: on a hot spare all of them take less time than writing each would.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog

from openclaw_hosted.controllers.context import Ports
from openclaw_hosted.controllers.describing import describe
from openclaw_hosted.controllers.placement.traced import note
from openclaw_hosted.domain.instance import Instance, Step, StepName
from openclaw_hosted.ports.stores import Lease
from openclaw_hosted.ports.tracing import Span

log = structlog.get_logger("placement")
SLOW_SECONDS = 0.1
"""After this a step is shown while it is under way."""


class StepRecorder:
    """The steps of one attempt at one instance. Whoever makes it settles the attempt with what `take` returns."""

    def __init__(self, ports: Ports, instance: Instance, lease: Lease) -> None:
        self._ports = ports
        self._lease = lease
        self._generation = instance.generation
        self._attempt = instance.attempts + 1
        self._unwritten: dict[tuple[StepName, float], Step] = {}

    @asynccontextmanager
    async def step(self, name: StepName) -> AsyncIterator[None]:
        """Record what happens inside as the step `name`."""
        with self._ports.watch.tracer.span(_span_name(name), {"step": name}) as span:
            async with self._recorded(name, span):
                yield

    @asynccontextmanager
    async def _recorded(self, name: StepName, span: Span) -> AsyncIterator[None]:
        step = Step(name, self._generation, self._attempt, self._ports.clock.now())
        self._note(step)
        watch = _Watch(self)
        try:
            yield
        except Exception as error:
            note(span, error)
            log.info("step ended early", step=name, attempt=self._attempt, error=describe(error))
            await watch.ended()
            self._note(replace(step, ended_at=self._ports.clock.now(), error=describe(error)))
            await self.flush()
            raise
        finally:
            watch.cancel()
        shown = await watch.ended()
        self._end(replace(step, ended_at=self._ports.clock.now()))
        if shown:
            await self.flush()

    def written(self, name: StepName, started_at: float) -> None:
        """Trace and count a step that is over, and that the store has."""
        self._trace(name, started_at)
        self._ports.watch.tally.step(name, started_at, self._ports.clock.now())

    def found(self, name: StepName, note: str) -> None:
        """Record a step that has nothing to do."""
        now = self._ports.clock.now()
        self._trace(name, now)
        self._note(Step(name, self._generation, self._attempt, now, now, note=note))

    def over(self, name: StepName, started_at: float) -> None:
        """Record a step that is over, with whatever is written next."""
        self._trace(name, started_at)
        self._end(Step(name, self._generation, self._attempt, started_at, self._ports.clock.now()))

    def take(self) -> list[Step]:
        """All that is not written yet, for whoever writes it now."""
        steps = sorted(self._unwritten.values(), key=lambda step: step.started_at)
        self._unwritten.clear()
        return steps

    async def flush(self) -> None:
        """Write all that is not written yet."""
        if steps := self.take():
            await self._ports.instance_store.record_steps(self._lease, steps)

    async def show_when_slow(self) -> None:
        """Write what is under way, after a while."""
        await self._ports.clock.sleep(SLOW_SECONDS)

    def _trace(self, name: StepName, started_at: float) -> None:
        self._ports.watch.tracer.was(_span_name(name), started_at, self._ports.clock.now(), {"step": name})

    def _end(self, step: Step) -> None:
        """A step has succeeded."""
        assert step.ended_at is not None
        self._ports.watch.tally.step(step.name, step.started_at, step.ended_at)
        self._note(step)

    def _note(self, step: Step) -> None:
        self._unwritten[step.name, step.started_at] = step


def _span_name(name: StepName) -> str:
    return f"step {name}"


class _Watch:
    """Shows a step that turns out to be slow."""

    def __init__(self, recorder: StepRecorder) -> None:
        self._recorder = recorder
        self._is_writing = False
        self._task = asyncio.create_task(self._run())

    async def ended(self) -> bool:
        """Whether the step was shown; waits until that is written."""
        if self._is_writing:
            await self._task
        else:
            self._task.cancel()
        return self._is_writing

    def cancel(self) -> None:
        """Stop watching. What is being written now goes on, and whether that succeeds is no matter any more."""
        if self._is_writing:
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        else:
            self._task.cancel()

    async def _run(self) -> None:
        await self._recorder.show_when_slow()
        self._is_writing = True
        await self._recorder.flush()
