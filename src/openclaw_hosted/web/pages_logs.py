"""An instance's log: the newest lines last and in view, narrowed by time, level and words, and to be taken away as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from openclaw_hosted.domain.errors import InvalidInput, PortError
from openclaw_hosted.domain.loglines import Level, LogLine
from openclaw_hosted.services.instances import LINES_SOUGHT
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.security import CurrentVisitor, Visitor

router = APIRouter(prefix="/instances/{instance_id}", include_in_schema=False)
SHOWN: Final = 500
SINCE: Final = {"": "All that is kept", "15m": "The last 15 minutes", "1h": "The last hour", "1d": "The last day"}
LEVELS: Final = {"": "All levels", Level.INFO: "Info and graver", Level.WARN: "Warnings and errors", Level.ERROR: "Errors"}


@dataclass(frozen=True)
class Sought:
    """What the form of the page says; anything may come by the address."""

    since: str
    level: str
    search: str

    @classmethod
    def of(cls, request: Request) -> Sought:
        """As it was sent."""
        given = request.query_params
        return cls(given.get("since", "")[:40], given.get("level", ""), given.get("search", "")[:200])

    @property
    def query(self) -> str:
        """For an address."""
        return urlencode({name: value for name, value in vars(self).items() if value})


@router.get("/logs")
async def logs_page(request: Request, visitor: CurrentVisitor, instance_id: str) -> Response:
    """The newest lines that are sought."""
    instance = await web_of(request).services.instances.get(visitor.actor, instance_id)
    sought = Sought.of(request)
    context: dict[str, Any] = {"instance": instance, "sought": sought, "sinces": SINCE, "levels": LEVELS, "lines": [], "problem": None}
    try:
        context["lines"] = await _lines(request, visitor, instance_id, sought, SHOWN)
    except (InvalidInput, PortError) as error:
        context["problem"] = str(error)
    return render(request, "instance_logs.html", shown=SHOWN, **context)


@router.get("/logs/download")
async def download(request: Request, visitor: CurrentVisitor, instance_id: str) -> Response:
    """The same lines, more of them, as a text file."""
    instance = await web_of(request).services.instances.get(visitor.actor, instance_id)
    lines = await _lines(request, visitor, instance.id, Sought.of(request), LINES_SOUGHT)
    headers = {"Content-Disposition": f'attachment; filename="{instance.id}.log"'}
    return PlainTextResponse("".join(f"{line.text}\n" for line in lines), headers=headers)


async def _lines(request: Request, visitor: Visitor, instance_id: str, sought: Sought, most: int) -> Sequence[LogLine]:
    instances = web_of(request).services.instances
    level = Level(sought.level) if sought.level in list(Level) else None
    return await instances.logs(visitor.actor, instance_id, most, instances.log_wish(sought.since, level, sought.search))
