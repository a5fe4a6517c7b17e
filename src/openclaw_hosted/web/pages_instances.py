"""All of one's instances, and the form that makes another."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from openclaw_hosted.domain.errors import InvalidInput, LimitReached
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.restore_point import RestorePoint
from openclaw_hosted.domain.waiting import Waiting
from openclaw_hosted.services.instances import CreateRequest
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.errors import STATUS
from openclaw_hosted.web.forms import InstanceForm, by_field, submission_key, text_of
from openclaw_hosted.web.instance_forms import form_problems, instance_fields, is_part, try_keys
from openclaw_hosted.web.language import language_of
from openclaw_hosted.web.pages_news import not_hidden
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.said import leave
from openclaw_hosted.web.security import (
    CurrentVisitor,
    VisitorForm,
    visitor_of,
)
from openclaw_hosted.web.starting_points import start_form, starting_points

router = APIRouter(include_in_schema=False)


@router.get("/")
async def instances_page(request: Request, visitor: CurrentVisitor) -> Response:
    """The visitor's instances."""
    services = web_of(request).services
    found, purged = await services.instances.list(visitor.actor), await services.instances.list_purged(visitor.actor)
    usual = await services.instances.usual_waits()
    live = [instance for instance in found if instance.phase not in (Phase.DELETING, Phase.DELETED)]
    context: dict[str, Any] = {
        "live": live,
        "news": not_hidden(request, await services.history.news(visitor.actor, live)),
        "going": [instance for instance in found if instance.phase is Phase.DELETING],
        "deleted": [instance for instance in found if instance.phase is Phase.DELETED],
        "purged": purged,
        "brings_archives": services.restore_points.brings_archives,
        "usual_start": usual.get(Waiting.CREATE),
        "usual_delete": usual.get(Waiting.DELETE),
    }
    return render(request, "instances.html", **context)


@router.get("/instances/new")
async def new_instance_page(
    request: Request, visitor: CurrentVisitor, point_id: Annotated[str, Query(alias="from", max_length=40)] = "", start: str = ""
) -> Response:
    """The form that makes an instance; `from` names the restore point that it begins with, `start` a starting point."""
    services = web_of(request).services
    point = await services.restore_points.usable(visitor.actor, point_id) if point_id else None
    taken = [instance.name for instance in await services.instances.list(visitor.actor)]
    started, form = start_form(start, services.instances.channels, taken, language_of(request))
    return await _new_page(request, form, point=point, started=started)


@router.post("/instances")
async def create_instance(request: Request, form: VisitorForm) -> Response:
    """Make an instance, and go to its page."""
    web, visitor = web_of(request), visitor_of(request)
    wish, point = InstanceForm.read(form), await _point(request, form)
    try:
        wanted = CreateRequest(wish.name, wish.settings(), wish.credentials, point)
        instance, _ = await web.services.instances.create(visitor.actor, wanted, submission_key(form))
    except InvalidInput as error:
        status, errors = 422, by_field(error.problems)
    except LimitReached as error:
        status, errors = STATUS[LimitReached], {"form": str(error)}
    else:
        return leave(request, f"/instances/{instance.id}")
    if is_part(request):
        return form_problems(request, errors, status)
    return await _new_page(request, wish, status=status, point=point, errors=errors)


@router.post("/instances/new/test-key")
async def test_new_key(request: Request, form: VisitorForm) -> Response:
    """Try the keys of the form without keeping them."""
    wish = InstanceForm.read(form)
    reports = await try_keys(request, visitor_of(request).actor, wish)
    if is_part(request):
        return render(request, "_key_report.html", reports=reports)
    return await _new_page(request, wish, point=await _point(request, form), reports=reports)


@router.post("/instances/new/models")
async def list_new_models(request: Request, form: VisitorForm) -> Response:
    """The models that the form's key can choose from."""
    wish = InstanceForm.read(form)
    models = await web_of(request).services.keys.list_models(visitor_of(request).actor, wish.settings(), wish.credentials.set)
    if is_part(request):
        return render(request, "_model_list.html", models=models)
    return await _new_page(request, wish, point=await _point(request, form), models=models)


async def _point(request: Request, form: FormData) -> RestorePoint | None:
    """What the instance of a form begins with."""
    point_id = text_of(form, "restore_point")
    return await web_of(request).services.restore_points.usable(visitor_of(request).actor, point_id) if point_id else None


async def _new_page(
    request: Request, wish: InstanceForm, *, status: int = 200, point: RestorePoint | None = None, started: str = "", **shown: Any
) -> Response:
    services = web_of(request).services
    context: dict[str, Any] = {
        **instance_fields(request, wish, "/instances/new", **shown),
        "now": services.restore_points.now,
        "point": point,
        "started": started,
        "starting_points": starting_points(services.instances.channels),
        "usual_start": (await services.instances.usual_waits()).get(Waiting.CREATE),
    }
    return render(request, "instance_new.html", status=status, form_id=secrets.token_hex(8), **context)
