"""Requests of commands on this computer: they act as the first admin, or as the user whom they name, and need no password.

Which requests these are is decided by the door through which they came, `LocalDoor`, and by nothing that a client sends.
"""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Request
from pydantic import Field, SecretStr, StrictStr
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.actor import Actor, Party, Via
from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.local_socket import ACT_AS, NEEDS_ACCOUNT
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.models import Input
from openclaw_hosted.web.models_accounts import UserOut, user_out

LOCAL: Final = "openclaw_hosted.local"
OPERATOR: Final = Actor(Party.OPERATOR, Role.ADMIN, Via.COMMAND_LINE)
"""Who acts before there is an account; owns nothing."""


class LocalDoor:
    """`app`, for requests of which it is known that they come from whoever may write the data directory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        await self._app({**scope, LOCAL: True}, receive, send)


class AccountIn(Input):
    """An account, made with its password."""

    email: Annotated[StrictStr, Field(max_length=500)]
    password: SecretStr
    role: Role = Role.USER


async def require_local(request: Request) -> None:
    """Answer as if there were no such path to all who come through another door."""
    if not is_local(request):
        raise HTTPException(404)


router = APIRouter(prefix="/api/v1/local", include_in_schema=False, dependencies=[Depends(require_local)])


@router.get("")
async def about(request: Request) -> dict[str, str]:
    """The address that users open, as the platform was started."""
    return {"address": web_of(request).options.addresses.public}


@router.post("/users", status_code=201)
async def create_user(request: Request, body: AccountIn) -> UserOut:
    """Make an account with a password; elsewhere people set their own, by an invitation."""
    accounts = web_of(request).services.accounts
    return user_out(await accounts.create_user(await local_actor(request), body.email, body.password.get_secret_value(), body.role))


def is_local(request: Request) -> bool:
    """Whether the request came through `LocalDoor`."""
    return LOCAL in request.scope


async def local_actor(request: Request) -> Actor:
    """As whom a local request acts. Raises `NotFound` for an unknown user, and where an account is needed and there is none."""
    accounts = web_of(request).services.accounts
    named = request.headers.get(ACT_AS)
    user = await accounts.first_admin() if named is None else await accounts.user_by_email(unquote(named))
    if user is not None:
        request.state.user_id = user.id
        return OPERATOR.proved(user)
    if NEEDS_ACCOUNT in request.headers:
        raise NotFound("There is no account yet. Make one: openclaw-hosted users create EMAIL --admin")
    return OPERATOR
