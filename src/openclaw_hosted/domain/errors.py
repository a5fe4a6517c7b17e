"""The few errors that cross a port, and those that the domain itself raises.

A docstring's first line is the message when none is given.
"""

from __future__ import annotations

from dataclasses import dataclass

from openclaw_hosted.domain.quota import Quota


class OpenClawHostedError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


class PortError(OpenClawHostedError):
    """A provider could not do what was asked of it."""


class NoCapacity(PortError):
    """The provider has no room for another machine now."""


class NotFound(PortError):
    """The thing asked for does not exist."""


class Throttled(PortError):
    """The provider asked for fewer calls; try again later."""


class Denied(PortError):
    """The provider refused: a permission or a token is missing."""


class Conflict(PortError):
    """What exists contradicts what was asked for; nothing was changed."""


class Unavailable(PortError):
    """No answer came, so the effect is unknown; asking again is safe."""


class NoRoom(Unavailable):
    """The platform's disk is full, so nothing can be saved. Its operator has to free room on it; then it goes on by itself."""


class TakesNoWrites(Unavailable):
    """The database is read-only, so nothing can be saved. It goes on by itself once the database takes writes again."""


class ProviderAway(Unavailable):
    """The provider itself does not answer: no fault of one machine, and over once it does."""


class GatewayRejectedSettings(PortError):
    """OpenClaw refused to start with these settings (exit code 78); starting it again will not help."""


class IllegalTransition(OpenClawHostedError):
    """A state machine was asked for a transition that its table does not have."""


class LeaseLost(OpenClawHostedError):
    """The row was taken over by someone else, so this result is dropped."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with a request: which field, what is wrong, and the way out."""

    field: str
    message: str


class InvalidInput(OpenClawHostedError):
    """The request is not valid."""

    def __init__(self, *problems: FieldProblem) -> None:
        super().__init__("; ".join(f"{p.field}: {p.message}" for p in problems))
        self.problems = problems


class NotAllowed(OpenClawHostedError):
    """This account may not do that."""


class LimitReached(OpenClawHostedError):
    """A limit of this platform is reached."""

    def __init__(self, message: str | None = None, quota: Quota | None = None) -> None:
        """`quota` is given where waiting helps."""
        super().__init__(message)
        self.quota = quota


class RevisionMoved(OpenClawHostedError):
    """It was changed meanwhile; look at it again, then repeat your change."""


class StateConflict(OpenClawHostedError):
    """The thing is not in a state in which this can be done."""
