"""The shapes of webhooks in the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StrictStr

from openclaw_hosted.domain.addresses import ADDRESS_MAX_LENGTH
from openclaw_hosted.domain.webhook import Delivery, Webhook
from openclaw_hosted.services.webhooks import WebhookMade
from openclaw_hosted.web.language import instant
from openclaw_hosted.web.models import Input, moment


class WebhookCreate(Input):
    """An address that is told what happens to instances."""

    url: Annotated[StrictStr, Field(max_length=ADDRESS_MAX_LENGTH, examples=["https://example.com/hooks/openclaw"])]
    events: list[Annotated[StrictStr, Field(max_length=60)]] = Field(
        [], max_length=100, description="Names of the events to tell of, such as `instance.failed`; empty for all."
    )
    all_instances: Annotated[bool, Field(description="For admins: tell of everybody's instances.")] = False


class WebhookOut(BaseModel):
    """A webhook, without its secret."""

    id: str
    url: str
    events: list[str]
    all_instances: bool
    created_at: datetime
    enabled: bool
    disabled_at: Annotated[datetime | None, Field(description="When the platform gave up, after days of failures.")]
    failing_since: datetime | None
    failures: Annotated[int, Field(description="In a row.")]
    error: Annotated[str | None, Field(description="What came of the last attempt, if it failed.")]


class WebhookSecret(WebhookOut):
    """A new webhook: its secret is shown this once."""

    secret: Annotated[str, Field(description="The key of the signatures, as Standard Webhooks writes it.")]


class WebhookList(BaseModel):
    """The caller's webhooks, oldest first."""

    items: list[WebhookOut]


class DeliveryOut(BaseModel):
    """One attempt to tell."""

    message_id: Annotated[str, Field(description="As sent in `webhook-id`: the same for each attempt at the same event.")]
    event_id: Annotated[int | None, Field(description="Null for a test.")]
    type: str
    at: datetime
    attempt: int
    ok: bool
    status: Annotated[int | None, Field(description="What the address answered; null where it did not.")]
    seconds: float
    error: str | None


class DeliveryList(BaseModel):
    """Attempts, newest first. The newest hundred are kept."""

    items: list[DeliveryOut]


def webhook_out(webhook: Webhook) -> WebhookOut:
    """A webhook as the API tells it."""
    return WebhookOut(
        id=webhook.id,
        url=webhook.url,
        events=sorted(webhook.names),
        all_instances=webhook.all_instances,
        created_at=instant(webhook.created_at),
        enabled=webhook.disabled_at is None,
        disabled_at=moment(webhook.disabled_at),
        failing_since=moment(webhook.failing_since),
        failures=webhook.attempts,
        error=webhook.last_error,
    )


def webhook_made(made: WebhookMade) -> WebhookSecret:
    """A new webhook as the API tells it, this once with its secret."""
    return WebhookSecret(**webhook_out(made.webhook).model_dump(), secret=made.secret)


def delivery_out(delivery: Delivery) -> DeliveryOut:
    """An attempt as the API tells it."""
    receipt = delivery.receipt
    return DeliveryOut(
        message_id=delivery.message_id,
        event_id=delivery.event_id,
        type=delivery.type,
        at=instant(delivery.at),
        attempt=delivery.attempt,
        ok=receipt.ok,
        status=receipt.status,
        seconds=round(receipt.seconds, 3),
        error=receipt.problem,
    )


def deliveries_out(deliveries: Sequence[Delivery]) -> DeliveryList:
    """Attempts as the API tells them."""
    return DeliveryList(items=[delivery_out(delivery) for delivery in deliveries])
