"""Restore points of a user's instances: see them, make one, go back to one, and carry an instance away or in as an archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.actor import Actor
from openclaw_hosted.domain.errors import LimitReached, NotFound, StateConflict
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.naming import RestorePointId, UserId, volume_of
from openclaw_hosted.domain.restore_point import Cause, PointState, RestorePoint
from openclaw_hosted.ports.clock import Clock, Ids
from openclaw_hosted.ports.restore_points import RestorePoints
from openclaw_hosted.ports.stores import InstanceStore, PlatformStore, RestorePointStore
from openclaw_hosted.services.reach import own_instance

MOST_ASKED: Final = 3
"""How many a user may have under way for one instance."""
MOST_BROUGHT: Final = 3
"""How many archives of one user may wait to become an instance."""


@dataclass(frozen=True, slots=True)
class RestorePointService:
    """What users may do with restore points. Those of another user's instance are answered like ones that do not exist."""

    _instances: InstanceStore
    _store: RestorePointStore
    _platform: PlatformStore
    _points: RestorePoints
    _clock: Clock
    _ids: Ids
    _bringing: Counter[UserId] = field(default_factory=Counter)

    @property
    def carries_archives(self) -> bool:
        """Whether archives of restore points can be downloaded here."""
        return self._points.carries_archives

    @property
    def brings_archives(self) -> bool:
        """Whether a new instance can begin with an archive from outside here."""
        return self._points.brings_archives

    @property
    def exports_volumes(self) -> bool:
        """Whether an archive of what an instance holds now can be downloaded here."""
        return self._points.exports_volumes

    @property
    def now(self) -> float:
        """The moment that ages are counted from."""
        return self._clock.now()

    async def list(self, actor: Actor, instance_id: str) -> Sequence[RestorePoint]:
        """Those of one of the actor's own instances, newest first; what is about to go left out."""
        instance = await own_instance(self._instances, actor, instance_id)
        return [point for point in await self._store.list_for(instance.id) if point.state is not PointState.REMOVING]

    async def ask(self, actor: Actor, instance_id: str) -> RestorePoint:
        """Make one now. Raises `LimitReached` while some are under way, `StateConflict` while the instance is not settled."""
        instance = await own_instance(self._instances, actor, instance_id)
        under_way = [
            each for each in await self._store.list_for(instance.id) if each.cause is Cause.ASKED and each.state is PointState.MAKING
        ]
        if len(under_way) >= MOST_ASKED:
            raise LimitReached(f"{MOST_ASKED} restore points of this instance are being made. Wait until one is ready.")
        rule = partial(lifecycle.ask_point, point_id=self._ids.restore_point_id(), actor=actor, now=self._clock.now())
        await self._instances.update(instance.id, rule)
        return await self._store.get(rule.keywords["point_id"])

    async def rewind(self, actor: Actor, instance_id: str, point_id: str) -> Instance:
        """Have an instance be as one of its restore points says; the present state becomes a restore point first. Raises `NotFound`, and
        `StateConflict` while instance or point are not ready for that."""
        instance = await own_instance(self._instances, actor, instance_id)
        point = await self._own(actor, point_id)
        if point.instance_id != instance.id:
            raise NotFound(f"There is no restore point {point_id[:40]!r} of this instance.")
        rule = partial(
            lifecycle.ask_rewind, point_id=point.id, kept_as=self._ids.restore_point_id(), actor=actor, now=self._clock.now(),
            volume=await self._instances.volume(instance.id),
        )  # fmt: skip
        return await self._instances.update(instance.id, rule)

    async def remove(self, actor: Actor, instance_id: str, point_id: str) -> None:
        """Let one go. Raises `NotFound`, and `StateConflict` for one that a volume is being made from."""
        instance = await own_instance(self._instances, actor, instance_id)
        point = await self._own(actor, point_id)
        if point.instance_id != instance.id:
            raise NotFound(f"There is no restore point {point_id[:40]!r} of this instance.")
        if point.state is not PointState.READY or not await self._store.condemn(point.id):
            raise StateConflict("It is being made, or being restored. Remove it once that is done.")
        detail = {"point": point.id}
        asked = Event(EventName.RESTORE_POINT_REMOVE_ASKED, self.now, instance.id, user_id=instance.owner_id, detail=detail, actor=actor)
        await self._platform.add_event(asked)

    async def usable(self, actor: Actor, point_id: str) -> RestorePoint:
        """One that a new instance may begin with. Raises `NotFound`, and `StateConflict` while it is not ready."""
        point = await self._own(actor, point_id)
        if point.state is not PointState.READY:
            raise StateConflict("This restore point is not ready yet.")
        return point

    async def download(self, actor: Actor, instance_id: str, point_id: str | None = None) -> AsyncIterator[bytes]:
        """What an instance holds now, or one of its restore points, as an archive. Raises `NotFound`, `StateConflict`."""
        instance = await own_instance(self._instances, actor, instance_id)
        if point_id is None:
            archive = await self._points.export_volume(volume_of(instance.id))
        elif (point := await self.usable(actor, point_id)).instance_id == instance.id:
            archive = await self._points.export(point.id)
        else:
            raise NotFound(f"There is no restore point {point_id[:40]!r} of this instance.")
        detail = {} if point_id is None else {"point": point_id}
        await self._platform.add_event(
            Event(EventName.ARCHIVE_TAKEN, self._clock.now(), instance.id, user_id=actor.user_id, detail=detail, actor=actor)
        )
        return archive

    async def bring(self, actor: Actor, content: AsyncIterator[bytes]) -> RestorePoint:
        """Take an archive in, for a new instance to begin with. Raises `InvalidInput` where it can't be taken, `LimitReached` for a user
        who has several waiting already."""
        user_id = actor.user_id
        waiting = [each for each in await self._store.list_brought(user_id) if each.state is not PointState.REMOVING]
        if len(waiting) >= MOST_BROUGHT or self._bringing[user_id]:
            raise LimitReached("You have brought several archives. Make an instance of them first, or come again tomorrow.")
        self._bringing[user_id] += 1
        try:
            return await self._bring(actor, content)
        finally:
            del self._bringing[user_id]

    async def _bring(self, actor: Actor, content: AsyncIterator[bytes]) -> RestorePoint:
        now, point_id = self._clock.now(), self._ids.restore_point_id()
        point = RestorePoint(point_id, self._ids.instance_id(), now, Cause.BROUGHT, owner_id=actor.user_id)
        await self._store.add(point)
        try:
            made = await self._points.bring(point_id, content)
        except BaseException:
            await self._store.condemn(point_id)
            raise
        detail: dict[str, str | int] = {"point": point_id, "bytes": made.size_bytes or 0}
        event = Event(EventName.ARCHIVE_BROUGHT, self._clock.now(), user_id=actor.user_id, detail=detail, actor=actor)
        await self._store.finish(point_id, made.size_bytes, event)
        return await self._store.get(point_id)

    async def _own(self, actor: Actor, point_id: str) -> RestorePoint:
        """One of the actor's own instances, or brought by the actor."""
        missing = NotFound(f"There is no restore point {point_id[:40]!r}.")
        point = await self._store.get(RestorePointId(point_id[:40]))
        if point.owner_id == actor.id:
            return point
        if point.owner_id is not None:
            raise missing
        try:
            instance = await self._instances.get(point.instance_id)
        except NotFound:
            raise missing from None
        if instance.owner_id != actor.id or instance.phase is Phase.PURGED:
            raise missing
        return point
