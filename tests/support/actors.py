"""Who asks, in tests."""

from __future__ import annotations

from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.actor import Actor, Party, Via
from openclaw_hosted.domain.naming import UserId

ADDRESS = "192.0.2.7"
STRANGER = Actor(Party.STRANGER, None, Via.PAGE, ADDRESS)


def acting(user: User) -> Actor:
    """This user, signed in on a page."""
    return STRANGER.proved(user)


def acting_as(user_id: UserId) -> Actor:
    """A user of whom no more is known than the id."""
    return Actor(user_id, Role.USER, Via.API)
