"""`/metrics`, for Prometheus, which shows an admin's API token as its bearer token."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse

from openclaw_hosted import OPENCLAW_VERSION
from openclaw_hosted.domain.exposition import about, render
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.security import Caller, require_admin_caller

router = APIRouter(include_in_schema=False, dependencies=[Depends(require_admin_caller)])


@router.get("/metrics")
async def metrics(request: Request, caller: Caller) -> PlainTextResponse:
    """All metrics of now."""
    web = web_of(request)
    checks = await web.options.readiness()
    samples = [*about(web.options.version, OPENCLAW_VERSION, checks), *await web.services.metrics.samples(caller)]
    return PlainTextResponse(render(samples), media_type="text/plain; version=0.0.4; charset=utf-8")
