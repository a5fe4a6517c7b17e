"""Webhooks: tells addresses that users named what happened to their instances.

Works on one webhook at a time, in the order of the events, and goes on where it stood: the cursor is in its row. A message is sent before
the cursor moves, so a crash in between sends it again, under the same id. A receiver that does not take a message gets it again after a
pause that doubles; one that takes none for days is turned off, with an event that says so. What another webhook's receiver does holds up
nobody: each row has a lease and a worker of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.runtime import Requeue
from openclaw_hosted.domain.errors import Denied, NotFound, Unavailable
from openclaw_hosted.domain.events import Event, EventName, as_seen_by
from openclaw_hosted.domain.naming import UserId
from openclaw_hosted.domain.webhook import Delivery, Message, Receipt, Webhook, headers_of, is_given_up, message_of, retry_after
from openclaw_hosted.ports.stores import Lease, WebhookStore
from openclaw_hosted.ports.webhooks import Telling

EVENTS_AT_ONCE: Final = 20
"""How many one webhook is told of before others have their turn."""
UNSEALED_NO_MORE: Final = "Its secret can't be read any more: the platform's key is another one. Delete the webhook and make it again."


class WebhooksController:
    """Handles one leased webhook."""

    def __init__(self, ports: Ports, store: WebhookStore, telling: Telling, options: ControllerOptions) -> None:
        self._ports = ports
        self._store = store
        self._telling = telling
        self._options = options

    async def handle(self, webhook: Webhook, lease: Lease) -> None:
        """Tell what there is to tell, some of it at least."""
        try:
            events, until = await self._store.pending(webhook, EVENTS_AT_ONCE)
        except Unavailable as error:
            raise Requeue(self._options.scan_seconds) from error
        for event in events:
            if not await self._tell(webhook, lease, event):
                return
            webhook = replace(webhook, attempts=0, failing_since=None)
        await self._store.advance(lease, until)
        await self._store.reschedule(lease, 0.0, None, counts=False)

    async def fail(self, webhook: Webhook, lease: Lease, error: str) -> None:  # noqa: ARG002 - the lease says which
        """The platform itself had trouble: it goes on later."""
        await self._store.reschedule(lease, self._options.retry_cap_seconds, None, counts=False)

    async def _tell(self, webhook: Webhook, lease: Lease, event: Event) -> bool:
        """Whether it was taken."""
        message = message_of(webhook, event, self._telling.describe(*await self._as_told(webhook, event)))
        receipt, now = await self._send(webhook, message), self._ports.clock.now()
        delivery = Delivery(message.id, event.id, message.type, now, webhook.attempts + 1, receipt)
        if receipt.ok:
            await self._store.delivered(lease, event.id or webhook.cursor, delivery)
            return True
        failed = replace(
            webhook, attempts=webhook.attempts + 1, failing_since=webhook.failing_since or now, last_error=receipt.problem,
        )  # fmt: skip
        events: list[Event] = []
        if is_given_up(receipt, failed.failing_since or now, now):
            failed = replace(failed, disabled_at=now)
            detail = {"webhook": webhook.id, "reason": receipt.problem or ""}
            events = [Event(EventName.WEBHOOK_DISABLED, now, user_id=webhook.owner_id, detail=detail)]
        await self._store.failed(lease, failed, delivery, retry_after(failed.attempts, self._ports.ids.jitter()), events)
        return False

    async def _send(self, webhook: Webhook, message: Message) -> Receipt:
        try:
            secret = self._ports.sealer.unseal(await self._store.sealed_secret(webhook.id), webhook.id).decode()
        except Denied:
            return Receipt(None, 0.0, UNSEALED_NO_MORE)
        return await self._telling.sender.send(webhook.url, headers_of(message, secret, self._ports.clock.now()), message.body)

    async def _as_told(self, webhook: Webhook, event: Event) -> tuple[Event, dict[str, str]]:
        """The event as its webhook's owner may see it, and the e-mail address of who acted, if it has one to say."""
        seen = event if webhook.all_instances else as_seen_by(webhook.owner_id, event)
        if seen.actor is None:
            return seen, {}
        try:
            user = await self._ports.account_store.user(UserId(seen.actor.id))
        except NotFound:
            return seen, {}
        return seen, {user.id: user.email}
