"""Who uses the platform: accounts, their sessions, tokens and invitations."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from openclaw_hosted.domain.errors import FieldProblem, InvalidInput
from openclaw_hosted.domain.naming import UserId
from openclaw_hosted.domain.text import folded, has_invisible, one_line, without_surrogates

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


LINK_ID_LENGTH: Final = 12
"""So much of a link's SHA-256 names it."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """One that nobody has accepted yet. Its link is kept nowhere; `id` names it."""

    id: str
    email: str
    role: Role
    expires_at: float


class Proof(StrEnum):
    """What lets somebody in as a user, besides the password."""

    SESSION = "session"
    """With the grants that it armed."""
    RESET_LINK = "reset_link"
    TOKEN = "token"


class AccountChange(StrEnum):
    """What may happen to an account that has proofs out."""

    PASSWORD_RESET = "password_reset"
    PASSWORD_CHANGED = "password_changed"
    """By the user, who gave the present one."""
    DISABLED = "disabled"
    ENABLED = "enabled"
    ROLE_CHANGED = "role_changed"


ALL_PROOFS: Final = frozenset(Proof)


def ending(change: AccountChange, *, keep_tokens: bool = False) -> frozenset[Proof]:
    """Which proofs end with `change`: all that were given out before it. `keep_tokens` counts for a user's own change of the password
    only, as that user knows what uses them; whoever resets, disables or changes a role may be shutting somebody out."""
    return ALL_PROOFS - {Proof.TOKEN} if keep_tokens and change is AccountChange.PASSWORD_CHANGED else ALL_PROOFS


def fold_email(text: str) -> str:
    """`text` as addresses are kept and looked up: lower case, composed, no blanks around it. It may still be no address."""
    return folded(folded(text).lower())


def clean_email(text: str, field: str = "email") -> str:
    """`text` as `fold_email` has it; raises `InvalidInput` when it can't be an address, or holds what can't be seen."""
    one_line(text, field, EMAIL_MAX_LENGTH)
    email = fold_email(text)
    if len(email) > EMAIL_MAX_LENGTH or not _EMAIL.fullmatch(email) or has_invisible(email):
        raise InvalidInput(FieldProblem(field, "Give an e-mail address, such as ada@example.com."))
    return email


def fold_password(text: str) -> str:
    """`text` in one form (NFKC), so that a password is the same whichever keyboard composed its letters."""
    return unicodedata.normalize("NFKC", text)


def check_password(text: str, field: str = "password") -> None:
    """Raise `InvalidInput` for a password that is too short or too long."""
    length = len(fold_password(text))
    if length < PASSWORD_MIN_LENGTH:
        raise InvalidInput(FieldProblem(field, f"Use at least {PASSWORD_MIN_LENGTH} characters."))
    if length > PASSWORD_MAX_LENGTH:
        raise InvalidInput(FieldProblem(field, f"Use at most {PASSWORD_MAX_LENGTH} characters."))
    if not without_surrogates(text):
        raise InvalidInput(FieldProblem(field, "This holds half of a character; type it once more."))
