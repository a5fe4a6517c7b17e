"""The overview as it changes: what is now by server-sent events, the plots once a minute. A script of the page asks."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from openclaw_hosted.domain.actor import require_admin
from openclaw_hosted.domain.errors import NotAllowed
from openclaw_hosted.web.console.overview import drawn, look, now_context, range_of
from openclaw_hosted.web.context import Web, web_of
from openclaw_hosted.web.errors import NotSignedIn
from openclaw_hosted.web.language import ENGLISH
from openclaw_hosted.web.live import LOOKS_PER_STREAM, SETTLED_SECONDS, sse, stream
from openclaw_hosted.web.security import Visitor, find_visitor

router = APIRouter()
REST_SECONDS: Final = 2.0
"""Between two looks, however much happens: a look is some ten queries."""


@router.get("/live")
async def live_overview(request: Request, key: str = "") -> Response:
    """What is now: as server-sent events, or once, as HTML. `key` shows that a page of the visitor's asks."""
    web, visitor = web_of(request), await _asking(request, key)
    first = await _shown(web, visitor)
    if "text/event-stream" not in request.headers.get("accept", ""):
        return HTMLResponse(first)
    return stream(web, visitor.actor, _watch(request, web, first))


@router.get("/live/plots")
async def live_plots(request: Request, key: str = "") -> Response:
    """The plots anew, as HTML."""
    web, visitor = web_of(request), await _asking(request, key)
    history = await drawn(web, visitor.actor, range_of(request))
    return HTMLResponse(web.templates[ENGLISH.code].get_template("console/_plots.html").render(**history))


async def _asking(request: Request, key: str) -> Visitor:
    visitor = await find_visitor(request)
    if visitor is None:
        raise NotSignedIn
    if not hmac.compare_digest(visitor.live_key.encode(), key.encode()):
        raise NotAllowed
    require_admin(visitor.actor)
    return visitor


async def _shown(web: Web, visitor: Visitor) -> str:
    return web.templates[ENGLISH.code].get_template("console/_now.html").render(**now_context(await look(web, visitor.actor)))


async def _watch(request: Request, web: Web, first: str) -> AsyncIterator[str]:
    yield sse("state", first)
    last = first
    for _ in range(LOOKS_PER_STREAM):
        await asyncio.sleep(REST_SECONDS)
        await web.services.instances.wait_for_change(SETTLED_SECONDS)
        still = await find_visitor(request)
        if still is None or not still.is_admin:
            return
        shown = await _shown(web, still)
        yield ": still here\n\n" if shown == last else sse("state", shown)
        last = shown
