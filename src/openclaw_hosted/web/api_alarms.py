"""The API of alarms. Admins only."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from openclaw_hosted.domain.alarms import AlarmGauge, Told
from openclaw_hosted.services.alarms import AlarmView
from openclaw_hosted.web.api_instances import problems
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.language import instant
from openclaw_hosted.web.security import Caller, require_admin_caller

router = APIRouter(prefix="/api/v1", tags=["operations"], dependencies=[Depends(require_admin_caller)], responses=problems(400, 401, 403))


class AlarmOut(BaseModel):
    """One alarm, and how it is."""

    name: str
    what: Annotated[str, Field(description="What is so while it is on.")]
    on: bool
    began_at: Annotated[datetime | None, Field(description="When it was on last, or has been on since.")]
    ended_at: datetime | None
    gauge: Annotated[AlarmGauge | None, Field(description="What is measured; null where only CloudWatch can judge it.")]
    value: Annotated[float | None, Field(description="As measured last.")]
    limit: Annotated[float | None, Field(description="From where on it is on; null where it never is here.")]
    below: Annotated[bool, Field(description="Whether it is on below the limit.")]
    about: Annotated[str, Field(description="What it counts, such as the first few instances.")]
    runbook: str
    told: Annotated[dict[str, Told], Field(description="What each channel heard of the newest time that it was on.")]


class AlarmList(BaseModel):
    """All alarms, those that are on first, and who is told."""

    items: list[AlarmOut]
    channels: list[str]


class ChannelTry(BaseModel):
    """What came of a test message."""

    channel: str
    problem: Annotated[str | None, Field(description="Null where it was told.")]


class ChannelTries(BaseModel):
    """A test message to each channel."""

    items: list[ChannelTry]


@router.get("/alarms")
async def list_alarms(request: Request, caller: Caller) -> AlarmList:
    """All alarms, those that are on first."""
    alarms = web_of(request).services.alarms
    return AlarmList(items=[_out(view) for view in await alarms.list(caller)], channels=list(alarms.channels(caller)))


@router.post("/alarms/test")
async def test_alarms(request: Request, caller: Caller) -> ChannelTries:
    """Send a test message to all who are told of alarms."""
    answers = await web_of(request).services.alarms.try_channels(caller)
    return ChannelTries(items=[ChannelTry(channel=name, problem=problem) for name, problem in answers.items()])


def _out(view: AlarmView) -> AlarmOut:
    alarm, state = view.alarm, view.state
    began, ended = state.began_at, state.ended_at
    return AlarmOut(
        name=alarm.name, what=alarm.what, on=state.is_on, began_at=None if began is None else instant(began),
        ended_at=None if ended is None else instant(ended), gauge=alarm.gauge,
        value=state.value, limit=view.limit, below=alarm.below, about=state.about, runbook=alarm.runbook, told=dict(state.told),
    )  # fmt: skip
