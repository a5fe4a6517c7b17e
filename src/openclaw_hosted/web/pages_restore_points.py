"""Restore points on an instance's page, and archives."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from openclaw_hosted.web.archives import archive_response
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.said import Done, leave
from openclaw_hosted.web.security import OWN_FORM, CurrentVisitor, require_visitor

router = APIRouter(include_in_schema=False)
POINTS = "/instances/{instance_id}/restore-points"


@router.post(POINTS, dependencies=[OWN_FORM])
async def make_point(request: Request, visitor: CurrentVisitor, instance_id: str) -> Response:
    """Make one now."""
    await web_of(request).services.restore_points.ask(visitor.actor, instance_id)
    return _leave(request, instance_id, Done.POINT_ASKED)


@router.post(f"{POINTS}/{{point_id}}/restore", dependencies=[OWN_FORM])
async def restore_here(request: Request, visitor: CurrentVisitor, instance_id: str, point_id: str) -> Response:
    """Go back to one."""
    await web_of(request).services.restore_points.rewind(visitor.actor, instance_id, point_id)
    return RedirectResponse(f"/instances/{instance_id}", 303)


@router.post(f"{POINTS}/{{point_id}}/remove", dependencies=[OWN_FORM])
async def remove_point(request: Request, visitor: CurrentVisitor, instance_id: str, point_id: str) -> Response:
    """Let one go."""
    await web_of(request).services.restore_points.remove(visitor.actor, instance_id, point_id)
    return _leave(request, instance_id, Done.POINT_REMOVED)


@router.post(f"{POINTS}/{{point_id}}/archive", dependencies=[OWN_FORM])
async def download_point(request: Request, visitor: CurrentVisitor, instance_id: str, point_id: str) -> Response:
    """One as an archive."""
    points = web_of(request).services.restore_points
    return archive_response(instance_id, await points.download(visitor.actor, instance_id, point_id), points.now)


@router.post("/instances/{instance_id}/archive", dependencies=[OWN_FORM])
async def download_instance(request: Request, visitor: CurrentVisitor, instance_id: str) -> Response:
    """All that it holds now, as an archive."""
    points = web_of(request).services.restore_points
    return archive_response(instance_id, await points.download(visitor.actor, instance_id), points.now)


@router.get("/instances/bring", dependencies=[Depends(require_visitor)])
async def bring_page(request: Request) -> Response:
    """Where an archive is chosen; a script sends it to the API, piece by piece."""
    return render(request, "bring.html")


def _leave(request: Request, instance_id: str, done: Done) -> Response:
    return leave(request, f"/instances/{instance_id}#restore-points", done)
