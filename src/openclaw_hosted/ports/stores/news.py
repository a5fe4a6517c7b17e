"""What users are to know: refused keys, and who wants news by e-mail."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.key_refusal import KeyRefusal
from openclaw_hosted.domain.letters import Subscription
from openclaw_hosted.domain.naming import InstanceId, UserId


class NewsStore(Protocol):
    """Remembers both."""

    async def refusals(self) -> Mapping[InstanceId, KeyRefusal]:
        """Those that stand, of all users."""
        ...

    async def refuse(self, refusal: KeyRefusal, event: Event) -> None:
        """Keep one. Does nothing, and writes no event, where one of this instance stands already."""
        ...

    async def forget(self, gone: Collection[InstanceId], events: Sequence[Event] = ()) -> None:
        """They stand no more."""
        ...

    async def subscription(self, user_id: UserId) -> Subscription | None:
        """How a user is told by e-mail; None for one who is not."""
        ...

    async def subscribe(self, user_id: UserId, now: float, event: Event) -> None:
        """Tell a user from now on. Does nothing where that is so already."""
        ...

    async def unsubscribe(self, user_id: UserId, event: Event) -> None:
        """Tell a user no more. Does nothing where that is so already."""
        ...

    async def subscriptions(self) -> Sequence[Subscription]:
        """All, but those of accounts that are disabled; who was told longest ago is first."""
        ...

    async def told(self, user_id: UserId, marks: Sequence[str], now: float) -> None:
        """Keep what a user was told, the newest first. Does nothing for one who is not told any more."""
        ...
