"""The API of the operator's console: is all well, how did it go, and what is done to an instance that is not one's own. Admins only."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from openclaw_hosted.domain.alarms import AlarmState
from openclaw_hosted.domain.findings import FindingKind, Severity
from openclaw_hosted.domain.history import Bucket, Count, Gauge, together
from openclaw_hosted.domain.instance import StepName
from openclaw_hosted.domain.measures import Durations
from openclaw_hosted.domain.words import STEP_WORDS, legend
from openclaw_hosted.services.console import MonthCost, Range
from openclaw_hosted.web.api_instances import problems
from openclaw_hosted.web.console.overview import look, runbooks_of
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.language import instant
from openclaw_hosted.web.models_instances import InstanceOut, instance_out
from openclaw_hosted.web.security import Caller, require_admin_caller

router = APIRouter(
    prefix="/api/v1", tags=["operations"], dependencies=[Depends(require_admin_caller)], responses=problems(400, 401, 403, 404, 409, 422)
)


class AlarmOnOut(BaseModel):
    """An alarm that is on."""

    name: str
    began_at: datetime
    well_since: Annotated[datetime | None, Field(description="Since when its condition has not held; it ends after five minutes of that.")]


class MonthCostOut(BaseModel):
    """The cost of the present month against the budget."""

    spent_usd: Annotated[float, Field(description="Since the month began (UTC), estimated, as far as the platform kept it.")]
    budget_usd: float
    usd_per_month: Annotated[float | None, Field(description="What exists now, for a whole month; null before the first look.")]


class FindingOut(BaseModel):
    """One thing that is wrong."""

    kind: FindingKind
    severity: Severity
    text: str
    about: Annotated[str | None, Field(description="The id of what it is about, if that is one thing.")]
    runbook: Annotated[str | None, Field(description="The name of a page of docs/runbooks.")]
    alarms: Annotated[list[AlarmOnOut], Field(description="Those that are on about it; each has a runbook of its name.")]


class OverviewOut(BaseModel):
    """The platform now."""

    at: datetime
    severity: Annotated[Severity | None, Field(description="Null where all is well.")]
    sentence: str
    findings: Annotated[list[FindingOut], Field(description="The worst first.")]
    cost: Annotated[MonthCostOut | None, Field(description="Null without a budget.")]


class LevelOut(BaseModel):
    """What a gauge stood at."""

    mean: float
    lowest: float
    highest: float


class StepTimesOut(BaseModel):
    """How long a step took that succeeded."""

    count: int
    total_seconds: float
    p50_seconds: Annotated[float | None, Field(description="Half of them ended within this.")]
    p95_seconds: float | None


class CallsOut(BaseModel):
    """Calls to the cloud of one kind."""

    made: Annotated[int, Field(description="All, repetitions included.")]
    errors: Annotated[int, Field(description="Refused, or without an answer; those that were throttled are not among them.")]
    throttled: int


class StretchOut(BaseModel):
    """What is known of one stretch of time; what nothing is known of is left out."""

    start: datetime
    gauges: dict[Gauge, LevelOut]
    counts: dict[Count, int]
    latency_p50_seconds: Annotated[float | None, Field(description="Half of the new instances ran within this; null without any.")]
    latency_p95_seconds: float | None
    steps: Annotated[dict[StepName, StepTimesOut], Field(description=legend(STEP_WORDS))]
    calls: Annotated[dict[str, CallsOut], Field(description="By service and operation, such as `ec2:CreateFleet`.")]


class HistoryOut(BaseModel):
    """How it went, oldest first; the newest stretch is not over yet."""

    step_seconds: int
    items: list[StretchOut]
    whole: Annotated[StretchOut, Field(description="All of it together.")]


@router.get("/overview")
async def get_overview(request: Request, caller: Caller) -> OverviewOut:
    """Is all well?"""
    now = await look(web_of(request), caller)
    found = [
        FindingOut(
            kind=each.kind,
            severity=each.severity,
            text=each.text,
            about=each.about or None,
            runbook=next(iter(runbooks_of(each)), None),
            alarms=[_on(state) for state in each.alarms],
        )
        for each in now.findings
    ]
    return OverviewOut(at=instant(now.at), severity=now.severity, sentence=now.sentence, findings=found, cost=_cost(now.cost))


@router.get("/history")
async def get_history(
    request: Request, caller: Caller, back: Annotated[Literal["1h", "24h", "7d", "90d"], Query(alias="range")] = "24h"
) -> HistoryOut:
    """How it went: spares, instances, creates, waits, trouble, costs, the steps of placements, calls to the cloud."""
    asked = next(each for each in Range if each.label == back)
    series = await web_of(request).services.console.series(caller, asked)
    whole = _stretch(series[0][0], together(bucket for _, bucket in series))
    return HistoryOut(step_seconds=asked.seconds, items=[_stretch(start, bucket) for start, bucket in series], whole=whole)


@router.post("/instances/{instance_id}/retry", status_code=202)
async def retry_instance(request: Request, caller: Caller, instance_id: str) -> InstanceOut:
    """Retry any user's instance that has failed, or restart one that runs."""
    services = web_of(request).services
    retried = await services.console.retry(caller, instance_id)
    return instance_out(retried, services.instances.url(retried.id))


@router.post("/instances/{instance_id}/hold", status_code=202)
async def hold_instance(request: Request, caller: Caller, instance_id: str) -> InstanceOut:
    """Stop trying to place any user's instance, until somebody has it retried."""
    services = web_of(request).services
    held = await services.console.hold(caller, instance_id)
    return instance_out(held, services.instances.url(held.id))


def _on(state: AlarmState) -> AlarmOnOut:
    well = None if state.well_since is None else instant(state.well_since)
    return AlarmOnOut(name=state.name, began_at=instant(state.began_at or 0.0), well_since=well)


def _cost(cost: MonthCost | None) -> MonthCostOut | None:
    if cost is None:
        return None
    return MonthCostOut(spent_usd=round(cost.spent_usd, 2), budget_usd=cost.budget_usd, usd_per_month=cost.usd_per_month)


def _stretch(start: int, bucket: Bucket) -> StretchOut:
    levels = {gauge: LevelOut(mean=level.mean, lowest=level.lowest, highest=level.highest) for gauge, level in bucket.gauges.items()}
    return StretchOut(
        start=instant(start),
        gauges=levels,
        counts=dict(bucket.counts),
        latency_p50_seconds=bucket.quantile(0.5),
        latency_p95_seconds=bucket.quantile(0.95),
        steps={step: _times(took) for step, took in bucket.steps.items()},
        calls={name: CallsOut(made=each.made, errors=each.failed, throttled=each.throttled) for name, each in bucket.calls.items()},
    )


def _times(took: Durations) -> StepTimesOut:
    return StepTimesOut(
        count=took.count, total_seconds=took.milliseconds / 1000, p50_seconds=took.within(0.5), p95_seconds=took.within(0.95)
    )
