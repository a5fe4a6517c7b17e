"""What is logged of a request: its id in each line that is written while it is served, and one line when it is answered.

The id is also in the answer's header, in what an answer says that the platform could not give (5xx), and on the request's trace. Neither
its query nor its body is logged, and of its path the route's template only: a path may hold a one-time link.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from openclaw_hosted.domain.naming import INSTANCE_ID_PATTERN, MACHINE_ID_PATTERN
from openclaw_hosted.ports.tracing import NO_TRACER, RequestSpan
from openclaw_hosted.request_ids import GIVEN, HEADER, request_id_for
from openclaw_hosted.web.context import web_of
from openclaw_hosted.web.errors import answer_error

log = structlog.get_logger("web")
NO_ROUTE: Final = "none"
STATIC: Final = "/static/"
ROUTINE: Final = ("/healthz", "/readyz", "/metrics", STATIC)
"""What programs and pages ask for all the time: logged at the level debug, and not traced."""
_INSTANCE: Final = re.compile(rf"(?<![\w-]){INSTANCE_ID_PATTERN}(?![\w-])")
_MACHINE: Final = re.compile(MACHINE_ID_PATTERN)


class RequestLog:
    """Gives each request its id, and logs it. What fails below unforeseen is answered here, so that this answer is like all others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, answer = Request(scope), _Answer(send, request_id_for(scope.get(GIVEN)))
        request.state.request_id = answer.request_id
        is_routine = scope["path"].startswith(ROUTINE)
        tracer = NO_TRACER if is_routine else web_of(request).options.tracer
        now = asyncio.get_running_loop().time
        began = now()
        with bound_contextvars(request_id=answer.request_id), tracer.request({"request_id": answer.request_id}) as span:
            try:
                await self._serve(scope, receive, answer)
            finally:
                self._tell(request, answer, span, round(now() - began, 3), is_routine=is_routine)

    async def _serve(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            await self._app(scope, receive, answer)
        except Exception as error:
            if answer.status is not None:
                raise
            response = await answer_error(Request(scope, receive), error)
            await response(scope, receive, answer)

    def _tell(self, request: Request, answer: _Answer, span: RequestSpan, seconds: float, *, is_routine: bool) -> None:
        told: dict[str, str | int] = {"method": request.method, "route": _route_of(request), "status": answer.status or 0}
        ids = _ids_of(request, answer.location)
        span.was(f"{told['method']} {told['route']}", told | ids)
        if answer.status is not None and answer.status >= 500:
            span.fail(str(answer.status), "")
        (log.debug if is_routine else log.info)("request answered", **told, duration_seconds=seconds, **ids)


class _Answer:
    """Sends an answer on with the request's id, and remembers its status; None until it begins."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status: int | None = None
        self.location = ""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers[HEADER] = self.request_id
            self.status, self.location = int(message["status"]), headers.get("location", "")
        await self._send(message)


def _route_of(request: Request) -> str:
    if request.scope["path"].startswith(STATIC):
        return f"{STATIC}{{path}}"
    return str(getattr(request.scope.get("route"), "path", NO_ROUTE))


def _ids_of(request: Request, location: str) -> dict[str, str]:
    """Whom and what it was about: ids only, and none that is not well-formed. What it made is named by where the answer leads."""
    path = {name: str(value) for name, value in request.scope.get("path_params", {}).items()}
    instance = _INSTANCE.fullmatch(path.get("instance_id", "")) or _INSTANCE.search(location.partition("?")[0].partition("#")[0])
    machine = _MACHINE.fullmatch(path.get("machine_id", ""))
    user_id = getattr(request.state, "user_id", None)
    found = {"instance": instance and instance[0], "machine": machine and machine[0], "user": user_id}
    return {name: value for name, value in found.items() if value}
