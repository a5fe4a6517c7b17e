"""Who uses the platform: accounts, their sessions, tokens and invitations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from openclaw_hosted.domain.errors import FieldProblem, InvalidInput
from openclaw_hosted.domain.naming import UserId

EMAIL_MAX_LENGTH = 254
PASSWORD_MIN_LENGTH = 10
PASSWORD_MAX_LENGTH = 200
_EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+")


class Role(StrEnum):
    """What an account may do."""

    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class User:
    """An account. Times are seconds since the epoch."""

    id: UserId
    email: str
    role: Role
    created_at: float
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser. `hash` is the SHA-256 of its cookie, in hexadecimal; the cookie itself is kept nowhere."""

    hash: str
    user_id: UserId
    created_at: float
    expires_at: float
    confirmed_at: float = 0.0
    """When the password was last given."""


class LinkPurpose(StrEnum):
    """What a one-time link is for."""

    SETUP = "setup"
    INVITE = "invite"
    PASSWORD_RESET = "password_reset"


def clean_email(text: str, field: str = "email") -> str:
    """`text` in lower case without blanks; raises `InvalidInput` when it can't be an address."""
    email = text.strip().lower()
    if len(email) > EMAIL_MAX_LENGTH or not _EMAIL.fullmatch(email) or not email.isprintable():
        raise InvalidInput(FieldProblem(field, "Give an e-mail address, such as ada@example.com."))
    return email


def check_password(text: str, field: str = "password") -> None:
    """Raise `InvalidInput` for a password that is too short or too long."""
    if len(text) < PASSWORD_MIN_LENGTH:
        raise InvalidInput(FieldProblem(field, f"Use at least {PASSWORD_MIN_LENGTH} characters."))
    if len(text) > PASSWORD_MAX_LENGTH:
        raise InvalidInput(FieldProblem(field, f"Use at most {PASSWORD_MAX_LENGTH} characters."))
