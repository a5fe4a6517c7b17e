"""The API of accounts: oneself, one's tokens, and for admins all users."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.domain.naming import UserId, clean_display_name
from openclaw_hosted.services.accounts import token_id
from openclaw_hosted.web.api_instances import problems
from openclaw_hosted.web.context import link_start, web_of
from openclaw_hosted.web.language import instant
from openclaw_hosted.web.models import Link
from openclaw_hosted.web.models_accounts import (
    InviteIn,
    MailIn,
    MailOut,
    RoleIn,
    TokenCreate,
    TokenList,
    TokenMade,
    TokenOut,
    UserList,
    UserOut,
    mail_out,
    user_out,
)
from openclaw_hosted.web.security import CONFIRMED_CALLER, Caller, bearer_token, require_admin_caller

router = APIRouter(prefix="/api/v1", tags=["accounts"], responses=problems(400, 401, 403, 404, 409, 413, 415, 422))
users = APIRouter(prefix="/users", dependencies=[Depends(require_admin_caller)])


@router.get("/me")
async def me(request: Request, caller: Caller) -> UserOut:
    """Whose token this is."""
    return user_out(await web_of(request).services.accounts.me(caller))


@router.get("/me/mail")
async def get_mail(request: Request, caller: Caller) -> MailOut:
    """Whether the caller gets news of their instances by e-mail."""
    return mail_out(await web_of(request).services.mail.state(caller))


@router.patch("/me/mail")
async def change_mail(request: Request, caller: Caller, body: MailIn) -> MailOut:
    """Send the caller news of their instances by e-mail, or no more."""
    return mail_out(await web_of(request).services.mail.change(caller, on=body.on))


@router.get("/tokens")
async def list_tokens(request: Request, caller: Caller) -> TokenList:
    """The caller's API tokens, without their secrets."""
    tokens = await web_of(request).services.accounts.tokens(caller)
    return TokenList(items=[TokenOut(id=token_id, label=label, created_at=instant(at)) for token_id, label, at in tokens])


@router.post("/tokens", status_code=201, dependencies=[CONFIRMED_CALLER])
async def create_token(request: Request, caller: Caller, body: TokenCreate) -> TokenMade:
    """A new token; its secret is answered this once."""
    label = clean_display_name(body.label, "label")
    secret = await web_of(request).services.accounts.create_token(caller, label)
    return TokenMade(id=token_id(secret), label=label, token=secret)


@router.delete("/tokens/current", status_code=204)
async def revoke_current_token(request: Request, caller: Caller) -> None:
    """Make the token useless that this request came with."""
    token = bearer_token(request)
    if token is None:
        raise NotFound("This request came without a token.")
    await web_of(request).services.accounts.revoke_token(caller, token_id(token))


@router.delete("/tokens/{token}", status_code=204)
async def revoke_token(request: Request, caller: Caller, token: str) -> None:
    """Make one of the caller's tokens useless, named by its id."""
    await web_of(request).services.accounts.revoke_token(caller, token)


@users.get("")
async def list_users(request: Request, caller: Caller) -> UserList:
    """All accounts."""
    return UserList(items=[user_out(user) for user in await web_of(request).services.accounts.users(caller)])


@users.post("/invite", status_code=201, dependencies=[CONFIRMED_CALLER])
async def invite_user(request: Request, caller: Caller, body: InviteIn) -> Link:
    """A one-time link with which the invited person joins, answered this once."""
    accounts = web_of(request).services.accounts
    return Link(url=f"{link_start(request)}/invite/{await accounts.invite(caller, body.email, body.role)}")


@users.post("/{user_id}/disable")
async def disable_user(request: Request, caller: Caller, user_id: str) -> UserOut:
    """Shut a user out at once; their instances run on."""
    return user_out(await web_of(request).services.accounts.set_disabled(caller, UserId(user_id), disabled=True))


@users.post("/{user_id}/enable")
async def enable_user(request: Request, caller: Caller, user_id: str) -> UserOut:
    """Let a user in again."""
    return user_out(await web_of(request).services.accounts.set_disabled(caller, UserId(user_id), disabled=False))


@users.post("/{user_id}/role", dependencies=[CONFIRMED_CALLER])
async def change_role(request: Request, caller: Caller, user_id: str, body: RoleIn) -> UserOut:
    """Make a user an admin, or an admin a user; sessions, links and tokens end."""
    return user_out(await web_of(request).services.accounts.set_role(caller, UserId(user_id), body.role))


@users.post("/{user_id}/reset-link", status_code=201, dependencies=[CONFIRMED_CALLER])
async def reset_user(request: Request, caller: Caller, user_id: str) -> Link:
    """A one-time link with which a user sets another password, answered this once."""
    accounts = web_of(request).services.accounts
    return Link(url=f"{link_start(request)}/reset/{await accounts.reset_link(caller, UserId(user_id))}")


router.include_router(users)
