"""One instance: its state as it changes, and what can be done with it."""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import urljoin

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from openclaw_hosted.domain.errors import InvalidInput, NotAllowed, PortError, StateConflict
from openclaw_hosted.domain.text import folded
from openclaw_hosted.services.instances import ChangeRequest
from openclaw_hosted.web.context import link_start, path_within, web_of
from openclaw_hosted.web.errors import NotSignedIn, problem_of
from openclaw_hosted.web.forms import InstanceForm, by_field, text_of
from openclaw_hosted.web.live import Snapshot, snapshot, stream, watch
from openclaw_hosted.web.pages_instances import instance_fields, try_keys
from openclaw_hosted.web.rendering import render, waits_for_machine
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
    usual_wait = await web.services.instances.usual_wait()
    template = web.templates.get_template("_instance_live.html")

    def show(seen: Snapshot) -> str:
        return template.render(instance=seen[0], steps=seen[1], departure=seen[2], usual_wait=usual_wait)

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
    return _back(instance_id)


@router.post("/restore", dependencies=[OWN_FORM])
async def restore_instance(request: Request, visitor: CurrentVisitor, instance_id: str) -> Response:
    """Undo a deletion."""
    await web_of(request).services.instances.restore(visitor.actor, instance_id)
    return _back(instance_id)


@router.post("/delete")
async def delete_instance(request: Request, form: VisitorForm, instance_id: str) -> Response:
    """Delete it, when its name is typed right."""
    instances, visitor = web_of(request).services.instances, visitor_of(request)
    name = (await instances.get(visitor.actor, instance_id)).name
    if folded(text_of(form, "typed_name")) != folded(name):
        errors = {"typed_name": f"Type the name exactly as it stands: {name}"}
        return await _page(request, visitor, instance_id, status=422, errors=errors)
    await instances.delete(visitor.actor, instance_id)
    return _back(instance_id)


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
        return _settings(request, instance_id, wish, status=422, errors=by_field(error.problems))
    return _back(instance_id)


@router.post("/settings/test-key")
async def test_changed_key(request: Request, form: VisitorForm, instance_id: str) -> Response:
    """Try the keys typed into the form without keeping them."""
    web = web_of(request)
    instance = await web.services.instances.get(visitor_of(request).actor, instance_id)
    wish = InstanceForm.read(form, instance.credential_names)
    reports = await try_keys(web, visitor_of(request).actor, wish, wish.credentials)
    if "hx-request" in request.headers:
        return render(request, "_key_report.html", reports=reports)
    return _settings(request, instance_id, wish, reports=reports)


@router.get("/logs")
async def logs_page(request: Request, visitor: CurrentVisitor, instance_id: str) -> Response:
    """The newest lines of its OpenClaw's log."""
    instances = web_of(request).services.instances
    instance = await instances.get(visitor.actor, instance_id)
    try:
        lines, problem = await instances.logs(visitor.actor, instance_id), None
    except PortError as error:
        lines, problem = [], str(error)
    return render(request, "instance_logs.html", instance=instance, lines=lines, problem=problem)


async def _page(
    request: Request, visitor: Visitor, instance_id: str, *, status: int = 200, errors: dict[str, str] | None = None
) -> Response:
    instances = web_of(request).services.instances
    instance, steps, departure = await snapshot(instances, visitor.actor, instance_id)
    url = urljoin(link_start(request), path_within(request, instances.url(instance.id)))
    usual_wait = await instances.usual_wait() if waits_for_machine(instance, steps) else None
    filled = await web_of(request).services.room.filled_by(visitor.actor, instance.id)
    context: dict[str, Any] = {"instance": instance, "steps": steps, "url": url, "usual_wait": usual_wait, "filled": filled}
    return render(request, "instance.html", status=status, errors=errors or {}, departure=departure, **context)


def _settings(request: Request, instance_id: str, wish: InstanceForm, *, status: int = 200, **context: object) -> Response:
    shown: dict[str, Any] = {"errors": {}, "reports": [], **context}
    fields = instance_fields(request, wish)
    return render(request, "instance_settings.html", status=status, instance_id=instance_id, **fields, **shown)


def _back(instance_id: str) -> Response:
    return RedirectResponse(f"/instances/{instance_id}", 303)
