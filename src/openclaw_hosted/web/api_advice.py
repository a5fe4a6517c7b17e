"""The API that says how many spares would have been enough. Admins only."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from openclaw_hosted.domain.adaptive import WeekPlan
from openclaw_hosted.domain.advice import Advice, Replay
from openclaw_hosted.services.advising import sentence
from openclaw_hosted.web.api_instances import problems
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.security import Caller, require_admin_caller

router = APIRouter(prefix="/api/v1", tags=["operations"], dependencies=[Depends(require_admin_caller)], responses=problems(400, 401, 403))


class ReplayOut(BaseModel):
    """What a number of spares would have meant."""

    by_day: int
    by_night: int
    day_begins: Annotated[int, Field(description="An hour in UTC; the day has twelve.")]
    misses: Annotated[int, Field(description="How many users would have found no spare.")]


class AdviceOut(BaseModel):
    """The last seven days, replayed."""

    arrivals: int
    boot_seconds: Annotated[float, Field(description="From launch to ready, as it was seen.")]
    now: ReplayOut
    best: Annotated[ReplayOut, Field(description="The cheapest that would have missed no more.")]
    spares_saved: Annotated[float, Field(description="On average; negative where more are advised.")]
    usd_saved: Annotated[float | None, Field(description="US dollars in those seven days; null where machines cost nothing.")]


class LearnedOut(BaseModel):
    """What was learned of up to four weeks: the plan that POOL_POLICY=adaptive follows."""

    hours: Annotated[list[int], Field(description="Spares in each of the week's 168 hours, from Monday 00:00 UTC.")]
    mean: Annotated[float, Field(description="Spares on average.")]
    refill_seconds: Annotated[float, Field(description="From when a spare is taken until another one is ready.")]
    misses: Annotated[int, Field(description="How many of the last seven days' users would have found no spare.")]


class AdviceAnswer(BaseModel):
    """The last seven days, and what was learned of the weeks before."""

    policy: Annotated[Literal["fixed", "adaptive"], Field(description="What the pool follows.")]
    sentence: Annotated[str | None, Field(description="The advice in words.")]
    advice: Annotated[AdviceOut | None, Field(description="Null where too few users came to say anything.")]
    learned: Annotated[LearnedOut | None, Field(description="Null before two weeks are known.")]


@router.get("/pool/advice")
async def get_advice(request: Request, caller: Caller) -> AdviceAnswer:
    """How many spares would have been enough in the last seven days. It changes nothing."""
    found = await web_of(request).services.advice.week(caller)
    return AdviceAnswer(
        policy="adaptive" if found.is_adaptive else "fixed",
        sentence=sentence(found),
        advice=None if found.advice is None else _advice(found.advice, found.usd_saved),
        learned=None if found.plan is None else _learned(found.plan, found.plan_misses or 0),
    )


def _advice(advice: Advice, usd_saved: float | None) -> AdviceOut:
    return AdviceOut(
        arrivals=advice.arrivals,
        boot_seconds=advice.boot_seconds,
        now=_replay(advice.now),
        best=_replay(advice.best),
        spares_saved=advice.spares_saved,
        usd_saved=None if usd_saved is None else round(usd_saved, 2),
    )


def _learned(plan: WeekPlan, misses: int) -> LearnedOut:
    return LearnedOut(hours=list(plan.from_monday), mean=plan.mean, refill_seconds=plan.refill_seconds, misses=misses)


def _replay(replay: Replay) -> ReplayOut:
    schedule = replay.schedule
    return ReplayOut(by_day=schedule.by_day, by_night=schedule.by_night, day_begins=schedule.day_begins, misses=replay.misses)
