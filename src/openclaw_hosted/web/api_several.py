"""The API of one action on several machines or instances. Admins only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field, StrictBool, StrictStr

from openclaw_hosted.services.several import ID_LENGTH, MOST, Action, Chosen
from openclaw_hosted.web.api_instances import problems
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.models import Input
from openclaw_hosted.web.security import Caller, require_admin_caller

router = APIRouter(
    prefix="/api/v1", tags=["operations"], dependencies=[Depends(require_admin_caller)], responses=problems(400, 401, 403, 413, 415, 422)
)


class SeveralIn(Input):
    """What to do to which."""

    action: Annotated[
        Action,
        Field(
            description="Of machines: `drain` moves each instance, then ends its machine; `retire` ends spares."
            " Of instances: `retry` starts again or restarts; `hold` stops trying to place."
        ),
    ]
    ids: Annotated[list[Annotated[StrictStr, Field(max_length=ID_LENGTH)]], Field(min_length=1, max_length=MOST)]
    dry_run: Annotated[StrictBool, Field(description="Say what would be done, and change nothing.")] = False


class ChosenOut(BaseModel):
    """What became of one, or would."""

    id: str
    instance_id: Annotated[str | None, Field(description="The instance that is meant, or is on the machine.")]
    instance_name: str | None
    owner: Annotated[str | None, Field(description="E-mail address.")]
    problem: Annotated[str | None, Field(description="Why it was not done, or could not be; null where it was, or could be.")]


class SeveralOut(BaseModel):
    """Each of them, in the order of the request."""

    items: list[ChosenOut]


@router.post("/several")
async def act_on_several(request: Request, caller: Caller, body: SeveralIn) -> SeveralOut:
    """Do one thing to several machines or instances. One that fails keeps none of the others from being done."""
    several = web_of(request).services.several
    chosen = await (several.preview if body.dry_run else several.carry_out)(caller, body.action, body.ids)
    return _out(chosen)


def _out(chosen: Sequence[Chosen]) -> SeveralOut:
    return SeveralOut(
        items=[
            ChosenOut(
                id=each.id,
                instance_id=each.instance.id if each.instance else None,
                instance_name=each.instance.name if each.instance else None,
                owner=each.owner or None,
                problem=each.problem,
            )
            for each in chosen
        ]
    )
