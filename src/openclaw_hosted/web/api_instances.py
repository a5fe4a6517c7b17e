"""The API of instances: what a user has, and may do with it."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from openclaw_hosted.domain.actor import Actor, require_admin
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput, OpenClawHostedError, RevisionMoved
from openclaw_hosted.domain.gateway import CredentialsChange
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase
from openclaw_hosted.domain.loglines import Level
from openclaw_hosted.domain.naming import InstanceId, UserId
from openclaw_hosted.services.instances import IDEMPOTENCY_KEY_MAX_LENGTH, ChangeRequest, CreateRequest
from openclaw_hosted.web.context import Web, web_of
from openclaw_hosted.web.errors import rate_headers
from openclaw_hosted.web.live import Snapshot, snapshot, stream, watch
from openclaw_hosted.web.models import Lines, Link, ProblemOut
from openclaw_hosted.web.models_events import EventList, event_out
from openclaw_hosted.web.models_instances import (
    InstanceCreate,
    InstanceDetail,
    InstanceList,
    InstanceOut,
    InstancePatch,
    KeyReportOut,
    KeyTest,
    instance_detail,
    instance_out,
)
from openclaw_hosted.web.security import Caller, require_caller

PROBLEM_CONTENT: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemOut"}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that routes of the API may answer with, for its description."""
    return {status: {"model": ProblemOut, "description": "A problem", "content": PROBLEM_CONTENT} for status in statuses}


router = APIRouter(prefix="/api/v1", tags=["instances"], responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 429, 503))
LOG_LINES_MAX: Final = 2000
PAGE_MAX: Final = 500


@router.post("/instances", status_code=202)
async def create_instance(
    request: Request,
    response: Response,
    caller: Caller,
    body: InstanceCreate,
    idempotency_key: Annotated[str | None, Header(max_length=IDEMPOTENCY_KEY_MAX_LENGTH)] = None,
) -> InstanceOut:
    """Ask for a new instance. The same `Idempotency-Key` with the same body answers the same instance."""
    web = web_of(request)
    settings, credentials = body.settings.to_domain(), body.credentials.to_domain()
    point = None if body.restore_point is None else await web.services.restore_points.usable(caller, body.restore_point)
    wish = CreateRequest(body.name, settings, CredentialsChange(credentials.set), point)
    instance, _ = await web.services.instances.create(caller, wish, idempotency_key)
    response.headers["Location"] = f"/api/v1/instances/{instance.id}"
    return _out(web, instance)


@router.get("/instances")
async def list_instances(
    request: Request,
    caller: Caller,
    owner: Annotated[str, Query(max_length=500, description="For admins: an e-mail address, or `all`.")] = "me",
    phase: Annotated[Phase | None, Query(description="Only those in this phase.")] = None,
    after: Annotated[str | None, Query(max_length=60, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
) -> InstanceList:
    """The caller's instances, or for admins those of others; deleted ones too, while they can be restored."""
    web, cursor = web_of(request), None if after is None else InstanceId(after)
    owner_id = await _owner(web, caller, owner)
    found = await web.services.instances.page(caller, limit + 1, owner_id=owner_id, phase=phase, after=cursor)
    page = found[:limit]
    return InstanceList(items=[_out(web, instance) for instance in page], next=page[-1].id if len(found) > limit else None)


@router.get("/instances/{instance_id}")
async def get_instance(request: Request, response: Response, caller: Caller, instance_id: str) -> InstanceDetail:
    """One instance with its steps. Send its `ETag` as `If-Match` with a change, and nothing is lost that somebody else changed."""
    web = web_of(request)
    instance, steps, _ = await snapshot(web.services.instances, caller, instance_id)
    response.headers["ETag"] = f'"{instance.revision}"'
    return instance_detail(instance, web.services.instances.url(instance.id), steps)


@router.get(
    "/instances/{instance_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Events named `state`, each with the instance as JSON"}},
)
async def follow_instance(request: Request, caller: Caller, instance_id: str) -> StreamingResponse:
    """The instance now, and again whenever it changes, as server-sent events."""
    web = web_of(request)
    first = await snapshot(web.services.instances, caller, instance_id)

    def show(seen: Snapshot) -> str:
        instance, steps, _ = seen
        return instance_detail(instance, web.services.instances.url(instance.id), steps).model_dump_json()

    async def still_allowed() -> bool:
        return await _is_still(request, caller)

    return stream(web, caller, watch(web.services.instances, caller, first, show, still_allowed))


@router.patch("/instances/{instance_id}", responses=problems(412))
async def change_instance(
    request: Request, caller: Caller, instance_id: str, body: InstancePatch, if_match: Annotated[str | None, Header()] = None
) -> InstanceOut:
    """Change name, settings, credentials or the desired state (`deleted`, and `running` to undo that)."""
    web = web_of(request)
    instances = web.services.instances
    instance = await instances.get(caller, instance_id)
    expected = _expected_revision(instance, if_match)
    if body.desired_state is DesiredState.RUNNING and instance.phase is Phase.DELETED:
        instance = await instances.restore(caller, instance_id)
    if body.name is not None or body.settings is not None or body.credentials is not None:
        instance = await instances.change(caller, instance_id, _change_request(body), expected_revision=expected)
    if body.desired_state is DesiredState.DELETED:
        instance = await instances.delete(caller, instance_id)
    return _out(web, instance)


@router.delete("/instances/{instance_id}", status_code=202)
async def delete_instance(request: Request, caller: Caller, instance_id: str) -> InstanceOut:
    """Delete it; `restore` undoes that until `restorable_until`."""
    web = web_of(request)
    return _out(web, await web.services.instances.delete(caller, instance_id))


@router.post("/instances/{instance_id}/restart", status_code=202)
async def restart_instance(request: Request, caller: Caller, instance_id: str) -> InstanceOut:
    """Restart its OpenClaw; a failed instance is tried again."""
    web = web_of(request)
    return _out(web, await web.services.instances.restart(caller, instance_id))


@router.post("/instances/{instance_id}/restore", status_code=202)
async def restore_instance(request: Request, caller: Caller, instance_id: str) -> InstanceOut:
    """Undo a deletion: same id, same data."""
    web = web_of(request)
    return _out(web, await web.services.instances.restore(caller, instance_id))


@router.post("/instances/{instance_id}/open")
async def open_instance(request: Request, caller: Caller, instance_id: str) -> Link:
    """A one-time link into the instance, for a browser in which its owner is signed in."""
    web = web_of(request)
    instance = await web.services.instances.get(caller, instance_id)
    return Link(url=await web.services.opening.open_link(caller, instance.id))


@router.get("/instances/{instance_id}/logs")
async def instance_logs(
    request: Request,
    caller: Caller,
    instance_id: str,
    lines: Annotated[int, Query(ge=1, le=LOG_LINES_MAX)] = 200,
    since: Annotated[str | None, Query(max_length=40, description="A time with its zone, or how long ago, such as 15m.")] = None,
    level: Annotated[Level | None, Query(description="Only lines of this level or worse.")] = None,
    search: Annotated[str, Query(max_length=200)] = "",
) -> Lines:
    """The newest lines of its OpenClaw's log. Their times are UTC."""
    instances = web_of(request).services.instances
    found = await instances.logs(caller, instance_id, lines, instances.log_wish(since, level, search))
    return Lines(lines=[line.text for line in found])


@router.get("/instances/{instance_id}/history")
async def instance_history(
    request: Request,
    caller: Caller,
    instance_id: str,
    before_id: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
) -> EventList:
    """What happened to it, newest first."""
    web = web_of(request)
    events = await web.services.history.of(caller, instance_id, before_id=before_id, limit=limit)
    me = await web.services.accounts.me(caller)
    return EventList(items=[event_out(event, {me.id: me.email}) for event in events])


@router.post("/keys/test")
async def try_key(request: Request, response: Response, caller: Caller, body: KeyTest) -> KeyReportOut:
    """Try a key with its provider, without keeping it."""
    keys, credentials = web_of(request).services.keys, body.credentials.to_domain().set
    if body.channel is not None:
        report = await keys.try_channel(caller, body.channel, credentials)
    else:
        report = await keys.try_model_key(caller, body.settings.to_domain(), credentials)
    response.headers.update(rate_headers(keys.quota(caller)))
    return KeyReportOut(ok=report.ok, message=report.message)


async def _owner(web: Web, caller: Actor, owner: str) -> UserId | None:
    """Whose instances are asked for; None for everybody's."""
    if owner in ("me", "all"):
        return caller.user_id if owner == "me" else None
    require_admin(caller)
    return (await web.services.accounts.user_by_email(owner)).id


def _out(web: Web, instance: Instance) -> InstanceOut:
    return instance_out(instance, web.services.instances.url(instance.id))


def _change_request(body: InstancePatch) -> ChangeRequest:
    settings = body.settings.to_domain() if body.settings is not None else None
    return ChangeRequest(body.name, settings, body.credentials.to_domain() if body.credentials is not None else None)


def _expected_revision(instance: Instance, if_match: str | None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"').partition("-")[0]
    if not text.isdecimal() or len(text) > 12:
        raise InvalidInput(FieldProblem("If-Match", "Send the ETag of the instance as it was answered."))
    if int(text) != instance.revision:
        raise RevisionMoved
    return int(text)


async def _is_still(request: Request, caller: Actor) -> bool:
    try:
        return (await require_caller(request)).id == caller.id
    except OpenClawHostedError:
        return False
