"""The API for operators: machines, the pool, costs, events. Admins only."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from openclaw_hosted.domain.listing import SEARCH_LENGTH, MachineSearch
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.web.api_instances import PAGE_MAX, problems
from openclaw_hosted.web.console.queries import AFTER_LENGTH
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.models_cost import CostOut, cost_out
from openclaw_hosted.web.models_events import EventList, event_out
from openclaw_hosted.web.models_operations import (
    MachineList,
    MachineOut,
    NoticeIn,
    OrphanList,
    OrphanName,
    PoolOut,
    PoolPatch,
    RoomOut,
    machine_out,
    orphan_out,
    pool_out,
    room_out,
)
from openclaw_hosted.web.security import CONFIRMED_CALLER, Caller, require_admin_caller

NO_NUL = r"^[^\x00]*$"
router = APIRouter(
    prefix="/api/v1",
    tags=["operations"],
    dependencies=[Depends(require_admin_caller)],
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422),
)


@router.get("/machines")
async def list_machines(
    request: Request,
    caller: Caller,
    include_terminated: bool = False,
    state: Annotated[MachineState | None, Query(description="Only those in this state.")] = None,
    search: Annotated[
        str, Query(max_length=SEARCH_LENGTH, pattern=NO_NUL, description="Part of an id, an instance's id, the provider's name or a zone.")
    ] = "",
    after: Annotated[str | None, Query(max_length=AFTER_LENGTH, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
) -> MachineList:
    """The machines that exist, or with `include_terminated` all that are kept for the record, newest first."""
    states = frozenset(MachineState) if include_terminated else frozenset[MachineState]()
    wanted = MachineSearch(search.strip(), states if state is None else frozenset({state}))
    page = await web_of(request).services.console.machines(caller, wanted, limit, after)
    return MachineList(items=[machine_out(machine) for machine in page.items], next=page.after)


@router.get("/machines/{machine_id}")
async def get_machine(request: Request, caller: Caller, machine_id: str) -> MachineOut:
    """One machine."""
    return machine_out(await web_of(request).services.operations.machine(caller, machine_id))


@router.post("/machines/{machine_id}/retire", status_code=202)
async def retire_machine(request: Request, caller: Caller, machine_id: str) -> MachineOut:
    """Terminate a spare; the pool launches another."""
    return machine_out(await web_of(request).services.operations.retire_spare(caller, machine_id))


@router.post("/machines/{machine_id}/notices", status_code=202)
async def give_notice(request: Request, caller: Caller, machine_id: str, body: NoticeIn) -> MachineOut:
    """Have an instance moved off a machine, or a spare replaced, as if the machine were taken away."""
    return machine_out(await web_of(request).services.operations.give_notice(caller, machine_id, body.kind))


@router.get("/orphans")
async def list_orphans(request: Request, caller: Caller) -> OrphanList:
    """What exists at the provider without a row, and is kept: in doubt nothing is removed."""
    return OrphanList(items=[orphan_out(orphan) for orphan in await web_of(request).services.operations.orphans(caller)])


@router.post("/orphans/remove", status_code=202, dependencies=[CONFIRMED_CALLER])
async def remove_orphan(request: Request, caller: Caller, body: OrphanName) -> None:
    """Have one removed for good, with the data that it may hold."""
    await web_of(request).services.operations.release_orphan(caller, body.name)


@router.get("/pool")
async def get_pool(request: Request, caller: Caller) -> PoolOut:
    """The pool now."""
    return pool_out(await web_of(request).services.operations.pool(caller))


@router.get("/room")
async def get_room(request: Request, caller: Caller) -> RoomOut:
    """Who fills the disk that volumes share, once it is nearly full. Looked at once a minute at most."""
    return room_out(await web_of(request).services.room.crowding(caller))


@router.patch("/pool")
async def change_pool(request: Request, caller: Caller, body: PoolPatch) -> PoolOut:
    """Keep so many spares from now on, no more than the fleet's cap, or as many as the settings say."""
    operations = web_of(request).services.operations
    if body.spares is None:
        await operations.follow_settings(caller)
    else:
        await operations.set_spares(caller, body.spares)
    return pool_out(await operations.pool(caller))


@router.post("/pool/pause")
async def pause_pool(request: Request, caller: Caller) -> PoolOut:
    """Launch no more machines until resumed."""
    operations = web_of(request).services.operations
    await operations.pause_pool(caller)
    return pool_out(await operations.pool(caller))


@router.post("/pool/resume")
async def resume_pool(request: Request, caller: Caller) -> PoolOut:
    """Launch again, and forget earlier failures."""
    operations = web_of(request).services.operations
    await operations.resume_pool(caller)
    return pool_out(await operations.pool(caller))


@router.post("/pool/replenish")
async def replenish_pool(request: Request, caller: Caller) -> PoolOut:
    """Have the pool look at once whether it needs machines."""
    operations = web_of(request).services.operations
    await operations.replenish(caller)
    return pool_out(await operations.pool(caller))


@router.get("/cost")
async def get_cost(request: Request, caller: Caller) -> CostOut:
    """What exists, and what it costs in a month."""
    return cost_out(await web_of(request).services.costs.report(caller))


@router.get("/events")
async def list_events(
    request: Request,
    caller: Caller,
    instance_id: Annotated[str | None, Query(max_length=60)] = None,
    machine_id: Annotated[str | None, Query(max_length=60)] = None,
    before_id: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> EventList:
    """The newest events first."""
    services = web_of(request).services
    events = await services.operations.events(caller, instance_id=instance_id, machine_id=machine_id, before_id=before_id, limit=limit)
    people = await services.accounts.emails(caller)
    return EventList(items=[event_out(event, people) for event in events])
