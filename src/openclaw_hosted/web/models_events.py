"""The shapes of the API about events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.actor import Via
from openclaw_hosted.domain.events import Event
from openclaw_hosted.web.language import instant
from openclaw_hosted.web.rendering import name_of


class ActorOut(BaseModel):
    """Who caused it."""

    id: Annotated[str, Field(description="Of a user, or the name of a party without an account, such as `platform`.")]
    name: Annotated[str, Field(description="The e-mail address now, or plain words.")]
    role: Annotated[Role | None, Field(description="As it was then; null for whoever was not signed in.")]
    via: Via
    address: Annotated[str | None, Field(description="Where the request came from; null where it came from no network.")]


class EventOut(BaseModel):
    """One thing that happened."""

    id: int | None
    name: str
    at: datetime
    instance_id: str | None
    machine_id: str | None
    user_id: Annotated[str | None, Field(description="Whom it is about.")]
    actor: Annotated[ActorOut | None, Field(description="Null where an earlier version did not keep it.")]
    detail: dict[str, str | int | float]


class EventList(BaseModel):
    """Events, newest first; page on with `before_id`."""

    items: list[EventOut]


def event_out(event: Event, people: Mapping[str, str]) -> EventOut:
    """An event as the API tells it; `people` are e-mail addresses by id."""
    actor = event.actor
    return EventOut(
        id=event.id,
        name=event.name,
        at=instant(event.at),
        instance_id=event.instance_id,
        machine_id=event.machine_id,
        user_id=event.user_id,
        actor=actor and ActorOut(id=actor.id, name=name_of(actor, people), role=actor.role, via=actor.via, address=actor.address),
        detail=dict(event.detail),
    )
