"""What happened to an instance, for its owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from openclaw_hosted.domain.actor import Actor
from openclaw_hosted.domain.events import Event, as_seen_by
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.key_refusal import KeyRefusal
from openclaw_hosted.domain.news import News, newer_image, news_of
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.stores import InstanceStore, MachineStore, NewsStore, PlatformStore
from openclaw_hosted.services.reach import own_instance

LOOKED_AT: Final = 50
"""Of the newest events of an instance, for what is new."""


@dataclass(frozen=True, slots=True)
class HistoryService:
    """The events of one's own instances."""

    _instances: InstanceStore
    _platform: PlatformStore
    _clock: Clock
    _known: NewsStore
    _machines: MachineStore
    _image: str
    """What a new machine runs."""

    async def of(self, actor: Actor, instance_id: str, *, before_id: int | None = None, limit: int = 100) -> Sequence[Event]:
        """At most `limit` events of one of the actor's own instances, newest first. Raises `NotFound`."""
        instance = await own_instance(self._instances, actor, instance_id)
        events = await self._platform.events(instance_id=instance.id, before_id=before_id, limit=limit)
        return [as_seen_by(actor.user_id, event) for event in events]

    async def news(self, actor: Actor, instances: Sequence[Instance]) -> Sequence[News]:
        """What the actor ought to know of these instances, the newest first; of those of others nothing."""
        user_id = actor.user_id
        own = [instance for instance in instances if instance.owner_id == user_id]
        refusals = await self._known.refusals() if own else {}
        found = [await self._news(instance, refusals.get(instance.id)) for instance in own]
        return sorted((each for each in found if each is not None), key=lambda each: -each.at)

    async def _news(self, instance: Instance, refusal: KeyRefusal | None) -> News | None:
        events = await self._platform.events(instance_id=instance.id, limit=LOOKED_AT)
        machine = await self._machines.get(instance.machine_id) if instance.machine_id else None
        return news_of(instance, events, self._clock.now(), refusal, newer_image(machine, self._image))
