"""The shapes of the API about accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StrictBool, StrictStr

from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.services.mail import MailState
from openclaw_hosted.web.models import NAME_INPUT_MAX_LENGTH, Input


class InviteIn(Input):
    """Whom to invite."""

    email: Annotated[StrictStr, Field(max_length=500)]
    role: Role = Role.USER


class RoleIn(Input):
    """What an account may do from now on."""

    role: Role


class TokenCreate(Input):
    """What the token is for."""

    label: Annotated[StrictStr, Field(max_length=NAME_INPUT_MAX_LENGTH, examples=["Laptop"])]


class UserOut(BaseModel):
    """An account."""

    id: str
    email: str
    role: Role
    disabled: bool
    created_at: datetime


class UserList(BaseModel):
    """Accounts, oldest first."""

    items: list[UserOut]


class TokenOut(BaseModel):
    """An API token, without its secret."""

    id: str
    label: str
    created_at: datetime


class TokenList(BaseModel):
    """The caller's tokens."""

    items: list[TokenOut]


class TokenMade(BaseModel):
    """A new token: its secret is shown this once."""

    id: str
    label: str
    token: str


def user_out(user: User) -> UserOut:
    """An account as the API tells it."""
    return UserOut.model_validate(user, from_attributes=True)


class MailIn(Input):
    """Whether to send news by e-mail."""

    on: StrictBool


class MailOut(BaseModel):
    """Whether news is sent by e-mail."""

    on: bool
    possible: Annotated[bool, Field(description="Whether the platform has a mail server.")]


def mail_out(state: MailState) -> MailOut:
    """How it is, as the API tells it."""
    return MailOut(on=state.is_on, possible=state.is_possible)
