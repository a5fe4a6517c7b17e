"""Operators' pages: the pool and its machines, all instances, users, events."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput, StateConflict
from openclaw_hosted.domain.naming import UserId
from openclaw_hosted.domain.room import OPERATORS_WAY_OUT
from openclaw_hosted.services.operations import require_admin
from openclaw_hosted.web.context import link_start, web_of
from openclaw_hosted.web.errors import STATUS
from openclaw_hosted.web.forms import by_field, text_of
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.security import AdminVisitor, ConfirmedForm, VisitorForm, visitor_of

router = APIRouter(prefix="/admin", include_in_schema=False)
EVENTS_PER_PAGE = 100


@router.get("")
async def pool_page(request: Request, visitor: AdminVisitor) -> Response:
    """The pool and its machines."""
    del visitor
    return await _pool(request)


@router.post("/pool/{action}")
async def change_pool(request: Request, form: VisitorForm, action: str) -> Response:
    """Pause, resume or replenish the pool, or set how many spares it keeps."""
    user = visitor_of(request).user
    require_admin(user)
    operations = web_of(request).services.operations
    try:
        match action:
            case "pause":
                await operations.pause_pool(user)
            case "resume":
                await operations.resume_pool(user)
            case "replenish":
                await operations.replenish()
            case "spares":
                await operations.set_spares(_number(text_of(form, "spares")), user)
            case _:
                raise InvalidInput(FieldProblem("action", "There is no such action."))
    except InvalidInput as error:
        return await _pool(request, status=422, errors=by_field(error.problems))
    return RedirectResponse("/admin", 303)


@router.post("/machines/{machine_id}/retire")
async def retire_machine(request: Request, form: VisitorForm, machine_id: str) -> Response:
    """Terminate a spare."""
    del form
    require_admin(visitor_of(request).user)
    await web_of(request).services.operations.retire_spare(machine_id)
    return RedirectResponse("/admin", 303)


@router.get("/instances")
async def all_instances_page(request: Request, visitor: AdminVisitor) -> Response:
    """All users' instances."""
    del visitor
    services = web_of(request).services
    owners = {user.id: user.email for user in await services.accounts.users()}
    instances, more = await services.operations.instances()
    return render(request, "admin_instances.html", instances=instances, more=more, owners=owners)


@router.get("/users")
async def users_page(request: Request, visitor: AdminVisitor) -> Response:
    """All accounts."""
    del visitor
    return await _users(request)


@router.post("/users/invite")
async def invite_user(request: Request, form: ConfirmedForm) -> Response:
    """Make an invitation and show its link, this once."""
    require_admin(visitor_of(request).user)
    web, email = web_of(request), text_of(form, "email")
    role = Role.ADMIN if text_of(form, "role") == Role.ADMIN else Role.USER
    try:
        secret = await web.services.accounts.invite(email, role)
    except InvalidInput as error:
        return await _users(request, status=422, email=email, errors=by_field(error.problems))
    except StateConflict as error:
        return await _users(request, status=STATUS[StateConflict], email=email, errors={"email": str(error)})
    return await _users(request, link=f"{link_start(request)}/invite/{secret}", link_for=email)


@router.post("/users/{user_id}/reset-link")
async def reset_user(request: Request, form: ConfirmedForm, user_id: str) -> Response:
    """Make a link with which an account's password is set anew, and show it, this once."""
    del form
    require_admin(visitor_of(request).user)
    web = web_of(request)
    secret = await web.services.accounts.reset_link(UserId(user_id))
    return await _users(request, link=f"{link_start(request)}/reset/{secret}", link_for="this account")


@router.post("/users/{user_id}/{action}")
async def change_user(request: Request, form: VisitorForm, user_id: str, action: str) -> Response:
    """Disable or enable an account."""
    del form
    require_admin(visitor_of(request).user)
    accounts = web_of(request).services.accounts
    if action not in ("disable", "enable"):
        raise InvalidInput(FieldProblem("action", "There is no such action."))
    await accounts.set_disabled(UserId(user_id), disabled=action == "disable")
    return RedirectResponse("/admin/users", 303)


@router.get("/events")
async def events_page(request: Request, visitor: AdminVisitor, before: Annotated[int | None, Query(ge=0, le=2**53)] = None) -> Response:
    """What happened, newest first."""
    del visitor
    services = web_of(request).services
    events = await services.operations.events(before_id=before, limit=EVENTS_PER_PAGE)
    people = {user.id: user.email for user in await services.accounts.users()}
    older = events[-1].id if len(events) == EVENTS_PER_PAGE else None
    return render(request, "admin_events.html", events=events, people=people, older=older)


async def _pool(request: Request, *, status: int = 200, errors: dict[str, str] | None = None) -> Response:
    operations = web_of(request).services.operations
    costs = web_of(request).services.costs
    context: dict[str, Any] = {
        "pool": await operations.pool(),
        "crowding": await web_of(request).services.room.crowding(),
        "what_to_do": OPERATORS_WAY_OUT,
        "machines": await operations.machines(),
        "cost": await costs.report() if costs.billed else None,
        "errors": errors or {},
    }
    return render(request, "admin_pool.html", status=status, **context)


async def _users(
    request: Request,
    *,
    status: int = 200,
    email: str = "",
    errors: dict[str, str] | None = None,
    link: str | None = None,
    link_for: str = "",
) -> Response:
    context: dict[str, Any] = {"users": await web_of(request).services.accounts.users(), "email": email, "errors": errors or {}}
    return render(request, "admin_users.html", status=status, link=link, link_for=link_for, **context)


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 6:
        raise InvalidInput(FieldProblem("spares", "Give a whole number."))
    return int(text)
