"""The API for operators: machines, the pool, costs, events. Admins only."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from openclaw_hosted.web.api_instances import problems
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.models import (
    EventList,
    MachineList,
    MachineOut,
    PoolOut,
    PoolPatch,
    RoomOut,
    event_out,
    machine_out,
    pool_out,
    room_out,
)
from openclaw_hosted.web.models_cost import CostOut, cost_out
from openclaw_hosted.web.security import AdminCaller

router = APIRouter(prefix="/api/v1", tags=["operations"], responses=problems(400, 401, 403, 404, 409, 413, 415, 422))


@router.get("/machines")
async def list_machines(request: Request, caller: AdminCaller, include_terminated: bool = False) -> MachineList:
    """The machines that exist, or with `include_terminated` the newest of all time."""
    del caller
    operations = web_of(request).services.operations
    machines, more = await operations.recent_machines() if include_terminated else (await operations.machines(), False)
    return MachineList(items=[machine_out(machine) for machine in machines], more=more)


@router.get("/machines/{machine_id}")
async def get_machine(request: Request, caller: AdminCaller, machine_id: str) -> MachineOut:
    """One machine."""
    del caller
    return machine_out(await web_of(request).services.operations.machine(machine_id))


@router.post("/machines/{machine_id}/retire", status_code=202)
async def retire_machine(request: Request, caller: AdminCaller, machine_id: str) -> MachineOut:
    """Terminate a spare; the pool launches another."""
    del caller
    return machine_out(await web_of(request).services.operations.retire_spare(machine_id))


@router.get("/pool")
async def get_pool(request: Request, caller: AdminCaller) -> PoolOut:
    """The pool now."""
    del caller
    return pool_out(await web_of(request).services.operations.pool())


@router.get("/room")
async def get_room(request: Request, caller: AdminCaller) -> RoomOut:
    """Who fills the disk that volumes share, once it is nearly full. Looked at once a minute at most."""
    del caller
    return room_out(await web_of(request).services.room.crowding())


@router.patch("/pool")
async def change_pool(request: Request, caller: AdminCaller, body: PoolPatch) -> PoolOut:
    """Keep so many spares from now on, no more than the fleet's cap."""
    operations = web_of(request).services.operations
    await operations.set_spares(body.spares, caller)
    return pool_out(await operations.pool())


@router.post("/pool/pause")
async def pause_pool(request: Request, caller: AdminCaller) -> PoolOut:
    """Launch no more machines until resumed."""
    operations = web_of(request).services.operations
    await operations.pause_pool(caller)
    return pool_out(await operations.pool())


@router.post("/pool/resume")
async def resume_pool(request: Request, caller: AdminCaller) -> PoolOut:
    """Launch again, and forget earlier failures."""
    operations = web_of(request).services.operations
    await operations.resume_pool(caller)
    return pool_out(await operations.pool())


@router.post("/pool/replenish")
async def replenish_pool(request: Request, caller: AdminCaller) -> PoolOut:
    """Have the pool look at once whether it needs machines."""
    del caller
    operations = web_of(request).services.operations
    await operations.replenish()
    return pool_out(await operations.pool())


@router.get("/cost")
async def get_cost(request: Request, caller: AdminCaller) -> CostOut:
    """What exists, and what it costs in a month."""
    del caller
    return cost_out(await web_of(request).services.costs.report())


@router.get("/events")
async def list_events(
    request: Request,
    caller: AdminCaller,
    instance_id: Annotated[str | None, Query(max_length=60)] = None,
    machine_id: Annotated[str | None, Query(max_length=60)] = None,
    before_id: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> EventList:
    """The newest events first."""
    del caller
    events = await web_of(request).services.operations.events(
        instance_id=instance_id, machine_id=machine_id, before_id=before_id, limit=limit
    )
    return EventList(items=[event_out(event) for event in events])
