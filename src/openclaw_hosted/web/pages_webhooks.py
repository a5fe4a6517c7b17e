"""One's own webhooks, on a page."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from openclaw_hosted.domain.errors import InvalidInput, LimitReached, NotAllowed
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.webhook import Delivery
from openclaw_hosted.services.webhooks import WebhookMade
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.errors import STATUS
from openclaw_hosted.web.forms import by_field, text_of
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.security import OWN_FORM, ConfirmedForm, CurrentVisitor, Visitor, visitor_of

router = APIRouter(prefix="/account/webhooks", include_in_schema=False)
NEEDS_ATTENTION: Final = frozenset(
    {
        EventName.INSTANCE_FAILED, EventName.INSTANCE_MACHINE_LOST, EventName.INSTANCE_FILLED_DISK, EventName.INSTANCE_UPDATE_NEEDED,
        EventName.INSTANCE_DELETE_ASKED, EventName.GATEWAY_HUNG, EventName.RESTORE_POINT_FAILED, EventName.RESTORE_POINT_LOST,
    }
)  # fmt: skip
"""What the form's second choice stands for."""
DELIVERIES_SHOWN: Final = 3


@router.get("")
async def webhooks_page(request: Request, visitor: CurrentVisitor) -> Response:
    """Which there are, and how they fare."""
    return await _page(request, visitor)


@router.post("")
async def create_webhook(request: Request, form: ConfirmedForm) -> Response:
    """Make one, and show its secret, this once."""
    visitor, url = visitor_of(request), text_of(form, "url")
    everybody = bool(form.get("everybody"))
    chosen = {"what": text_of(form, "what"), "everybody": everybody}
    names = NEEDS_ATTENTION if chosen["what"] == "attention" else frozenset()
    try:
        made = await web_of(request).services.webhooks.create(visitor.actor, url, names, all_instances=everybody)
    except InvalidInput as error:
        return await _page(request, visitor, status=422, errors=by_field(error.problems), url=url, chosen=chosen)
    except (LimitReached, NotAllowed) as error:
        return await _page(request, visitor, status=STATUS[type(error)], errors={"url": str(error)}, url=url, chosen=chosen)
    return await _page(request, visitor, made=made)


@router.post("/{webhook_id}/test", dependencies=[OWN_FORM])
async def try_webhook(request: Request, visitor: CurrentVisitor, webhook_id: str) -> Response:
    """Send a test, and say what came of it."""
    try:
        tried = await web_of(request).services.webhooks.test(visitor.actor, webhook_id)
    except LimitReached as error:
        return await _page(request, visitor, status=STATUS[LimitReached], problem=str(error))
    return await _page(request, visitor, tried=tried)


@router.post("/{webhook_id}/enable", dependencies=[OWN_FORM])
async def enable_webhook(request: Request, visitor: CurrentVisitor, webhook_id: str) -> Response:
    """Turn one on again."""
    await web_of(request).services.webhooks.enable(visitor.actor, webhook_id)
    return RedirectResponse("/account/webhooks", 303)


@router.post("/{webhook_id}/delete", dependencies=[OWN_FORM])
async def delete_webhook(request: Request, visitor: CurrentVisitor, webhook_id: str) -> Response:
    """Forget one."""
    await web_of(request).services.webhooks.remove(visitor.actor, webhook_id)
    return RedirectResponse("/account/webhooks", 303)


async def _page(
    request: Request,
    visitor: Visitor,
    *,
    status: int = 200,
    errors: dict[str, str] | None = None,
    url: str = "",
    chosen: dict[str, Any] | None = None,
    made: WebhookMade | None = None,
    tried: Delivery | None = None,
    problem: str | None = None,
) -> Response:
    webhooks = web_of(request).services.webhooks
    own = [(each, await webhooks.deliveries(visitor.actor, each.id, DELIVERIES_SHOWN)) for each in await webhooks.list(visitor.actor)]
    context: dict[str, Any] = {"webhooks": own, "errors": errors or {}, "url": url, "made": made, "tried": tried, "problem": problem}
    chosen = chosen or {"what": "", "everybody": False}
    return render(request, "webhooks.html", status=status, chosen=chosen, **context)
