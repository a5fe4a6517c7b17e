"""The console's first page: is all well, and how did it go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from openclaw_hosted.domain.actor import Actor
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput
from openclaw_hosted.domain.findings import Finding, FindingKind
from openclaw_hosted.services.console import Overview, Range
from openclaw_hosted.web.console.breakdown import breakdown_of
from openclaw_hosted.web.console.plots import plots_of
from openclaw_hosted.web.context import Web, web_of
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.security import CurrentVisitor

router = APIRouter()
RANGE_WORDS: Final[Mapping[Range, str]] = {
    Range.HOUR: "1 hour",
    Range.DAY: "24 hours",
    Range.WEEK: "7 days",
    Range.QUARTER: "90 days",
}


@dataclass(frozen=True, slots=True)
class WayOut:
    """Where an operator goes with a finding. `form` is the id of a form of the page, `href` an address that may name what it is about."""

    runbook: str = ""
    label: str = ""
    form: str = ""
    href: str = ""


_RESUME, _REPLENISH = {"label": "Resume the pool", "form": "resume"}, {"label": "Have the pool look now", "form": "replenish"}
WAYS_OUT: Final[Mapping[FindingKind, WayOut]] = {
    FindingKind.POOL_STOPPED: WayOut("launch-failures", **_RESUME),
    FindingKind.POOL_FAILING: WayOut("launch-failures", "See the failures", href="/admin/events?name=machine.launch_failed"),
    FindingKind.NO_CAPACITY: WayOut("pool-depleted", **_REPLENISH),
    FindingKind.AT_CAP: WayOut("pool-depleted", "See the machines", href="/admin/pool"),
    FindingKind.POOL_PAUSED: WayOut("pool-depleted", **_RESUME),
    FindingKind.NO_SPARES: WayOut("pool-depleted", **_REPLENISH),
    FindingKind.USERS_WAIT: WayOut(
        "pool-depleted", "See who waits", href="/admin/instances?state=pending,replacing,restoring&order=oldest"
    ),
    FindingKind.INSTANCES_FAILED: WayOut("instances-failed", "See them", href="/admin/instances?state=failed&order=changed"),
    FindingKind.CRASH_LOOP: WayOut("crash-loops", "Look at the machine", href="/admin/machines/{about}"),
    FindingKind.KEYS_REFUSED: WayOut("", "See when", href="/admin/events?name=instance.key_refused"),
    FindingKind.DISK_FILLED: WayOut("disk-full", "See what to do", href="/admin/pool"),
    FindingKind.ORPHANS_HELD_BACK: WayOut("", "Look at it", href="/admin/pool#orphans"),
    FindingKind.BACKUP_FAILED: WayOut("", "See the failures", href="/admin/events?name=backup.failed"),
    FindingKind.ALARM: WayOut(),
}


@router.get("")
async def overview_page(request: Request, visitor: CurrentVisitor) -> Response:
    """Is all well?"""
    web, back = web_of(request), range_of(request)
    now, history = await look(web, visitor.actor), await drawn(web, visitor.actor, back)
    return render(request, "console/overview.html", back=back, ranges=RANGE_WORDS, **history, **now_context(now))


def runbooks_of(finding: Finding) -> Sequence[str]:
    """The pages that help, by name: those of the alarms that are on about it, else the usual one."""
    usual = WAYS_OUT[finding.kind].runbook
    return [state.name for state in finding.alarms] or ([usual] if usual else [])


def range_of(request: Request) -> Range:
    """How far back the plots go, a day unless the address says otherwise. Raises `InvalidInput`."""
    asked = request.query_params.get("range", Range.DAY.label)
    found = next((each for each in Range if each.label == asked), None)
    if found is None:
        raise InvalidInput(FieldProblem("range", f"Choose among {', '.join(each.label for each in Range)}."))
    return found


async def look(web: Web, actor: Actor) -> Overview:
    """The platform now."""
    crowding = await web.services.room.crowding(actor)
    return await web.services.console.overview(actor, [large.instance_id or large.volume_id for large in crowding])


async def drawn(web: Web, actor: Actor, back: Range) -> dict[str, Any]:
    """What the part of the page about the past is made from."""
    series = await web.services.console.series(actor, back)
    return {"plots": plots_of(series, back), "whole": breakdown_of(series)}


def now_context(now: Overview) -> dict[str, Any]:
    """What the changing part of the page is made from."""
    return {"now": now, "ways_out": WAYS_OUT, "runbooks_of": runbooks_of}
