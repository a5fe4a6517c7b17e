"""Letters: tells users by e-mail what is new, if they wish.

Looks once a minute. A user gets one letter in ten minutes at most, with all that is new. What was told stands in the store once the mail
server has taken the letter, so that after a crash between the two one letter comes twice and none is lost. A mail server that does not
answer, or puts a letter off, is asked again at the next look, other users first; an address that it refuses rests for an hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.describing import describe
from openclaw_hosted.domain.alarms import OVER_BUDGET, AlarmState
from openclaw_hosted.domain.errors import Denied, PortError
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.key_refusal import KeyRefusal
from openclaw_hosted.domain.letters import TOLD_KEPT, Item, Subscription, budget_item, items_of, letter_of
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId
from openclaw_hosted.domain.news import NEWS_SECONDS, News, newer_image, news_of
from openclaw_hosted.ports.mail import Mailer
from openclaw_hosted.ports.stores import NewsStore

log = structlog.get_logger("letters")
LETTERS: Final = 20
"""In one tick; the rest goes at the next one, whoever waited longest first."""
SEND_SHARE: Final = 0.5
"""Of a lease: how long sending may take."""
REST_SECONDS: Final = 3600.0
LOOKED_AT: Final = 50
"""Of the newest events of an instance."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is the same for all users at one look."""

    now: float
    refusals: Mapping[InstanceId, KeyRefusal]
    machines: Mapping[MachineId, Machine]
    budget: AlarmState | None


class LettersController:
    """One tick: look, and send."""

    def __init__(self, ports: Ports, store: NewsStore, mailer: Mailer, options: ControllerOptions) -> None:
        self._ports = ports
        self._store = store
        self._mailer = mailer
        self._options = options
        self._rests_until: dict[UserId, float] = {}
        self._failed_at: dict[UserId, float] = {}
        """Of the letters that could not be sent: what one of them is refused for may be its own fault, so the others come first."""

    async def tick(self) -> None:
        """Look once."""
        known, sent = await self._look(), 0
        try:
            async with asyncio.timeout(self._options.lease_seconds * SEND_SHARE):
                for subscription in await self._in_turn():
                    if sent >= LETTERS:
                        return
                    if not subscription.rests(known.now) and known.now >= self._rests_until.get(subscription.user_id, 0.0):
                        sent += await self._tell(subscription, known)
        except (PortError, TimeoutError) as error:
            log.warning("letter not sent", error=describe(error))

    async def _in_turn(self) -> Sequence[Subscription]:
        subscriptions = await self._store.subscriptions()
        self._failed_at = {each.user_id: at for each in subscriptions if (at := self._failed_at.get(each.user_id))}
        return sorted(subscriptions, key=lambda each: self._failed_at.get(each.user_id, 0.0))

    async def _look(self) -> _Known:
        ports = self._ports
        machines = {machine.id: machine for machine in await ports.machine_store.list_live()}
        budget = None
        if ports.alarms is not None and self._options.limits.budget_stops:
            budget = next((state for state in await ports.alarms.list() if state.name == OVER_BUDGET.name), None)
        return _Known(ports.clock.now(), await self._store.refusals(), machines, budget)

    async def _tell(self, subscription: Subscription, known: _Known) -> bool:
        """Whether a letter went. Raises `PortError` where the mail server is away."""
        items = await self._new(subscription, known)
        if not items:
            return False
        try:
            await self._mailer.send(letter_of(subscription, items, self._options.address))
        except Denied as error:
            log.warning("letter refused", user=subscription.user_id, error=describe(error))
            self._rests_until[subscription.user_id] = known.now + REST_SECONDS
            return False
        except PortError:
            self._failed_at[subscription.user_id] = known.now
            raise
        self._failed_at.pop(subscription.user_id, None)
        told = [*(item.mark for item in items), *subscription.told][:TOLD_KEPT]
        await self._store.told(subscription.user_id, told, known.now)
        return True

    async def _new(self, subscription: Subscription, known: _Known) -> Sequence[Item]:
        found = [
            await self._news(instance, subscription, known) for instance in await self._ports.instance_store.list_for(subscription.user_id)
        ]
        news = [each for each in found if each is not None]
        return [*items_of(subscription, news, self._options.address), *budget_item(subscription, known.budget)]

    async def _news(self, instance: Instance, subscription: Subscription, known: _Known) -> News | None:
        """Events are read only where the instance may have moved since its user wants to know."""
        newer = newer_image(known.machines.get(instance.machine_id) if instance.machine_id else None, self._options.policy.image)
        since = max(subscription.since, known.now - NEWS_SECONDS)
        may_have_moved = instance.phase is Phase.RUNNING and instance.phase_changed_at >= since
        events = await self._ports.platform_store.events(instance_id=instance.id, limit=LOOKED_AT) if may_have_moved else ()
        return news_of(instance, events, known.now, known.refusals.get(instance.id), newer)
