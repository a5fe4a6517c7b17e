"""Whether a user is told of news by e-mail."""

from __future__ import annotations

from dataclasses import dataclass

from openclaw_hosted.domain.actor import Actor
from openclaw_hosted.domain.errors import StateConflict
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.stores import NewsStore


@dataclass(frozen=True, slots=True)
class MailState:
    """Whether it is on, and whether the platform has a mail server at all."""

    is_on: bool
    is_possible: bool


@dataclass(frozen=True, slots=True)
class MailService:
    """For oneself."""

    _store: NewsStore
    _clock: Clock
    _is_possible: bool

    async def state(self, actor: Actor) -> MailState:
        """How it is for the actor."""
        return MailState(await self._store.subscription(actor.user_id) is not None, self._is_possible)

    async def change(self, actor: Actor, *, on: bool) -> MailState:
        """Tell the actor of news by e-mail from now on, or no more. Raises `StateConflict` where the platform can't send any."""
        user_id, now = actor.user_id, self._clock.now()
        if on and not self._is_possible:
            raise StateConflict("This platform can't send e-mail: its operator has set up no mail server.")
        event = Event(EventName.USER_MAIL_CHANGED, now, user_id=user_id, detail={"on": "yes" if on else "no"}, actor=actor)
        await (self._store.subscribe(user_id, now, event) if on else self._store.unsubscribe(user_id, event))
        return await self.state(actor)
