"""Who waits to be approved to write to an instance: a part of its page, and a page of its own without scripts."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from openclaw_hosted.domain.errors import NotFound, PortError, StateConflict
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.security import OWN_FORM, CurrentVisitor, Visitor

router = APIRouter(prefix="/instances/{instance_id}/senders", include_in_schema=False)


@router.get("")
async def senders_page(request: Request, visitor: CurrentVisitor, instance_id: str) -> Response:
    """Who waits."""
    return await _page(request, visitor, instance_id)


@router.post("", dependencies=[OWN_FORM])
async def senders_part(request: Request, visitor: CurrentVisitor, instance_id: str) -> Response:
    """Who waits, for the instance's page: by POST, for what holds a form's token is given to navigations and to pages of ours only."""
    return await _page(request, visitor, instance_id)


@router.post("/{request_id}/approve", dependencies=[OWN_FORM])
async def approve_sender(request: Request, visitor: CurrentVisitor, instance_id: str, request_id: str) -> Response:
    """Have this sender answered from now on."""
    return await _settled(request, visitor, instance_id, request_id, approve=True)


@router.post("/{request_id}/dismiss", dependencies=[OWN_FORM])
async def dismiss_sender(request: Request, visitor: CurrentVisitor, instance_id: str, request_id: str) -> Response:
    """Drop the request."""
    return await _settled(request, visitor, instance_id, request_id, approve=False)


async def _settled(request: Request, visitor: Visitor, instance_id: str, request_id: str, *, approve: bool) -> Response:
    senders = web_of(request).services.senders
    instance = await web_of(request).services.instances.get(visitor.actor, instance_id)
    try:
        await (senders.approve if approve else senders.dismiss)(visitor.actor, instance.id, request_id)
    except (NotFound, StateConflict, PortError) as error:
        return await _page(request, visitor, instance_id, problem=str(error))
    if "hx-request" in request.headers:
        return await _page(request, visitor, instance_id, said="Approved: they have been told." if approve else "Dismissed.")
    return RedirectResponse(f"/instances/{instance_id}/senders", 303)


async def _page(request: Request, visitor: Visitor, instance_id: str, *, problem: str | None = None, said: str | None = None) -> Response:
    services = web_of(request).services
    instance = await services.instances.get(visitor.actor, instance_id)
    try:
        waiting = await services.senders.waiting(visitor.actor, instance_id)
    except (StateConflict, PortError) as error:
        waiting, problem = [], problem or str(error)
    template = "_senders.html" if "hx-request" in request.headers else "instance_senders.html"
    return render(request, template, instance=instance, waiting=waiting, problem=problem, said=said)
