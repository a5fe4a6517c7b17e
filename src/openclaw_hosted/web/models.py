"""What the shapes of the API share. Nothing that goes out has a place for a credential, but for links and tokens made just now."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from openclaw_hosted.web.language import instant

NAME_INPUT_MAX_LENGTH = 1000


class Input(BaseModel):
    """A request's body: unknown fields are refused, and an error never repeats what was sent."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Lines(BaseModel):
    """Log lines, oldest first."""

    lines: list[str]


class Link(BaseModel):
    """A link that works once: treat it as a credential."""

    url: str


class ProblemField(BaseModel):
    """One thing wrong with a request."""

    field: str
    message: str


class ProblemOut(BaseModel):
    """Problem details, RFC 9457."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str
    errors: list[ProblemField] = []
    request_id: Annotated[
        str | None, Field(description="Where the platform could not do it (5xx): the id under which its log has the request.")
    ] = None


def moment(at: float | None) -> datetime | None:
    """A time that may not be there."""
    return None if at is None else instant(at)
