"""The shapes of the API about restore points."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from openclaw_hosted.domain.restore_point import Cause, PointState, RestorePoint
from openclaw_hosted.domain.words import CAUSE_WORDS, legend
from openclaw_hosted.web.language import instant


class RestorePointOut(BaseModel):
    """A restore point. `size_bytes` is null while it is being made."""

    id: str
    instance_id: str | None
    """None for an archive that was brought."""
    made_at: datetime
    cause: Annotated[Cause, Field(description=legend(CAUSE_WORDS))]
    state: PointState
    size_bytes: int | None


class RestorePointList(BaseModel):
    """Newest first."""

    items: list[RestorePointOut]


def restore_point_out(point: RestorePoint) -> RestorePointOut:
    """A restore point as the API answers it."""
    instance_id = None if point.owner_id is not None else str(point.instance_id)
    return RestorePointOut(
        id=point.id, instance_id=instance_id, made_at=instant(point.made_at), cause=point.cause, state=point.state,
        size_bytes=point.size_bytes,
    )  # fmt: skip
