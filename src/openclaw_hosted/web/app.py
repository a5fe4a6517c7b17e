"""The web application: pages, API, static files, wired to the services."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.services import Services
from openclaw_hosted.web import (
    api_accounts,
    api_advice,
    api_alarms,
    api_console,
    api_costs,
    api_diagnosis,
    api_instances,
    api_operations,
    api_restore_points,
    api_senders,
    api_several,
    api_webhooks,
    console,
    errors,
    health,
    local,
    metrics,
    pages_account,
    pages_admin,
    pages_edge,
    pages_instance,
    pages_instances,
    pages_invitations,
    pages_logs,
    pages_migration,
    pages_news,
    pages_restore_points,
    pages_senders,
    pages_trust,
    pages_webhooks,
    reference,
)
from openclaw_hosted.web.context import Web, WebOptions
from openclaw_hosted.web.cookies import CookieRenaming
from openclaw_hosted.web.entity_tags import EntityTags
from openclaw_hosted.web.language import LANGUAGES
from openclaw_hosted.web.middleware import BodyGuard, HeadAsGet, NoWorkers, SecurityHeaders
from openclaw_hosted.web.rendering import HERE, make_templates
from openclaw_hosted.web.request_log import RequestLog
from openclaw_hosted.web.security import find_visitor
from openclaw_hosted.web.words import FILTERS


def create_app(services: Services, options: WebOptions) -> FastAPI:
    """The application. It does no work of its own outside of requests."""
    app = FastAPI(
        title="OpenClaw Hosted",
        version=options.version,
        description="Gives every user a machine of their own with OpenClaw, seconds after they ask.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.web = Web(services, options, {code: make_templates(FILTERS, language) for code, language in LANGUAGES.items()})
    errors.install(app, find_visitor)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    for module in (
        health,
        api_instances,
        api_senders,
        api_restore_points,
        api_operations,
        api_diagnosis,
        api_alarms,
        api_advice,
        api_costs,
        api_console,
        api_several,
        api_accounts,
        api_webhooks,
        pages_account,
        pages_news,
        pages_webhooks,
        pages_instances,
        pages_invitations,
        pages_restore_points,
        pages_instance,
        pages_logs,
        pages_senders,
        pages_admin,
        console,
        pages_migration,
        pages_trust,
        pages_edge,
        reference,
        local,
        metrics,
    ):
        app.router.routes.extend(module.router.routes)  # an included router is asked twice for a route, which is a third of a request
    app.add_middleware(EntityTags)
    app.add_middleware(BodyGuard)
    app.add_middleware(NoWorkers)
    app.add_middleware(CookieRenaming, options)
    app.add_middleware(RequestLog)
    app.add_middleware(SecurityHeaders, _form_targets(services), secure=options.hsts)
    app.add_middleware(HeadAsGet)
    return app


def _form_targets(services: Services) -> str:
    """Where a form may lead: here, and to where instances are opened."""
    sample = InstanceId("oc-22222222")
    address = urlsplit(services.instances.url(sample))
    return f"'self' {address.scheme}://{address.netloc.replace(sample, '*')}"
