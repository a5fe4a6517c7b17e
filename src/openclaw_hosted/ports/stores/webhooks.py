"""Webhooks, how far each was told, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.naming import UserId
from openclaw_hosted.domain.webhook import Delivery, Webhook, WebhookId
from openclaw_hosted.ports.stores.lease import Lease


class WebhookStore(Protocol):
    """Rows of webhooks are work: those that are on, whose owner may use them, and of whose instances something happened since."""

    async def add(self, webhook: Webhook, sealed_secret: bytes, most: int, event: Event) -> Webhook:
        """A new one, told of what happens from now on. Raises `LimitReached` for a user who has `most`."""
        ...

    async def get(self, webhook_id: WebhookId) -> Webhook:
        """One of them. Raises `NotFound`."""
        ...

    async def sealed_secret(self, webhook_id: WebhookId) -> bytes:
        """Its secret as it was sealed. Raises `NotFound`."""
        ...

    async def list_of(self, owner_id: UserId) -> Sequence[Webhook]:
        """A user's, oldest first."""
        ...

    async def remove(self, webhook_id: WebhookId, event: Event) -> None:
        """Forget one with its deliveries. Raises `NotFound`."""
        ...

    async def enable(self, webhook_id: WebhookId, event: Event) -> Webhook:
        """Have it told again, of what happens from now on. Raises `NotFound`."""
        ...

    async def deliveries(self, webhook_id: WebhookId, limit: int) -> Sequence[Delivery]:
        """The newest first."""
        ...

    async def record(self, webhook_id: WebhookId, delivery: Delivery) -> None:
        """Keep what came of a test. Does nothing where the webhook is gone."""
        ...

    async def pending(self, webhook: Webhook, limit: int) -> tuple[Sequence[Event], int]:
        """The events after its cursor that it is to be told of, oldest first, and up to which id there is none beside them. No event with
        such an id can still appear."""
        ...

    async def advance(self, lease: Lease, cursor: int) -> None:
        """There is nothing to tell up to here."""
        ...

    async def delivered(self, lease: Lease, cursor: int, delivery: Delivery) -> None:
        """It was told, and is well."""
        ...

    async def failed(self, lease: Lease, webhook: Webhook, delivery: Delivery, pause_seconds: float, events: Collection[Event]) -> None:
        """It was not; come again after the pause, and give the lease back. What `webhook` says of failures and whether it is disabled is
        kept."""
        ...

    async def lease_due(self, limit: int, seconds: float) -> Sequence[tuple[Webhook, Lease]]:
        """Rows with work, leased."""
        ...

    async def renew(self, leases: Sequence[Lease], seconds: float) -> Collection[str]:
        """Hold them longer; the keys of those that are still held."""
        ...

    async def reschedule(self, lease: Lease, seconds: float, error: str | None, *, counts: bool = True) -> None:
        """Give one back for a while."""
        ...
