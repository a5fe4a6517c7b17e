"""The API of accounts: oneself, one's tokens, and for admins all users."""

from __future__ import annotations

from fastapi import APIRouter, Request

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.naming import UserId, clean_display_name
from openclaw_hosted.services.accounts import digest
from openclaw_hosted.web.api_instances import problems
from openclaw_hosted.web.context import Web, link_start, web_of
from openclaw_hosted.web.models import InviteIn, Link, TokenCreate, TokenList, TokenMade, TokenOut, UserList, UserOut, user_out
from openclaw_hosted.web.rendering import instant
from openclaw_hosted.web.security import AdminCaller, Caller, ConfirmedAdmin, ConfirmedCaller

router = APIRouter(prefix="/api/v1", tags=["accounts"], responses=problems(400, 401, 403, 404, 409, 413, 415, 422))


@router.get("/me")
async def me(caller: Caller) -> UserOut:
    """Whose token this is."""
    return user_out(caller)


@router.get("/tokens")
async def list_tokens(request: Request, caller: Caller) -> TokenList:
    """The caller's API tokens, without their secrets."""
    tokens = await web_of(request).services.accounts.tokens_of(caller)
    return TokenList(items=[TokenOut(id=token_id, label=label, created_at=instant(at)) for token_id, label, at in tokens])


@router.post("/tokens", status_code=201)
async def create_token(request: Request, caller: ConfirmedCaller, body: TokenCreate) -> TokenMade:
    """A new token; its secret is answered this once."""
    label = clean_display_name(body.label, "label")
    secret = await web_of(request).services.accounts.create_token(caller, label)
    return TokenMade(id=digest(secret)[:12], label=label, token=secret)


@router.delete("/tokens/{token_id}", status_code=204)
async def revoke_token(request: Request, caller: Caller, token_id: str) -> None:
    """Make one of the caller's tokens useless."""
    await web_of(request).services.accounts.revoke_token(caller, token_id)


@router.get("/users")
async def list_users(request: Request, caller: AdminCaller) -> UserList:
    """All accounts."""
    del caller
    return UserList(items=[user_out(user) for user in await web_of(request).services.accounts.users()])


@router.post("/users/invite", status_code=201)
async def invite_user(request: Request, caller: ConfirmedAdmin, body: InviteIn) -> Link:
    """A one-time link with which the invited person joins, answered this once."""
    del caller
    web = web_of(request)
    return Link(url=f"{link_start(request)}/invite/{await web.services.accounts.invite(body.email, body.role)}")


@router.post("/users/{user_id}/disable")
async def disable_user(request: Request, caller: AdminCaller, user_id: str) -> UserOut:
    """Shut a user out at once; their instances run on."""
    del caller
    return await _set_disabled(web_of(request), user_id, disabled=True)


@router.post("/users/{user_id}/enable")
async def enable_user(request: Request, caller: AdminCaller, user_id: str) -> UserOut:
    """Let a user in again."""
    del caller
    return await _set_disabled(web_of(request), user_id, disabled=False)


@router.post("/users/{user_id}/reset-link", status_code=201)
async def reset_user(request: Request, caller: ConfirmedAdmin, user_id: str) -> Link:
    """A one-time link with which a user sets another password, answered this once."""
    del caller
    web = web_of(request)
    return Link(url=f"{link_start(request)}/reset/{await web.services.accounts.reset_link(UserId(user_id))}")


async def _set_disabled(web: Web, user_id: str, *, disabled: bool) -> UserOut:
    accounts = web.services.accounts
    await accounts.set_disabled(UserId(user_id), disabled=disabled)
    return user_out(await _user_by_id(web, user_id))


async def _user_by_id(web: Web, user_id: str) -> User:
    return next(user for user in await web.services.accounts.users() if user.id == user_id)
