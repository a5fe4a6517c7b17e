"""The API of restore points and archives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from openclaw_hosted.web.api_instances import problems
from openclaw_hosted.web.archives import ARCHIVE_TYPE, archive_response
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.models_instances import InstanceOut, instance_out
from openclaw_hosted.web.models_restore_points import RestorePointList, RestorePointOut, restore_point_out
from openclaw_hosted.web.security import Caller

router = APIRouter(prefix="/api/v1", tags=["restore points"], responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 429, 503))
BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
ARCHIVE: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {ARCHIVE_TYPE: BINARY}, "description": "The archive"}}


@router.get("/instances/{instance_id}/restore-points")
async def list_restore_points(request: Request, caller: Caller, instance_id: str) -> RestorePointList:
    """The restore points of an instance, newest first."""
    found = await web_of(request).services.restore_points.list(caller, instance_id)
    return RestorePointList(items=[restore_point_out(point) for point in found])


@router.post("/instances/{instance_id}/restore-points", status_code=202)
async def make_restore_point(request: Request, caller: Caller, instance_id: str) -> RestorePointOut:
    """Make one now. It is there once its state is `ready`."""
    return restore_point_out(await web_of(request).services.restore_points.ask(caller, instance_id))


@router.post("/instances/{instance_id}/restore-points/{point_id}/restore", status_code=202)
async def restore_here(request: Request, caller: Caller, instance_id: str, point_id: str) -> InstanceOut:
    """Have the instance be as it was then. The present state becomes a restore point first."""
    services = web_of(request).services
    instance = await services.restore_points.rewind(caller, instance_id, point_id)
    return instance_out(instance, services.instances.url(instance.id))


@router.delete("/instances/{instance_id}/restore-points/{point_id}", status_code=204)
async def remove_restore_point(request: Request, caller: Caller, instance_id: str, point_id: str) -> None:
    """Remove one for good."""
    await web_of(request).services.restore_points.remove(caller, instance_id, point_id)


@router.get("/instances/{instance_id}/restore-points/{point_id}/archive", response_class=StreamingResponse, responses=ARCHIVE)
async def download_restore_point(request: Request, caller: Caller, instance_id: str, point_id: str) -> StreamingResponse:
    """One restore point as an archive."""
    points = web_of(request).services.restore_points
    return archive_response(instance_id, await points.download(caller, instance_id, point_id), points.now)


@router.get("/instances/{instance_id}/archive", response_class=StreamingResponse, responses=ARCHIVE)
async def download_instance(request: Request, caller: Caller, instance_id: str) -> StreamingResponse:
    """Everything that the instance holds now, as an archive. It may run on meanwhile."""
    points = web_of(request).services.restore_points
    return archive_response(instance_id, await points.download(caller, instance_id), points.now)


@router.post(
    "/archives",
    status_code=201,
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": BINARY}}},
)
async def bring_archive(request: Request, caller: Caller) -> RestorePointOut:
    """Bring an archive, as the body. Name the answered id as `restore_point` of a new instance, within a day."""

    async def content() -> AsyncIterator[bytes]:
        async for piece in request.stream():
            if piece:
                yield piece

    return restore_point_out(await web_of(request).services.restore_points.bring(caller, content()))
