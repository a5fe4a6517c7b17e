"""The API that says what is wrong with an instance or a machine. Admins only."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from openclaw_hosted.domain.causes import LikelyCause
from openclaw_hosted.domain.diagnosis import Diagnosis, Outcome, Step
from openclaw_hosted.web.api_instances import problems
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.security import Caller, require_admin_caller

router = APIRouter(
    prefix="/api/v1", tags=["operations"], dependencies=[Depends(require_admin_caller)], responses=problems(400, 401, 403, 404, 422)
)


class StepFoundOut(BaseModel):
    """One step of a diagnosis."""

    step: Step
    outcome: Outcome
    reason: str


class DiagnosisOut(BaseModel):
    """What was looked at, and what is likely wrong."""

    subject: str
    state: Annotated[str, Field(description="Its phase, and the last error if it has failed.")]
    findings: list[StepFoundOut]
    cause: Annotated[LikelyCause | None, Field(description="Null where nothing is wrong that can be seen from here.")]
    what: Annotated[str | None, Field(description="The cause, in words.")]
    fix: str | None
    runbook: Annotated[str | None, Field(description="The page of docs/runbooks that says more.")]


@router.get("/instances/{instance_id}/diagnosis")
async def diagnose_instance(request: Request, caller: Caller, instance_id: str) -> DiagnosisOut:
    """Look at everything between an instance's address and its OpenClaw, and name the likely cause."""
    return _out(await web_of(request).services.diagnosis.instance(caller, instance_id))


@router.get("/machines/{machine_id}/diagnosis")
async def diagnose_machine(request: Request, caller: Caller, machine_id: str) -> DiagnosisOut:
    """The same, of a machine, spares included."""
    return _out(await web_of(request).services.diagnosis.machine(caller, machine_id))


def _out(found: Diagnosis) -> DiagnosisOut:
    advice = found.advice
    return DiagnosisOut(
        subject=found.subject,
        state=found.state,
        findings=[StepFoundOut(step=each.step, outcome=each.outcome, reason=each.reason) for each in found.findings],
        cause=found.cause,
        what=advice.what if advice else None,
        fix=advice.fix if advice else None,
        runbook=advice.runbook if advice else None,
    )
