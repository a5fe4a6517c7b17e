"""One instance: its state as it changes, and what can be done with it."""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import urljoin

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import FormData

from openclaw_hosted.domain.errors import FieldProblem, InvalidInput, NotAllowed, PortError, StateConflict
from openclaw_hosted.domain.news import NewsKind
from openclaw_hosted.domain.text import folded
from openclaw_hosted.domain.usage import tokens_of, usd_of
from openclaw_hosted.services.instances import ChangeRequest
from openclaw_hosted.web.context import link_start, path_within, web_of
from openclaw_hosted.web.errors import NotSignedIn, problem_of
from openclaw_hosted.web.forms import InstanceForm, by_field, text_of
from openclaw_hosted.web.instance_forms import form_problems, instance_fields, is_part, try_keys
from openclaw_hosted.web.language import language_of
from openclaw_hosted.web.live import Snapshot, snapshot, stream, watch
from openclaw_hosted.web.pages_news import not_hidden
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.said import Done, leave
from openclaw_hosted.web.security import (
    OWN_FORM,
    CurrentVisitor,
    Visitor,
    VisitorForm,
    find_visitor,
    visitor_of,
)

router = APIRouter(prefix="/instances/{instance_id}", include_in_schema=False)


@router.get("")
async def instance_page(request: Request, visitor: CurrentVisitor, instance_id: str) -> Response:
    """One instance."""
    return await _page(request, visitor, instance_id)


@router.get("/live")
async def instance_live(request: Request, instance_id: str, key: str = "") -> Response:
    """The changing part of the page: as server-sent events, or once, as HTML. `key` shows that a page of the visitor's asks."""
    visitor = await find_visitor(request)
    if visitor is None:
        raise NotSignedIn
    if not hmac.compare_digest(visitor.live_key.encode(), key.encode()):
        raise NotAllowed
    web = web_of(request)
    first = await snapshot(web.services.instances, visitor.actor, instance_id)
    template = web.templates[language_of(request).code].get_template("_instance_live.html")

    usual = await web.services.instances.usual_waits()

    def show(seen: Snapshot) -> str:
        return template.render(instance=seen[0], steps=seen[1], departure=seen[2], usual=usual)

    if "text/event-stream" not in request.headers.get("accept", ""):
        return HTMLResponse(show(first))

    async def still_allowed() -> bool:
        return await find_visitor(request) is not None

    return stream(web, visitor.actor, watch(web.services.instances, visitor.actor, first, show, still_allowed))


@router.post("/open", dependencies=[OWN_FORM])
async def open_instance(request: Request, visitor: CurrentVisitor, instance_id: str) -> Response:
    """Lead the browser into OpenClaw."""
    web = web_of(request)
    instance = await web.services.instances.get(visitor.actor, instance_id)
    try:
        address = await web.services.opening.open(visitor.actor, visitor.session, instance.id)
        return RedirectResponse(path_within(request, address), 303)
    except (StateConflict, PortError) as error:
        return await _page(request, visitor, instance_id, status=problem_of(error).status, errors={"open": str(error)})


@router.post("/restart", dependencies=[OWN_FORM])
async def restart_instance(request: Request, visitor: CurrentVisitor, instance_id: str) -> Response:
    """Restart its OpenClaw."""
    await web_of(request).services.instances.restart(visitor.actor, instance_id)
    return leave(request, _path(instance_id), Done.RESTARTING)


@router.post("/restore", dependencies=[OWN_FORM])
async def restore_instance(request: Request, visitor: CurrentVisitor, instance_id: str) -> Response:
    """Undo a deletion."""
    await web_of(request).services.instances.restore(visitor.actor, instance_id)
    return leave(request, _path(instance_id), Done.UNDONE)


@router.post("/delete")
async def delete_instance(request: Request, form: VisitorForm, instance_id: str) -> Response:
    """Delete it, when its name is typed right."""
    instances, visitor = web_of(request).services.instances, visitor_of(request)
    name = (await instances.get(visitor.actor, instance_id)).name
    if folded(text_of(form, "typed_name")) != folded(name):
        errors = by_field((FieldProblem("typed_name", f"Type the name exactly as it stands: {name}"),))
        return await _page(request, visitor, instance_id, status=422, errors=errors, typed_name=text_of(form, "typed_name"))
    await instances.delete(visitor.actor, instance_id)
    return leave(request, "/", Done.DELETED)


@router.get("/settings")
async def settings_page(request: Request, visitor: CurrentVisitor, instance_id: str) -> Response:
    """The form that changes name, model, channels and keys."""
    instance = await web_of(request).services.instances.get(visitor.actor, instance_id)
    return _settings(request, instance_id, InstanceForm.of(instance))


@router.post("/settings")
async def change_settings(request: Request, form: VisitorForm, instance_id: str) -> Response:
    """Change name, model, channels and keys; keys left empty stay."""
    web, visitor = web_of(request), visitor_of(request)
    instance = await web.services.instances.get(visitor.actor, instance_id)
    wish = InstanceForm.read(form, instance.credential_names)
    try:
        change = ChangeRequest(wish.name if wish.name != instance.name else None, wish.settings(), wish.credentials)
        await web.services.instances.change(visitor.actor, instance_id, change)
    except InvalidInput as error:
        errors = by_field(error.problems)
        if is_part(request):
            return form_problems(request, errors, 422)
        return _settings(request, instance_id, wish, status=422, errors=errors)
    return leave(request, _path(instance_id), Done.SAVED)


@router.post("/settings/test-key")
async def test_changed_key(request: Request, form: VisitorForm, instance_id: str) -> Response:
    """Try the keys typed into the form without keeping them."""
    wish = await _wish(request, form, instance_id)
    reports = await try_keys(request, visitor_of(request).actor, wish)
    if is_part(request):
        return render(request, "_key_report.html", reports=reports)
    return _settings(request, instance_id, wish, reports=reports)


@router.post("/settings/models")
async def list_changed_models(request: Request, form: VisitorForm, instance_id: str) -> Response:
    """The models that the key typed into the form can choose from."""
    wish = await _wish(request, form, instance_id)
    models = await web_of(request).services.keys.list_models(visitor_of(request).actor, wish.settings(), wish.credentials.set)
    if is_part(request):
        return render(request, "_model_list.html", models=models)
    return _settings(request, instance_id, wish, models=models)


async def _wish(request: Request, form: FormData, instance_id: str) -> InstanceForm:
    instance = await web_of(request).services.instances.get(visitor_of(request).actor, instance_id)
    return InstanceForm.read(form, instance.credential_names)


@router.post("/usage", dependencies=[OWN_FORM])
async def usage_part(request: Request, visitor: CurrentVisitor, instance_id: str) -> Response:
    """What its OpenClaw used lately, for a part of its page."""
    instances = web_of(request).services.instances
    instance = await instances.get(visitor.actor, instance_id)
    try:
        days, problem = await instances.usage(visitor.actor, instance.id), None
    except (PortError, StateConflict) as error:
        days, problem = [], str(error)
    return render(request, "_usage.html", days=days, tokens=tokens_of(days), usd=usd_of(days), problem=problem)


async def _page(
    request: Request, visitor: Visitor, instance_id: str, *, status: int = 200, errors: dict[str, str] | None = None, typed_name: str = ""
) -> Response:
    services = web_of(request).services
    instance, steps, departure = await snapshot(services.instances, visitor.actor, instance_id)
    news = await services.history.news(visitor.actor, [instance])
    context: dict[str, Any] = {
        "instance": instance,
        "news": [each for each in not_hidden(request, news) if each.kind is not NewsKind.FAILED],
        "steps": steps,
        "departure": departure,
        "url": urljoin(link_start(request), path_within(request, services.instances.url(instance.id))),
        "usual": await services.instances.usual_waits(),
        "filled": await services.room.filled_by(visitor.actor, instance.id),
        "points": await services.restore_points.list(visitor.actor, instance.id),
        "carries_archives": services.restore_points.carries_archives,
        "exports_volumes": services.restore_points.exports_volumes,
        "now": services.restore_points.now,
        "errors": errors or {},
        "typed_name": typed_name,
    }
    return render(request, "instance.html", status=status, **context)


def _settings(request: Request, instance_id: str, wish: InstanceForm, *, status: int = 200, **shown: Any) -> Response:
    fields = instance_fields(request, wish, f"{_path(instance_id)}/settings", **shown)
    return render(request, "instance_settings.html", status=status, instance_id=instance_id, **fields)


def _path(instance_id: str) -> str:
    return f"/instances/{instance_id}"
