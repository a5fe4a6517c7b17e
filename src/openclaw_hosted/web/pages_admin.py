"""Operators' pages: the pool and its machines, all instances, users, events."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response

from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput, StateConflict
from openclaw_hosted.domain.naming import UserId
from openclaw_hosted.domain.room import OPERATORS_WAY_OUT
from openclaw_hosted.web.context import link_start, web_of
from openclaw_hosted.web.errors import STATUS
from openclaw_hosted.web.forms import by_field, text_of
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.security import (
    CONFIRMED_FORM,
    OWN_FORM,
    ConfirmedForm,
    CurrentVisitor,
    Visitor,
    VisitorForm,
    require_admin_visitor,
    visitor_of,
)

router = APIRouter(prefix="/admin", include_in_schema=False, dependencies=[Depends(require_admin_visitor)])
EVENTS_PER_PAGE = 100


@router.get("")
async def pool_page(request: Request, visitor: CurrentVisitor) -> Response:
    """The pool and its machines."""
    return await _pool(request, visitor)


@router.post("/pool/{action}")
async def change_pool(request: Request, form: VisitorForm, action: str) -> Response:
    """Pause, resume or replenish the pool, or set how many spares it keeps."""
    actor, operations = visitor_of(request).actor, web_of(request).services.operations
    try:
        match action:
            case "pause":
                await operations.pause_pool(actor)
            case "resume":
                await operations.resume_pool(actor)
            case "replenish":
                await operations.replenish(actor)
            case "spares":
                await operations.set_spares(actor, _number(text_of(form, "spares")))
            case _:
                raise InvalidInput(FieldProblem("action", "There is no such action."))
    except InvalidInput as error:
        return await _pool(request, visitor_of(request), status=422, errors=by_field(error.problems))
    return RedirectResponse("/admin", 303)


@router.post("/machines/{machine_id}/retire", dependencies=[OWN_FORM])
async def retire_machine(request: Request, visitor: CurrentVisitor, machine_id: str) -> Response:
    """Terminate a spare."""
    await web_of(request).services.operations.retire_spare(visitor.actor, machine_id)
    return RedirectResponse("/admin", 303)


@router.post("/orphans/remove")
async def remove_orphan(request: Request, form: ConfirmedForm) -> Response:
    """Have an orphan removed for good."""
    await web_of(request).services.operations.release_orphan(visitor_of(request).actor, text_of(form, "name"))
    return RedirectResponse("/admin", 303)


@router.get("/instances")
async def all_instances_page(request: Request, visitor: CurrentVisitor) -> Response:
    """All users' instances."""
    services = web_of(request).services
    owners = await services.accounts.emails(visitor.actor)
    instances, more = await services.operations.instances(visitor.actor)
    return render(request, "admin_instances.html", instances=instances, more=more, owners=owners)


@router.get("/users")
async def users_page(request: Request, visitor: CurrentVisitor) -> Response:
    """All accounts."""
    return await _users(request, visitor)


@router.post("/users/invite")
async def invite_user(request: Request, form: ConfirmedForm) -> Response:
    """Make an invitation and show its link, this once."""
    web, visitor, email = web_of(request), visitor_of(request), text_of(form, "email")
    role = Role.ADMIN if text_of(form, "role") == Role.ADMIN else Role.USER
    try:
        secret = await web.services.accounts.invite(visitor.actor, email, role)
    except InvalidInput as error:
        return await _users(request, visitor, status=422, email=email, errors=by_field(error.problems))
    except StateConflict as error:
        return await _users(request, visitor, status=STATUS[StateConflict], email=email, errors={"email": str(error)})
    return await _users(request, visitor, link=f"{link_start(request)}/invite/{secret}", link_for=email)


@router.post("/users/{user_id}/reset-link", dependencies=[CONFIRMED_FORM])
async def reset_user(request: Request, visitor: CurrentVisitor, user_id: str) -> Response:
    """Make a link with which an account's password is set anew, and show it, this once."""
    web = web_of(request)
    secret = await web.services.accounts.reset_link(visitor.actor, UserId(user_id))
    return await _users(request, visitor, link=f"{link_start(request)}/reset/{secret}", link_for="this account")


@router.post("/users/{user_id}/role")
async def change_role(request: Request, form: ConfirmedForm, user_id: str) -> Response:
    """Make a user an admin, or an admin a user."""
    role = next((role for role in Role if role == text_of(form, "role")), None)
    if role is None:
        raise InvalidInput(FieldProblem("role", "Choose admin or user."))
    await web_of(request).services.accounts.set_role(visitor_of(request).actor, UserId(user_id), role)
    return RedirectResponse("/admin/users", 303)


@router.post("/users/{user_id}/{action}", dependencies=[OWN_FORM])
async def change_user(request: Request, visitor: CurrentVisitor, user_id: str, action: str) -> Response:
    """Disable or enable an account."""
    accounts = web_of(request).services.accounts
    if action not in ("disable", "enable"):
        raise InvalidInput(FieldProblem("action", "There is no such action."))
    await accounts.set_disabled(visitor.actor, UserId(user_id), disabled=action == "disable")
    return RedirectResponse("/admin/users", 303)


@router.get("/events")
async def events_page(request: Request, visitor: CurrentVisitor, before: Annotated[int | None, Query(ge=0, le=2**53)] = None) -> Response:
    """What happened, newest first."""
    services = web_of(request).services
    events = await services.operations.events(visitor.actor, before_id=before, limit=EVENTS_PER_PAGE)
    people = await services.accounts.emails(visitor.actor)
    older = events[-1].id if len(events) == EVENTS_PER_PAGE else None
    return render(request, "admin_events.html", events=events, people=people, you=visitor.user.id, older=older)


async def _pool(request: Request, visitor: Visitor, *, status: int = 200, errors: dict[str, str] | None = None) -> Response:
    operations = web_of(request).services.operations
    costs = web_of(request).services.costs
    context: dict[str, Any] = {
        "pool": await operations.pool(visitor.actor),
        "crowding": await web_of(request).services.room.crowding(visitor.actor),
        "what_to_do": OPERATORS_WAY_OUT,
        "machines": await operations.machines(visitor.actor),
        "orphans": await operations.orphans(visitor.actor),
        "cost": await costs.report(visitor.actor) if costs.billed else None,
        "errors": errors or {},
    }
    return render(request, "admin_pool.html", status=status, **context)


async def _users(
    request: Request,
    visitor: Visitor,
    *,
    status: int = 200,
    email: str = "",
    errors: dict[str, str] | None = None,
    link: str | None = None,
    link_for: str = "",
) -> Response:
    users = await web_of(request).services.accounts.users(visitor.actor)
    context: dict[str, Any] = {"users": users, "email": email, "errors": errors or {}}
    return render(request, "admin_users.html", status=status, link=link, link_for=link_for, **context)


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 6:
        raise InvalidInput(FieldProblem("spares", "Give a whole number."))
    return int(text)
