"""The form of an instance, new or not: what it shows, how its keys are tried, and what it says after it was sent."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from openclaw_hosted.domain.actor import Actor
from openclaw_hosted.domain.gateway import USER_CREDENTIALS
from openclaw_hosted.ports.models import KeyReport
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.forms import CREDENTIAL_LABELS, InstanceForm
from openclaw_hosted.web.rendering import render

FORM_FIELDS: Final = ("name", "provider", "base_url", "model", "channels", *sorted(USER_CREDENTIALS))
"""All that a problem can be about."""


def is_part(request: Request) -> bool:
    """Whether a page that stays open asks, and shows the answer in one of its parts."""
    return "hx-request" in request.headers


def instance_fields(request: Request, wish: InstanceForm, form_path: str, **shown: Any) -> dict[str, Any]:
    """What the fields of an instance's form are shown with. What comes of trying keys goes below `form_path`."""
    channels = sorted(web_of(request).services.instances.channels)
    base: dict[str, Any] = {"errors": {}, "reports": [], "models": None}
    return {**base, "form": wish, "channels": channels, "credential_labels": CREDENTIAL_LABELS, "form_path": form_path, **shown}


def form_problems(request: Request, errors: dict[str, str], status: int) -> Response:
    """What is wrong with a form, put into the page that it was sent from, where all that was typed stays as it is."""
    channels = web_of(request).services.instances.channels
    present = [name for name in FORM_FIELDS if name != "channels" or channels]
    return render(request, "_form_problems.html", status=status, errors=errors, form_fields=present)


async def try_keys(request: Request, actor: Actor, wish: InstanceForm) -> list[tuple[str, KeyReport]]:
    """What came of trying the keys that a form holds, each by what it is for."""
    keys, credentials = web_of(request).services.keys, wish.credentials.set
    reports = [("Model", await keys.try_model_key(actor, wish.settings(), credentials))]
    return reports + [(channel.capitalize(), await keys.try_channel(actor, channel, credentials)) for channel in sorted(wish.channels)]
