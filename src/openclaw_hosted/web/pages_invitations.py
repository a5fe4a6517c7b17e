"""Invitations that nobody has accepted yet: a page for admins, and the part of the users' page that shows the same."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.instance_forms import is_part
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.said import Done, leave
from openclaw_hosted.web.security import OWN_FORM, CurrentVisitor, Visitor, require_admin_visitor

router = APIRouter(prefix="/admin/invitations", include_in_schema=False, dependencies=[Depends(require_admin_visitor)])


@router.get("")
async def invitations_page(request: Request, visitor: CurrentVisitor) -> Response:
    """All of them."""
    return await _page(request, visitor, "invitations.html")


@router.post("", dependencies=[OWN_FORM])
async def invitations_part(request: Request, visitor: CurrentVisitor) -> Response:
    """The same for a part of another page, which asks with its form token: only that page gets what is in it."""
    return await _page(request, visitor, "_invitations.html")


@router.post("/{invitation_id}/revoke", dependencies=[OWN_FORM])
async def revoke_invitation(request: Request, visitor: CurrentVisitor, invitation_id: str) -> Response:
    """Have its link not work any more."""
    await web_of(request).services.accounts.revoke_invitation(visitor.actor, invitation_id)
    if is_part(request):
        return await _page(request, visitor, "_invitations.html")
    return leave(request, "/admin/invitations", Done.INVITATION_REVOKED)


async def _page(request: Request, visitor: Visitor, template: str) -> Response:
    return render(request, template, invitations=await web_of(request).services.accounts.invitations(visitor.actor))
