"""What the edge hands to the platform: an instance's address, where its gateway does not answer or the asker may not pass."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.convertors import StringConvertor, register_url_convertor

from openclaw_hosted.domain.errors import NotAllowed, NotFound, Unavailable
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.naming import INSTANCE_ID_PATTERN, InstanceId
from openclaw_hosted.domain.waiting import Waiting
from openclaw_hosted.domain.words import PHASE_WORDS
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.errors import RETRY_AFTER_SECONDS, NotSignedIn, wants_page
from openclaw_hosted.web.rendering import render
from openclaw_hosted.web.security import check_navigation, find_visitor

ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
WAITS = {
    Phase.PENDING: Waiting.MACHINE,
    Phase.PLACING: Waiting.CREATE,
    Phase.UPDATING: Waiting.RESTART,
    Phase.RESTORING: Waiting.RESTORE,
    Phase.REPLACING: Waiting.MOVE,
    Phase.DELETING: Waiting.DELETE,
}
REFRESH_SECONDS = 2
NO_SUCH_PLACE = "There is no instance here, or it is not yours."


class InstanceIdConvertor(StringConvertor):
    """Matches an instance id in a path, and nothing else."""

    regex = INSTANCE_ID_PATTERN


register_url_convertor("instance", InstanceIdConvertor())
router = APIRouter(include_in_schema=False)


@router.get("/{instance_id:instance}/.well-known/openclaw/browser-bootstrap")
async def browser_bootstrap(request: Request, instance_id: str) -> Response:
    """The ticket with which OpenClaw's own page signs in; good once, just after Open."""
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise NotAllowed("This is for the instance's own page.")
    visitor = await find_visitor(request)
    if visitor is None:
        raise NotSignedIn
    answer = await web_of(request).services.opening.redeem(visitor.actor, visitor.session, InstanceId(instance_id))
    return JSONResponse({"bootstrapToken": answer.token, "bootstrapProfile": answer.profile}, headers={"Cache-Control": "no-store"})


@router.api_route("/{instance_id:instance}", methods=ALL_METHODS)
@router.api_route("/{instance_id:instance}/{rest:path}", methods=ALL_METHODS)
async def instance_address(request: Request, instance_id: str) -> Response:
    """What stands at an instance's address while OpenClaw does not."""
    if request.method not in ("GET", "HEAD") or not wants_page(request):
        return await _answer_program(request, instance_id)
    visitor = await find_visitor(request)
    if visitor is None:
        return RedirectResponse(f"/sign-in?next=/{instance_id}/", 303)
    try:
        instance = await web_of(request).services.instances.get(visitor.actor, instance_id)
    except NotFound:
        raise NotFound(NO_SUCH_PLACE) from None
    check_navigation(request)
    waiting = instance.phase in WAITS
    headers = {"Retry-After": str(REFRESH_SECONDS), "Refresh": str(REFRESH_SECONDS)} if waiting else None
    status = 503 if waiting else 200 if instance.phase is Phase.RUNNING else 410 if instance.phase is Phase.DELETED else 502
    usual = (await web_of(request).services.instances.usual_waits()).get(WAITS[instance.phase]) if instance.phase in WAITS else None
    return render(request, "edge.html", status=status, headers=headers, instance=instance, usual=usual)


async def _answer_program(request: Request, instance_id: str) -> Response:
    visitor = await find_visitor(request)
    if visitor is None or request.method not in ("GET", "HEAD"):
        raise NotFound(NO_SUCH_PLACE)
    instance = await web_of(request).services.instances.get(visitor.actor, instance_id)
    raise Unavailable(f"{PHASE_WORDS[instance.phase]}. Try again in {RETRY_AFTER_SECONDS} seconds.")
