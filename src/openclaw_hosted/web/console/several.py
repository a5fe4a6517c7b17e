"""One action on several rows of a list: a page that names what will happen to which, and a page of what did not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from openclaw_hosted.domain.errors import FieldProblem, InvalidInput
from openclaw_hosted.services.several import Action, Chosen
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.forms import text_of
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.said import Done, leave
from openclaw_hosted.web.security import CurrentVisitor, VisitorForm, visitor_of

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Words:
    """How a page speaks of an action."""

    do: str
    not_done: str
    means: str
    destructive: bool = False


WORDS: Final[Mapping[Action, Words]] = {
    Action.DRAIN: Words(
        "Drain",
        "not drained",
        "Each instance moves once another machine is ready in its zone and no turn is running. It is away for some seconds. Then its "
        "old machine is terminated. A machine without an instance is terminated at once.",
    ),
    Action.RETIRE: Words(
        "Retire",
        "not retired",
        "Each machine is terminated, and the pool launches others if it needs them. No user is on them.",
        destructive=True,
    ),
    Action.RETRY: Words(
        "Retry",
        "not retried",
        "Each one that has failed is started again. One that runs gets up to five minutes to finish what it is doing, and then restarts.",
    ),
    Action.HOLD: Words(
        "Hold",
        "not held",
        "The platform stops trying to start these until you or their owner retry them. Their data is kept.",
        destructive=True,
    ),
}


@router.get("/several")
async def preview_page(request: Request, visitor: CurrentVisitor) -> Response:
    """What will happen to which."""
    action = _action(request.query_params.get("action", ""))
    try:
        chosen = await web_of(request).services.several.preview(visitor.actor, action, request.query_params.getlist("id"))
    except InvalidInput as error:
        return _page(request, action, (), status=422, problem=error.problems[0].message)
    return _page(request, action, chosen)


@router.post("/several")
async def carry_out(request: Request, form: VisitorForm) -> Response:
    """Do it, and say what could not be done."""
    action, ids = _action(text_of(form, "action")), [each for each in form.getlist("id") if isinstance(each, str)]
    try:
        chosen = await web_of(request).services.several.carry_out(visitor_of(request).actor, action, ids)
    except InvalidInput as error:
        return _page(request, action, (), status=422, problem=error.problems[0].message)
    if any(each.problem for each in chosen):
        return _page(request, action, chosen, status=409, tried=True)
    return leave(request, _list_of(action), Done.SEVERAL)


def _page(
    request: Request, action: Action, chosen: Sequence[Chosen], *, status: int = 200, problem: str = "", tried: bool = False
) -> Response:
    fit = [each for each in chosen if each.problem is None]
    unfit = [each for each in chosen if each.problem is not None]
    one = "machine" if action.of_machines else "instance"
    context: dict[str, Any] = {"action": action, "words": WORDS[action], "fit": fit, "unfit": unfit, "tried": tried, "one": one}
    return render(request, "console/several.html", status=status, problem=problem, back=_list_of(action), **context)


def _list_of(action: Action) -> str:
    return "/admin/pool" if action.of_machines else "/admin/instances"


def _action(text: str) -> Action:
    try:
        return Action(text)
    except ValueError:
        raise InvalidInput(FieldProblem("action", f"Choose among {', '.join(Action)}.")) from None
