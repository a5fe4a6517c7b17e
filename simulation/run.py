"""One run: a storm, then calm until all has converged, then everything is deleted, and nothing may be left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog

from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.store.hints import LocalHints
from openclaw_hosted.store.platform import SqlPlatform
from simulation import rest
from simulation.acts import Acts
from simulation.adoption import lose_and_adopt
from simulation.faults import Coverage
from simulation.history import History
from simulation.invariants import Violation
from simulation.loop import run
from simulation.migration import OldWorld
from simulation.people import People
from simulation.plan import STORM_SECONDS, Plan
from simulation.rows import POOL_ROW
from simulation.world import World

CALM_SECONDS: Final = 420.0
"""Within so much virtual time after the last fault everything has to have converged."""
LOOK_SECONDS: Final = 3.0


@dataclass(frozen=True)
class Outcome:
    """What became of a run."""

    plan: Plan
    violation: str | None
    history: History
    coverage: Coverage
    lifecycles: int
    """Instances that were created and deleted again."""
    virtual_seconds: float
    cpu_seconds: float


def simulate(plan: Plan) -> Outcome:
    """Run a plan to its end, or to the first thing that is not as it should be."""
    began = time.process_time()
    world = World(plan)
    with _logging_to(world):
        run(_Run(world).whole(), world.loop)
    rows = world.rows.instances.values()
    gone = sum(row.phase in (Phase.DELETED, Phase.PURGED) for row in rows)
    violation = None if world.violation is None else str(world.violation)
    spent = time.process_time() - began
    return Outcome(plan, violation, world.history, world.faults.coverage, gone, world.loop.time(), spent)


class _Run:
    def __init__(self, world: World) -> None:
        self._world = world
        self._people = People(world)
        self._old = OldWorld(world, self._people) if world.plan.migrates else None

    async def whole(self) -> None:
        """From the start to the end of it."""
        world = self._world
        world.loop.set_exception_handler(self._broke)
        await self._people.arrive()
        world.start()
        if self._old is not None:
            world.checks.append(self._old.check)
            self._old.begin()
        Acts(world, self._people).schedule(world.plan.acts)
        story = world.loop.create_task(self._story())
        await asyncio.wait({story, world.ended}, return_when=asyncio.FIRST_COMPLETED)
        world.is_over = True
        for plane in list(world.planes.values()):
            plane.kill()
        if story.done():
            story.result()
        story.cancel()
        await asyncio.gather(story, return_exceptions=True)
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _story(self) -> None:
        world = self._world
        try:
            await asyncio.sleep(STORM_SECONDS)
            world.history.note("CALM")
            world.calm_down()
            await self._until_converged()
            rest.check_users(world, self._people)
            await self._end_migration()
            if world.plan.loses_database:
                traceless = rest.traceless(world)
                await lose_and_adopt(world)
                self._people.forget(traceless)
                await self._until_converged()
                rest.check_users(world, self._people)
            world.history.note("ALL ARE DELETED")
            for owned in list(self._people.owned.values()):
                await self._people.delete_one(owned)
            kept_until = world.loop.time() + world.options.retention_seconds
            await self._until_converged(world.options.retention_seconds)
            await asyncio.sleep(kept_until - world.loop.time())
            await self._until_converged(nothing_kept=True)
        except Violation as violation:
            world.fail(violation)

    async def _end_migration(self) -> None:
        if self._old is not None:
            self._old.settle()
            await self._old.leave()

    async def _until_converged(self, within_seconds: float = CALM_SECONDS, *, nothing_kept: bool = False) -> None:
        world = self._world
        deadline = world.loop.time() + within_seconds
        while True:
            reason = rest.not_yet(world) or self._not_moved() or (self._kept() if nothing_kept else None)
            if reason is None:
                return
            if world.loop.time() > deadline:
                raise Violation(2, f"not converged within {within_seconds:.0f} s of calm: {reason}")
            await asyncio.sleep(LOOK_SECONDS)
            await self._mend()

    async def _mend(self) -> None:
        """What people do when they see that something waits for them: resume the pool, give settings or a key that are not refused."""
        memory = self._world.rows.pool[POOL_ROW]
        if memory.paused or memory.status == "stopped" or memory.spares is None:
            await SqlPlatform(self._world.database, LocalHints()).set_pool(paused=False, spares=2)
        for instance in self._world.failed_instances():
            if instance.id in self._people.owned:
                await self._people.change_one(self._people.owned[instance.id])
            elif self._old is not None and (user := self._old.moved_user(instance.id)):
                await self._people.change_of(user, instance.id)

    def _not_moved(self) -> str | None:
        return None if self._old is None or self._old.is_over else next(self._old.not_yet(), None)

    def _kept(self) -> str | None:
        rows = self._world.rows.instances.values()
        return next((f"{row.id} is {row.phase}, not purged" for row in rows if row.phase is not Phase.PURGED), None)

    def _broke(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not self._world.is_over and isinstance(error, Exception):
            self._world.fail(Violation(9, f"{context.get('message')}: {type(error).__name__}: {error}"))


@contextmanager
def _logging_to(world: World) -> Iterator[None]:
    """Have the control plane's log lines looked at, and kept in the history."""

    def keep(_: Any, level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        world.logged({"level": level, **line})
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, keep],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
