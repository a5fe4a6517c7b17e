"""What an operator does in the console: to the pool, to a machine, to an instance, to what has no owner."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from openclaw_hosted.domain.errors import FieldProblem, InvalidInput, OpenClawHostedError, StateConflict
from openclaw_hosted.domain.notice import NoticeKind
from openclaw_hosted.web.console.details import show_instance, show_machine
from openclaw_hosted.web.console.lists import show_pool
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.errors import problem_of
from openclaw_hosted.web.forms import by_field, text_of
from openclaw_hosted.web.security import OWN_FORM, ConfirmedForm, CurrentVisitor, VisitorForm, local_path, visitor_of

router = APIRouter()
POOL = "/admin/pool"
NO_SUCH_ACTION = FieldProblem("action", "There is no such action.")


@router.post("/pool/{action}")
async def change_pool(request: Request, form: VisitorForm, action: str) -> Response:
    """Pause, resume or replenish the pool, set how many spares it keeps, or have it follow the settings again."""
    actor, operations = visitor_of(request).actor, web_of(request).services.operations
    try:
        match action:
            case "pause":
                await operations.pause_pool(actor)
            case "resume":
                await operations.resume_pool(actor)
            case "replenish":
                await operations.replenish(actor)
            case "spares":
                await operations.set_spares(actor, _number(text_of(form, "spares")))
            case "follow":
                await operations.follow_settings(actor)
            case _:
                raise InvalidInput(NO_SUCH_ACTION)
    except InvalidInput as error:
        return await show_pool(request, visitor_of(request), status=422, errors=by_field(error.problems))
    return RedirectResponse(local_path(text_of(form, "back") or POOL), 303)


@router.post("/machines/{machine_id}/{action}", dependencies=[OWN_FORM])
async def change_machine(request: Request, visitor: CurrentVisitor, machine_id: str, action: str) -> Response:
    """Retire a spare, or have an instance moved off a machine, in good time or at once."""
    operations, actor = web_of(request).services.operations, visitor.actor
    try:
        match action:
            case "retire":
                await operations.retire_spare(actor, machine_id)
            case "drain":
                await operations.give_notice(actor, machine_id, NoticeKind.DRAIN)
            case "replace":
                await operations.give_notice(actor, machine_id, NoticeKind.INTERRUPTION)
            case _:
                raise InvalidInput(NO_SUCH_ACTION)
    except StateConflict as error:
        return await show_machine(request, visitor, machine_id, status=_status(error), problem=str(error))
    return RedirectResponse(f"/admin/machines/{machine_id}", 303)


@router.post("/instances/{instance_id}/{action}", dependencies=[OWN_FORM])
async def change_instance(request: Request, visitor: CurrentVisitor, instance_id: str, action: str) -> Response:
    """Have an instance tried again, or held."""
    console, actor = web_of(request).services.console, visitor.actor
    try:
        match action:
            case "retry":
                await console.retry(actor, instance_id)
            case "hold":
                await console.hold(actor, instance_id)
            case _:
                raise InvalidInput(NO_SUCH_ACTION)
    except StateConflict as error:
        return await show_instance(request, visitor, instance_id, status=_status(error), problem=str(error))
    return RedirectResponse(f"/admin/instances/{instance_id}", 303)


@router.post("/orphans/remove")
async def remove_orphan(request: Request, form: ConfirmedForm) -> Response:
    """Have an orphan removed for good."""
    await web_of(request).services.operations.release_orphan(visitor_of(request).actor, text_of(form, "name"))
    return RedirectResponse(f"{POOL}#orphans", 303)


def _status(error: OpenClawHostedError) -> int:
    return problem_of(error).status


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 6:
        raise InvalidInput(FieldProblem("spares", "Give a whole number."))
    return int(text)
