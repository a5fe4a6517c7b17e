"""Lists as CSV: all that was found, however much, a page at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.listing import Page
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.ports.stores.console import CountedUser, OwnedInstance
from openclaw_hosted.web.console.queries import Listing, event_search, instance_search, listing_of, machine_search, user_search
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.language import instant
from openclaw_hosted.web.security import CurrentVisitor

router = APIRouter()
AT_ONCE: Final = 500
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
Cells = Sequence[object]
More = Callable[[str | None], Awaitable[Page[Any]]]


@router.get("/pool.csv")
async def machines_csv(request: Request, visitor: CurrentVisitor) -> StreamingResponse:
    """Machines."""
    console, listing = web_of(request).services.console, listing_of(request, "/admin/pool", "q", "state")
    search = machine_search(listing)
    heads = ("machine", "state", "since", "created", "instance", "zone", "provider_ref", "openclaw", "failure", "error")
    return _table("machines", heads, _machine, lambda after: console.machines(visitor.actor, search, AT_ONCE, after))


@router.get("/instances.csv")
async def instances_csv(request: Request, visitor: CurrentVisitor) -> StreamingResponse:
    """Instances of all users."""
    console, listing = web_of(request).services.console, listing_of(request, "/admin/instances", "q", "state", "owner")
    search = instance_search(listing)
    heads = ("instance", "name", "owner", "phase", "since", "created", "machine", "provider", "error")
    return _table("instances", heads, _instance, lambda after: console.instances(visitor.actor, search, AT_ONCE, after))


@router.get("/users.csv")
async def users_csv(request: Request, visitor: CurrentVisitor) -> StreamingResponse:
    """Accounts."""
    console, listing = web_of(request).services.console, listing_of(request, "/admin/users", "q", "role")
    search = user_search(listing)
    heads = ("email", "role", "disabled", "joined", "instances")
    return _table("users", heads, _user, lambda after: console.users(visitor.actor, search, AT_ONCE, after))


@router.get("/events.csv")
async def events_csv(request: Request, visitor: CurrentVisitor) -> StreamingResponse:
    """Events."""
    console, listing = web_of(request).services.console, _events_listing(request)
    search = event_search(listing)

    async def more(after: str | None) -> Page[Event]:
        return (await console.events(visitor.actor, search, AT_ONCE, after))[0]

    return _table("events", ("at", "name", "instance", "machine", "user_id", "actor_id", "via", "detail"), _event, more)


def _events_listing(request: Request) -> Listing:
    return listing_of(request, "/admin/events", "name", "instance", "machine", "user", "since", "until")


def _table(name: str, heads: Cells, cells: Callable[[Any], Cells], more: More) -> StreamingResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(_rows(heads, cells, more), media_type="text/csv; charset=utf-8", headers=headers)


async def _rows(heads: Cells, cells: Callable[[Any], Cells], more: More) -> AsyncIterator[str]:
    yield _lines([heads])
    after: str | None = None
    while True:
        page = await more(after)
        yield _lines([cells(item) for item in page.items])
        if page.after is None:
            return
        after = page.after


def _lines(rows: Sequence[Cells]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def _cell(cell: object) -> str:
    """A spreadsheet must not take what a user named for a formula."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _at(seconds: float) -> str:
    return instant(seconds).isoformat(timespec="seconds")


def _machine(machine: Machine) -> Cells:
    since, made = _at(machine.state_changed_at), _at(machine.created_at)
    about = (machine.zone, machine.provider_ref, machine.image, machine.failure, machine.last_error)
    return (machine.id, machine.state, since, made, machine.instance_id, *about)


def _instance(owned: OwnedInstance) -> Cells:
    each = owned.instance
    since, made = _at(each.phase_changed_at), _at(each.created_at)
    return (each.id, each.name, owned.owner, each.phase, since, made, each.machine_id, each.settings.provider, each.last_error)


def _user(counted: CountedUser) -> Cells:
    user = counted.user
    return (user.email, user.role, "yes" if user.disabled else "no", _at(user.created_at), counted.instances)


def _event(event: Event) -> Cells:
    actor = event.actor
    detail = "; ".join(f"{key}: {value}" for key, value in sorted(event.detail.items()))
    who = (actor.id, actor.via) if actor else ("", "")
    return (_at(event.at), event.name, event.instance_id, event.machine_id, event.user_id, *who, detail)
