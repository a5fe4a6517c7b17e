"""Who asked for something, and by which way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.errors import NotAllowed
from openclaw_hosted.domain.naming import UserId


class Party(StrEnum):
    """Who acts without an account. No user's id is one of these."""

    PLATFORM = "platform"
    """Its own loops."""
    SETUP = "set-up"
    """The start of a platform, which makes the first account."""
    OPERATOR = "operator"
    """Whoever may write the data directory, before there is an account."""
    STRANGER = "stranger"
    """Whoever has not proved who they are."""


class Via(StrEnum):
    """The way by which somebody asked."""

    PAGE = "page"
    API = "api"
    COMMAND_LINE = "command_line"
    """A command on the platform's own computer; one elsewhere uses the API."""
    SERVICE = "service"
    """None of these: a part of the platform acted by itself."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for something. `role` is as it was at that moment, None for a stranger; `address` is where the request came from on the
    network, None where it came from no network."""

    id: UserId | Party
    role: Role | None
    via: Via
    address: str | None = None

    @property
    def user_id(self) -> UserId:
        """The account that acts. Raises `NotAllowed` for a party without one: it owns nothing."""
        if isinstance(self.id, Party):
            raise NotAllowed("This takes an account. Sign in first.")
        return self.id

    def proved(self, user: User) -> Actor:
        """The same, now that they proved to be this user."""
        return replace(self, id=user.id, role=user.role)


PLATFORM: Final = Actor(Party.PLATFORM, Role.ADMIN, Via.SERVICE)
SETUP: Final = Actor(Party.SETUP, Role.ADMIN, Via.SERVICE)


def require_admin(actor: Actor) -> None:
    """Raise `NotAllowed` for all but admins."""
    if actor.role is not Role.ADMIN:
        raise NotAllowed("Only an admin may do this.")
