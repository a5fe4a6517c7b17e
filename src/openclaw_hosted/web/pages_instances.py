"""All of one's instances, and the form that makes another."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from openclaw_hosted.domain.actor import Actor
from openclaw_hosted.domain.errors import InvalidInput, LimitReached
from openclaw_hosted.domain.gateway import CredentialsChange
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.ports.models import KeyReport
from openclaw_hosted.services.instances import CreateRequest
from openclaw_hosted.web.context import Web, web_of
from openclaw_hosted.web.errors import STATUS
from openclaw_hosted.web.forms import CREDENTIAL_LABELS, InstanceForm, by_field, submission_key
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.security import (
    CurrentVisitor,
    VisitorForm,
    require_visitor,
    visitor_of,
)

router = APIRouter(include_in_schema=False)


@router.get("/")
async def instances_page(request: Request, visitor: CurrentVisitor) -> Response:
    """The visitor's instances."""
    found = await web_of(request).services.instances.list(visitor.actor)
    live = [instance for instance in found if instance.phase is not Phase.DELETED]
    deleted = [instance for instance in found if instance.phase is Phase.DELETED]
    return render(request, "instances.html", live=live, deleted=deleted)


@router.get("/instances/new", dependencies=[Depends(require_visitor)])
async def new_instance_page(request: Request) -> Response:
    """The form that makes an instance."""
    return _new_page(request, InstanceForm())


@router.post("/instances")
async def create_instance(request: Request, form: VisitorForm) -> Response:
    """Make an instance, and go to its page."""
    web, visitor = web_of(request), visitor_of(request)
    wish = InstanceForm.read(form)
    try:
        wanted = CreateRequest(wish.name, wish.settings(), wish.credentials)
        instance, _ = await web.services.instances.create(visitor.actor, wanted, submission_key(form))
    except InvalidInput as error:
        return _new_page(request, wish, status=422, errors=by_field(error.problems))
    except LimitReached as error:
        return _new_page(request, wish, status=STATUS[LimitReached], errors={"form": str(error)})
    return RedirectResponse(f"/instances/{instance.id}", 303)


@router.post("/instances/new/test-key")
async def test_new_key(request: Request, form: VisitorForm) -> Response:
    """Try the keys of the form without keeping them."""
    wish = InstanceForm.read(form)
    reports = await try_keys(web_of(request), visitor_of(request).actor, wish, wish.credentials)
    if "hx-request" in request.headers:
        return render(request, "_key_report.html", reports=reports)
    return _new_page(request, wish, reports=reports)


async def try_keys(web: Web, actor: Actor, wish: InstanceForm, change: CredentialsChange) -> list[tuple[str, KeyReport]]:
    """What came of trying the keys that a form holds, each by what it is for."""
    keys = web.services.keys
    reports = [("Model", await keys.try_model_key(actor, wish.settings(), change.set))]
    return reports + [(channel.capitalize(), await keys.try_channel(actor, channel, change.set)) for channel in sorted(wish.channels)]


def instance_fields(request: Request, wish: InstanceForm) -> dict[str, Any]:
    """What the fields of an instance's form are shown with."""
    channels = sorted(web_of(request).services.instances.channels)
    return {"form": wish, "channels": channels, "credential_labels": CREDENTIAL_LABELS}


def _new_page(
    request: Request,
    wish: InstanceForm,
    *,
    status: int = 200,
    errors: dict[str, str] | None = None,
    reports: list[tuple[str, KeyReport]] | None = None,
) -> Response:
    context: dict[str, Any] = {**instance_fields(request, wish), "errors": errors or {}, "reports": reports or []}
    return render(request, "instance_new.html", status=status, form_id=secrets.token_hex(8), **context)
