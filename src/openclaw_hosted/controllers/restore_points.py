"""Restore points: has those made that have a row, begins one where one is due, and lets go of what is one too many.

The row comes first, then the provider is asked until the point is ready, then the row says so: a crash anywhere goes on from the row. What
is removed is marked before it is destroyed, and its row goes last. The newest of an instance is never removed, nor one that a volume is
being made from. A row whose point the provider no longer has is forgotten after a while, and told. Points that are made before something
else is done with the volume (an upgrade, a restore) are placement's to begin. It never touches a volume but one that was set aside, and
that only once the one in its place runs and what it holds is a restore point.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final

import structlog

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.describing import describe
from openclaw_hosted.controllers.mishaps import Mishaps
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.naming import InstanceId, RestorePointId, aside_of, is_aside, volume_of
from openclaw_hosted.domain.restore_point import PointState, RestorePoint, plan_restore_points
from openclaw_hosted.domain.volume import VolumeState
from openclaw_hosted.ports.restore_points import MadePoint, Stage
from openclaw_hosted.ports.volumes import ObservedVolume

log = structlog.get_logger("restore_points")
ERROR_LENGTH: Final = 300
UNDER_WAY_POLLS: Final = 4.0
"""How often what is under way is looked at, in polls."""
MOST_LOST_AT_ONCE: Final = 3


class RestorePointsController:
    """One tick: what is under way, what is due, what is one too many, what is lost."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._points = ports.points
        self._options = options
        self._mishaps = Mishaps("restore_points", ports, options)
        self._missing_since: dict[RestorePointId, float] = {}

    async def tick(self) -> float | None:
        """Look once. Returns when to look again where something is under way."""
        there = {each.point_id: each for each in await self._points.list()}
        aside = await self._set_aside()
        rows = await self._ports.point_store.list_all()
        instances = {each.id: each for each in await self._ports.instance_store.list_all()}
        await self._look_after_all([point for point in rows if not _holds_what_is_aside(point, aside)], there)
        await self._follow(rows, instances)
        self._forget_lost(rows, there)
        for point in self._lost(rows, there):
            await self._guard(point.id, point.instance_id, self._forget(point, EventName.RESTORE_POINT_LOST))
        for volume in aside:
            await self._guard(volume.volume_id, volume.instance_id, self._let_go(volume, instances, rows))
        self._mishaps.forget_others({*(point.id for point in rows), *(volume.volume_id for volume in aside), *instances})
        under_way = any(point.state is not PointState.READY for point in rows)
        return self._options.poll_seconds * UNDER_WAY_POLLS if under_way else None

    async def _guard(self, key: str, instance_id: InstanceId | None, work: Coroutine[Any, Any, object]) -> None:
        if self._mishaps.rests(key):
            work.close()
            return
        await self._mishaps.guard(key, work, instance_id=instance_id)

    async def _look_after_all(self, rows: Sequence[RestorePoint], there: Mapping[RestorePointId, MadePoint]) -> None:
        """Several at once: most of it is waiting for the provider."""
        room = asyncio.Semaphore(self._options.workers)

        async def look_after(point: RestorePoint) -> None:
            async with room:
                await self._guard(point.id, point.instance_id, self._look_after(point, there))

        async with asyncio.TaskGroup() as group:
            for point in rows:
                if point.state is not PointState.READY:
                    group.create_task(look_after(point))

    async def _look_after(self, point: RestorePoint, there: Mapping[RestorePointId, MadePoint]) -> None:
        if point.state is PointState.REMOVING:
            await self._points.remove(point.id)
            await self._forget(point, EventName.RESTORE_POINT_REMOVED)
        elif not point.is_begun_elsewhere or point.id in there:
            await self._make(point)

    async def _make(self, point: RestorePoint) -> None:
        """Have it made, as far as it goes now."""
        try:
            made = await self._points.make(point.id, volume_of(point.instance_id))
        except NotFound as error:
            await self._give_up(point, describe(error))
            return
        if not await self._is_wanted(point.id):
            await self._points.remove(point.id)
            return
        if made.stage is Stage.READY:
            event = lifecycle.told(EventName.RESTORE_POINT_MADE, point, self._ports.clock.now(), bytes=made.size_bytes or 0)
            await self._ports.point_store.finish(point.id, made.size_bytes, event)

    async def _is_wanted(self, point_id: RestorePointId) -> bool:
        """Whether it was not purged with its instance while the provider began it."""
        try:
            return (await self._ports.point_store.get(point_id)).state is not PointState.REMOVING
        except NotFound:
            return False

    async def _follow(self, rows: Sequence[RestorePoint], instances: Mapping[InstanceId, Instance]) -> None:
        """What the plan says."""
        ports, now = self._ports, self._ports.clock.now()
        running = {each.id: each.created_at for each in instances.values() if each.phase is Phase.RUNNING}
        plan = plan_restore_points(running, rows, await ports.point_store.in_use(), now, self._options.restore_points)
        for instance_id in plan.begin:
            rule = partial(lifecycle.schedule_point, point_id=ports.ids.restore_point_id(), now=now)
            await self._guard(instance_id, instance_id, ports.instance_store.update(instance_id, rule))
        for point in plan.fail:
            await self._guard(point.id, point.instance_id, self._give_up(point, "It was not ready in time."))
        for point in plan.remove:
            await self._guard(point.id, point.instance_id, ports.point_store.condemn(point.id))

    async def _give_up(self, point: RestorePoint, reason: str) -> None:
        await self._points.remove(point.id)
        log.warning("restore point failed", point=point.id, error=reason)
        await self._forget(point, EventName.RESTORE_POINT_FAILED, error=reason[:ERROR_LENGTH])

    async def _forget(self, point: RestorePoint, what: EventName, **detail: str) -> None:
        await self._ports.point_store.forget(point.id, lifecycle.told(what, point, self._ports.clock.now(), **detail))

    def _forget_lost(self, rows: Sequence[RestorePoint], there: Mapping[RestorePointId, MadePoint]) -> None:
        ready = {point.id for point in rows if point.state is PointState.READY}
        for point_id in self._missing_since.keys() - (ready - there.keys()):
            del self._missing_since[point_id]

    def _lost(self, rows: Sequence[RestorePoint], there: Mapping[RestorePointId, MadePoint]) -> Sequence[RestorePoint]:
        """Those that were ready, and that the provider has not listed for longer than the grace period, though it lists others.

        Where it lists none at all, the database is as likely to be the wrong one: doubt forgets nothing.
        """
        now = self._ports.clock.monotonic()
        missing = [point for point in rows if point.state is PointState.READY and point.id not in there]
        since = {point.id: self._missing_since.setdefault(point.id, now) for point in missing}
        if not there and len(missing) > MOST_LOST_AT_ONCE:
            return []
        return [point for point in missing if now - since[point.id] >= self._options.orphan_grace_seconds]

    async def _set_aside(self) -> Sequence[ObservedVolume]:
        """The volumes that others took the place of."""
        return [each for each in await self._ports.volumes.list() if each.instance_id and is_aside(each.volume_id, each.instance_id)]

    async def _let_go(self, volume: ObservedVolume, instances: Mapping[InstanceId, Instance], rows: Sequence[RestorePoint]) -> None:
        """Destroy one once its successor runs, and what it held is a restore point that is ready, or that was and is to be removed next."""
        assert volume.instance_id is not None
        instance = instances.get(volume.instance_id)
        mark = volume.volume_id.partition(".")[2]
        if instance is None or instance.phase is not Phase.RUNNING or volume.attached_to is not None:
            return
        kept = any(point.id == mark and point.state in (PointState.READY, PointState.REMOVING) for point in rows)
        held_nothing = mark == instance.id
        if (await self._ports.instance_store.volume(instance.id)).state is VolumeState.MADE and (kept or held_nothing):
            await self._ports.volumes.purge(volume.volume_id, instance.id)


def _holds_what_is_aside(point: RestorePoint, aside: Sequence[ObservedVolume]) -> bool:
    """Whether it is to be removed while the volume that it was made of is still there: the volume goes first, or nobody would know that it
    may."""
    return point.state is PointState.REMOVING and any(volume.volume_id == aside_of(point.instance_id, point.id) for volume in aside)
