"""One machine, and one instance as an operator sees it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from openclaw_hosted.domain.machine import Machine, MachineState
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.security import CurrentVisitor, Visitor

router = APIRouter()


@router.get("/machines/{machine_id}")
async def machine_page(request: Request, visitor: CurrentVisitor, machine_id: str) -> Response:
    """A machine with its life."""
    return await show_machine(request, visitor, machine_id)


@router.get("/instances/{instance_id}")
async def instance_page(request: Request, visitor: CurrentVisitor, instance_id: str) -> Response:
    """An instance with its life: never what is said in it, nor its keys."""
    return await show_instance(request, visitor, instance_id)


async def show_machine(request: Request, visitor: Visitor, machine_id: str, *, status: int = 200, problem: str = "") -> Response:
    """A machine's page, with what was wrong with what was asked of it."""
    services = web_of(request).services
    view = await services.console.machine(visitor.actor, machine_id)
    price = services.costs.price_of_machine(visitor.actor)
    return render(
        request, "console/machine.html", status=status, view=view, price=price, problem=problem, you=visitor.user.id, can=_can(view.machine)
    )


async def show_instance(request: Request, visitor: Visitor, instance_id: str, *, status: int = 200, problem: str = "") -> Response:
    """An instance's page, with what was wrong with what was asked of it."""
    view = await web_of(request).services.console.instance(visitor.actor, instance_id)
    return render(request, "console/instance.html", status=status, view=view, problem=problem, you=visitor.user.id)


def _can(machine: Machine) -> frozenset[str]:
    """What can be asked of a machine."""
    if machine.state in (MachineState.AVAILABLE, MachineState.INITIALIZING):
        return frozenset({"retire"})
    return frozenset({"drain", "replace"}) if machine.state is MachineState.ASSIGNED else frozenset()
