"""The API of senders: who waits to be approved to write to an instance over its channels."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from openclaw_hosted.web.api_instances import problems
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.models_instances import SenderList, sender_out
from openclaw_hosted.web.security import Caller

router = APIRouter(
    prefix="/api/v1/instances/{instance_id}/senders", tags=["instances"], responses=problems(400, 401, 403, 404, 409, 429, 503)
)


@router.get("")
async def list_senders(request: Request, caller: Caller, instance_id: str) -> SenderList:
    """Who waits to be approved, the oldest first. OpenClaw forgets a request after an hour."""
    waiting = await web_of(request).services.senders.waiting(caller, instance_id)
    return SenderList(items=[sender_out(sender) for sender in waiting])


@router.post("/{request_id}/approve", status_code=204)
async def approve_sender(request: Request, caller: Caller, instance_id: str, request_id: str) -> Response:
    """Have this sender answered from now on; they are told."""
    await web_of(request).services.senders.approve(caller, instance_id, request_id)
    return Response(status_code=204)


@router.post("/{request_id}/dismiss", status_code=204)
async def dismiss_sender(request: Request, caller: Caller, instance_id: str, request_id: str) -> Response:
    """Drop the request; the sender may ask again."""
    await web_of(request).services.senders.dismiss(caller, instance_id, request_id)
    return Response(status_code=204)
