"""Webhooks of a user: have an address told what happens to one's instances."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from openclaw_hosted.domain.actor import Actor, require_admin
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput, NotFound
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.quota import Quota
from openclaw_hosted.domain.webhook import (
    TELLABLE,
    WEBHOOKS_PER_USER,
    Delivery,
    Webhook,
    WebhookId,
    headers_of,
    new_secret,
    trial_message,
)
from openclaw_hosted.ports.clock import Clock, Ids
from openclaw_hosted.ports.stores import WebhookStore
from openclaw_hosted.ports.vault import Sealer
from openclaw_hosted.ports.webhooks import WebhookSender
from openclaw_hosted.services.limits import AttemptLimiter

TRIES_PER_WINDOW: Final = 20
WINDOW_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class WebhookMade:
    """A new webhook. The secret is a credential, told this once."""

    webhook: Webhook
    secret: str

    def __repr__(self) -> str:
        return f"WebhookMade(webhook={self.webhook.id!r})"


class WebhookService:
    """What users may do with webhooks. Those of another user are answered like ones that do not exist."""

    def __init__(self, store: WebhookStore, sender: WebhookSender, sealer: Sealer, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._sender = sender
        self._sealer = sealer
        self._clock = clock
        self._ids = ids
        refusal = "Too many webhooks tried. Wait five minutes, then try again."
        self._limiter = AttemptLimiter("webhook-tests", clock, TRIES_PER_WINDOW, WINDOW_SECONDS, refusal)

    def quota(self, actor: Actor) -> Quota:
        """How many addresses the actor may still try, by a new webhook or a test."""
        return self._limiter.quota(actor.user_id)

    async def list(self, actor: Actor) -> Sequence[Webhook]:
        """The actor's own, oldest first."""
        return await self._store.list_of(actor.user_id)

    async def create(self, actor: Actor, url: str, names: Collection[str] = (), *, all_instances: bool = False) -> WebhookMade:
        """Have an address told from now on: of events with these names, or of all. Of everybody's instances for admins only. Raises
        `InvalidInput` for an address that nothing is sent to, `LimitReached` beyond `WEBHOOKS_PER_USER`."""
        owner_id, now = actor.user_id, self._clock.now()
        if all_instances:
            require_admin(actor)
        chosen = _known(names)
        self._limiter.take(owner_id)
        await self._sender.check(url)
        secret, webhook_id = new_secret(self._ids.token()), self._ids.webhook_id()
        webhook = Webhook(webhook_id, owner_id, url, now, chosen, all_instances)
        event = self._event(actor, EventName.WEBHOOK_CREATED, webhook)
        sealed = self._sealer.seal(secret.encode(), webhook_id)
        return WebhookMade(await self._store.add(webhook, sealed, WEBHOOKS_PER_USER, event), secret)

    async def remove(self, actor: Actor, webhook_id: str) -> None:
        """Forget one. Raises `NotFound`."""
        webhook = await self._own(actor, webhook_id)
        await self._store.remove(webhook.id, self._event(actor, EventName.WEBHOOK_REMOVED, webhook))

    async def enable(self, actor: Actor, webhook_id: str) -> Webhook:
        """Have one told again that was turned off: of what happens from now on. Raises `NotFound`."""
        webhook = await self._own(actor, webhook_id)
        return await self._store.enable(webhook.id, self._event(actor, EventName.WEBHOOK_ENABLED, webhook))

    async def test(self, actor: Actor, webhook_id: str) -> Delivery:
        """Send a message that says only that messages arrive, whether it is on or off; what came of it. Raises `NotFound`,
        `LimitReached`."""
        webhook = await self._own(actor, webhook_id)
        self._limiter.take(actor.user_id)
        secret = self._sealer.unseal(await self._store.sealed_secret(webhook.id), webhook.id).decode()
        message = trial_message(webhook, self._clock.now(), self._ids.token()[:12])
        receipt = await self._sender.send(webhook.url, headers_of(message, secret, self._clock.now()), message.body)
        delivery = Delivery(message.id, None, message.type, self._clock.now(), 1, receipt)
        await self._store.record(webhook.id, delivery)
        return delivery

    async def deliveries(self, actor: Actor, webhook_id: str, limit: int = 100) -> Sequence[Delivery]:
        """What came of the newest attempts, newest first. Raises `NotFound`."""
        return await self._store.deliveries((await self._own(actor, webhook_id)).id, limit)

    async def _own(self, actor: Actor, webhook_id: str) -> Webhook:
        webhook = await self._store.get(WebhookId(webhook_id[:40]))
        if webhook.owner_id != actor.id:
            raise NotFound("There is no such webhook. List yours: openclaw-hosted webhooks list")
        return webhook

    def _event(self, actor: Actor, name: EventName, webhook: Webhook) -> Event:
        """Of the address only the host is told: the rest may hold a credential."""
        detail = {"webhook": webhook.id, "host": urlsplit(webhook.url).hostname or ""}
        return Event(name, self._clock.now(), user_id=webhook.owner_id, detail=detail, actor=actor)


def _known(names: Collection[str]) -> frozenset[EventName]:
    unknown = sorted(set(names) - TELLABLE)
    if unknown:
        offered = ", ".join(sorted(TELLABLE))
        raise InvalidInput(FieldProblem("events", f"There is no event {unknown[0][:60]!r} of an instance. There are: {offered}."))
    return frozenset(EventName(name) for name in names)
