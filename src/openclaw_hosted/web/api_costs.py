"""The API of costs beside the report: what machines ran for whom, and what would be cheaper. Admins only."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from openclaw_hosted.services.costs import SECONDS_PER_HOUR
from openclaw_hosted.web.api_instances import problems
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.language import instant
from openclaw_hosted.web.security import Caller, require_admin_caller

router = APIRouter(
    prefix="/api/v1/cost", tags=["operations"], dependencies=[Depends(require_admin_caller)], responses=problems(400, 401, 403, 422)
)


class UseOut(BaseModel):
    """What the machines of one user ran."""

    owner: Annotated[str | None, Field(description="Null for spares, and for machines whose instance has no row any more.")]
    machines: int
    machine_seconds: float
    usd: Annotated[float | None, Field(description="Of the machines alone; null where they cost nothing.")]


class UsageOut(BaseModel):
    """How long machines ran in a month, the longest first."""

    month: str
    since: datetime
    until: datetime
    items: list[UseOut]


class PlanOut(BaseModel):
    """A deployment with all changes up to this one."""

    name: str
    usd: float
    saves_usd: float
    how: Annotated[str | None, Field(description="What to set in Terraform; null where nothing does it today.")]
    gives_up: str
    is_possible: Annotated[bool, Field(description="Whether Terraform makes it today, with all changes before it.")]


class PlanList(BaseModel):
    """The deployment as it is, and with each change on top of those before."""

    items: list[PlanOut]


@router.get("/usage")
async def get_usage(
    request: Request, caller: Caller, month: Annotated[str | None, Query(max_length=10, description="Such as 2026-11.")] = None
) -> UsageOut:
    """How long machines ran in a month, by user, as far as their rows are kept."""
    services = web_of(request).services
    report = await services.costs.usage(caller, month)
    people = await services.accounts.emails(caller)
    price = report.usd_per_hour
    items = [
        UseOut(
            owner=None if use.owner_id is None else people.get(use.owner_id, use.owner_id),
            machines=use.machines,
            machine_seconds=round(use.seconds, 1),
            usd=None if price is None else round(use.seconds / SECONDS_PER_HOUR * price, 4),
        )
        for use in report.uses
    ]
    return UsageOut(month=report.month.name, since=instant(report.month.since), until=instant(report.month.until), items=items)


@router.get("/plans")
async def get_plans(request: Request, caller: Caller, users: Annotated[int, Query(ge=0, le=100_000)] = 10) -> PlanList:
    """What so many users would cost on AWS, and what each change would save and give up."""
    return PlanList(items=[PlanOut(**asdict(plan)) for plan in await web_of(request).services.costs.plans(caller, users)])
