"""The shapes of the API in which costs go out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from pydantic import BaseModel, Field

from openclaw_hosted.domain.prices import Component
from openclaw_hosted.services.costs import CostReport


class CostLine(BaseModel):
    """What one component costs in a month."""

    component: Component
    detail: str
    usd: float


class EstimateOut(BaseModel):
    """US dollars for a month of 730 hours; an estimate from list prices, no invoice."""

    users: int
    lines: list[CostLine]
    total_usd: float
    per_user_usd: Annotated[float | None, Field(description="Null where there is no user.")]
    note: str | None


class HoldingsOut(BaseModel):
    """What exists, counted by kind."""

    machines: int
    volumes: int
    secrets: int
    routes: int
    instances: int


class CostOut(BaseModel):
    """What exists, what it costs, and what it would cost with all spares."""

    holdings: HoldingsOut
    spares: int
    now: Annotated[EstimateOut | None, Field(description="Null where machines cost nothing.")]
    projection: Annotated[EstimateOut, Field(description="As many users with all spares that are wanted, on AWS.")]


def cost_out(report: CostReport) -> CostOut:
    """Costs as the API tells them."""
    return CostOut.model_validate(asdict(report))
