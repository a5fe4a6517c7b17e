"""The shapes of the API about machines, the pool and the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from openclaw_hosted.domain.machine import Machine, MachineFailure, MachineState, Warmth
from openclaw_hosted.domain.notice import NoticeKind
from openclaw_hosted.domain.orphan import Orphan, OrphanState
from openclaw_hosted.ports.volumes import LargeVolume
from openclaw_hosted.services.operations import PoolReport
from openclaw_hosted.web.language import instant
from openclaw_hosted.web.models import Input

SPARES_INPUT_MAX = 10_000


class PoolPatch(Input):
    """What to change about the pool."""

    spares: Annotated[
        Annotated[int, Field(ge=0, le=SPARES_INPUT_MAX, strict=True)] | None,
        Field(description="No more than the fleet's cap; null follows the settings again."),
    ]


class MachineOut(BaseModel):
    """One machine of the fleet."""

    id: str
    state: MachineState
    warmth: Warmth
    image: str
    instance_id: str | None
    provider_ref: str | None
    zone: str
    created_at: datetime
    state_changed_at: datetime
    failure: MachineFailure | None
    notice: Annotated[NoticeKind | None, Field(description="What was said of its end, if anything.")]
    leaves_at: Annotated[datetime | None, Field(description="Until when it serves its instance, which moves to another machine.")]
    error: Annotated[str | None, Field(validation_alias="last_error")]


class NoticeIn(BaseModel):
    """What is said of a machine."""

    kind: Annotated[
        NoticeKind,
        Field(
            description="interruption: taken away in two minutes; rebalance, maintenance: likely or planned to be, and moved in good time;"
            " drain: to be emptied. `ended` only its provider can tell."
        ),
    ]


class OrphanOut(BaseModel):
    """Something that exists at the provider, and that no row stands for."""

    name: Annotated[str, Field(description="A kind and an id, such as `volume vol-7f3k2m9q`.")]
    since: datetime
    state: Annotated[
        OrphanState,
        Field(description="quarantined: removed after a while; held_back: kept until an operator has it removed; released: being removed"),
    ]


class OrphanName(BaseModel):
    """Which orphan is to be removed."""

    name: Annotated[str, Field(min_length=1, max_length=200)]


class OrphanList(BaseModel):
    """Orphans that are kept, the oldest first."""

    items: list[OrphanOut]


class MachineList(BaseModel):
    """Machines, newest first."""

    items: list[MachineOut]
    next: Annotated[str | None, Field(description="Send it as `after` for the machines that follow; null where there are none.")] = None


class PoolOut(BaseModel):
    """The pool at a glance."""

    status: str
    note: str | None
    paused: bool
    available: int
    spares_wanted: int
    policy: Annotated[Literal["fixed", "adaptive"], Field(description="Whether the number of spares follows what was recorded.")]
    waiting_instances: int
    machines: dict[MachineState, int]
    fleet_cap: int
    image: str
    failures_in_row: int
    error: str | None


class LargeVolumeOut(BaseModel):
    """A volume that holds much of the disk that all share."""

    instance_id: str | None
    volume_id: str
    held_bytes: int
    free_bytes: Annotated[int, Field(description="What the disk has left, for all.")]


class RoomOut(BaseModel):
    """Who fills the disk that volumes share, the largest first; nobody while there is room."""

    large: list[LargeVolumeOut]


def machine_out(machine: Machine) -> MachineOut:
    """A machine as the API tells it."""
    return MachineOut.model_validate(machine, from_attributes=True)


def orphan_out(orphan: Orphan) -> OrphanOut:
    """An orphan as the API tells it."""
    return OrphanOut(name=orphan.name, since=instant(orphan.since), state=orphan.state)


def pool_out(report: PoolReport) -> PoolOut:
    """The pool as the API tells it."""
    memory = report.memory
    return PoolOut(
        status=memory.status,
        note=memory.note,
        paused=memory.paused,
        available=report.available,
        spares_wanted=report.spares_wanted,
        policy="adaptive" if report.is_adaptive else "fixed",
        waiting_instances=report.waiting_instances,
        machines=dict(report.machines),
        fleet_cap=report.policy.fleet_cap,
        image=report.policy.image,
        failures_in_row=memory.failures_in_row,
        error=memory.last_error,
    )


def room_out(crowding: Sequence[LargeVolume]) -> RoomOut:
    """The disk as the API tells it."""
    return RoomOut(large=[LargeVolumeOut(**asdict(large)) for large in crowding])
