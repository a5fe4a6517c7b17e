"""Operators' page of accounts."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput, StateConflict
from openclaw_hosted.domain.listing import Order
from openclaw_hosted.domain.naming import UserId
from openclaw_hosted.web.console.lists import PER_PAGE
from openclaw_hosted.web.console.queries import ORDER_WORDS, listing_of, user_search
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
    require_admin_visitor,
    visitor_of,
)

router = APIRouter(prefix="/admin", include_in_schema=False, dependencies=[Depends(require_admin_visitor)])
ORDERS: Final = {order: ORDER_WORDS[order] for order in (Order.NAME, Order.NEWEST, Order.OLDEST)}


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
    listing = listing_of(request, "/admin/users", "q", "role")
    page = await web_of(request).services.console.users(visitor.actor, user_search(listing), PER_PAGE, listing.after)
    context: dict[str, Any] = {"page": page, "listing": listing, "orders": ORDERS, "email": email, "errors": errors or {}}
    return render(request, "admin_users.html", status=status, link=link, link_for=link_for, **context)
