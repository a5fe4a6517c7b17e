"""The API of webhooks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from openclaw_hosted.domain.webhook import DELIVERIES_KEPT
from openclaw_hosted.web.api_instances import problems
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.errors import rate_headers
from openclaw_hosted.web.models_webhooks import (
    DeliveryList,
    DeliveryOut,
    WebhookCreate,
    WebhookList,
    WebhookOut,
    WebhookSecret,
    deliveries_out,
    delivery_out,
    webhook_made,
    webhook_out,
)
from openclaw_hosted.web.security import CONFIRMED_CALLER, Caller

router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"], responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 429))


@router.get("")
async def list_webhooks(request: Request, caller: Caller) -> WebhookList:
    """The caller's webhooks, without their secrets."""
    return WebhookList(items=[webhook_out(each) for each in await web_of(request).services.webhooks.list(caller)])


@router.post("", status_code=201, dependencies=[CONFIRMED_CALLER])
async def create_webhook(request: Request, response: Response, caller: Caller, body: WebhookCreate) -> WebhookSecret:
    """Have an address told what happens to the caller's instances from now on. The secret is answered this once."""
    webhooks = web_of(request).services.webhooks
    made = await webhooks.create(caller, body.url, body.events, all_instances=body.all_instances)
    response.headers.update(rate_headers(webhooks.quota(caller)))
    return webhook_made(made)


@router.delete("/{webhook_id}", status_code=204)
async def delete_webhook(request: Request, caller: Caller, webhook_id: str) -> None:
    """Tell this address no more, and forget it."""
    await web_of(request).services.webhooks.remove(caller, webhook_id)


@router.post("/{webhook_id}/test")
async def try_webhook(request: Request, response: Response, caller: Caller, webhook_id: str) -> DeliveryOut:
    """Send a message of type `webhook.test` now; the answer says what came of it."""
    webhooks = web_of(request).services.webhooks
    delivery = await webhooks.test(caller, webhook_id)
    response.headers.update(rate_headers(webhooks.quota(caller)))
    return delivery_out(delivery)


@router.post("/{webhook_id}/enable")
async def enable_webhook(request: Request, caller: Caller, webhook_id: str) -> WebhookOut:
    """Tell an address again that the platform gave up: of what happens from now on."""
    return webhook_out(await web_of(request).services.webhooks.enable(caller, webhook_id))


@router.get("/{webhook_id}/deliveries")
async def list_deliveries(
    request: Request, caller: Caller, webhook_id: str, limit: Annotated[int, Query(ge=1, le=DELIVERIES_KEPT)] = DELIVERIES_KEPT
) -> DeliveryList:
    """What came of the newest attempts, newest first."""
    return deliveries_out(await web_of(request).services.webhooks.deliveries(caller, webhook_id, limit))
