"""Records the steps of one attempt, each with its start, its end and its error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from openclaw_hosted.controllers.ports import Ports
from openclaw_hosted.controllers.runtime import describe
from openclaw_hosted.domain.instance import Instance, Step, StepName
from openclaw_hosted.ports.stores import Lease


class StepRecorder:
    """The steps of one attempt at one instance."""

    def __init__(self, ports: Ports, instance: Instance, lease: Lease) -> None:
        self._ports = ports
        self._lease = lease
        self._generation = instance.generation
        self._attempt = instance.attempts + 1

    @asynccontextmanager
    async def step(self, name: StepName) -> AsyncIterator[None]:
        """Record what happens inside as the step `name`."""
        step = Step(name, self._generation, self._attempt, self._ports.clock.now())
        await self._record(step)
        try:
            yield
        except Exception as error:
            await self._record(replace(step, ended_at=self._ports.clock.now(), error=describe(error)))
            raise
        await self._record(replace(step, ended_at=self._ports.clock.now()))

    async def done(self, name: StepName, started_at: float, note: str) -> None:
        """Record a step that is over already."""
        await self._record(Step(name, self._generation, self._attempt, started_at, self._ports.clock.now(), note=note))

    async def _record(self, step: Step) -> None:
        await self._ports.instance_store.record_step(self._lease, step)
        await self._ports.hints.hint("changes")
