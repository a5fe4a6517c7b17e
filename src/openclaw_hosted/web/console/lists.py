"""The pool with its machines, all instances and events, a page at a time."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.listing import Order
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.room import OPERATORS_WAY_OUT
from openclaw_hosted.services.advising import sentence
from openclaw_hosted.web.console.queries import ORDER_WORDS, event_search, instance_search, listing_of, machine_search
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.security import CurrentVisitor, Visitor

router = APIRouter()
PER_PAGE: Final = 50
EVENTS_PER_PAGE: Final = 100
SUBJECTS: Final = sorted({name.partition(".")[0] for name in EventName})


@router.get("/pool")
async def pool_page(request: Request, visitor: CurrentVisitor) -> Response:
    """The pool and its machines."""
    return await show_pool(request, visitor)


@router.get("/instances")
async def instances_page(request: Request, visitor: CurrentVisitor) -> Response:
    """All users' instances."""
    console, listing = web_of(request).services.console, listing_of(request, "/admin/instances", "q", "state", "owner")
    page = await console.instances(visitor.actor, instance_search(listing), PER_PAGE, listing.after)
    return render(request, "console/instances.html", page=page, listing=listing, phases=list(Phase), orders=ORDER_WORDS)


@router.get("/events")
async def events_page(request: Request, visitor: CurrentVisitor) -> Response:
    """What happened, newest first."""
    listing = listing_of(request, "/admin/events", "name", "instance", "machine", "user", "since", "until")
    page, people = await web_of(request).services.console.events(visitor.actor, event_search(listing), EVENTS_PER_PAGE, listing.after)
    names = sorted(EventName)
    return render(
        request, "console/events.html", page=page, people=people, listing=listing, you=visitor.user.id, names=names, subjects=SUBJECTS
    )


async def show_pool(request: Request, visitor: Visitor, *, status: int = 200, errors: dict[str, str] | None = None) -> Response:
    """The pool's page, with what was wrong with a form of it."""
    services = web_of(request).services
    listing = listing_of(request, "/admin/pool", "q", "state")
    context: dict[str, Any] = {
        "pool": await services.operations.pool(visitor.actor),
        "week": (week := await services.advice.week(visitor.actor)),
        "advice": sentence(week),
        "crowding": await services.room.crowding(visitor.actor),
        "what_to_do": OPERATORS_WAY_OUT,
        "page": await services.console.machines(visitor.actor, machine_search(listing), PER_PAGE, listing.after),
        "orphans": await services.operations.orphans(visitor.actor),
        "cost": await services.costs.report(visitor.actor) if services.costs.billed else None,
        "errors": errors or {},
    }
    orders = {order: words for order, words in ORDER_WORDS.items() if order is not Order.NAME}
    return render(request, "console/pool.html", status=status, listing=listing, states=list(MachineState), orders=orders, **context)
