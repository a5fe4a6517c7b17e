"""What went wrong, for clients as problem details (RFC 9457) and for people as a page: the one place that maps errors."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from openclaw_hosted.domain.errors import (
    Conflict,
    Denied,
    FieldProblem,
    GatewayRejectedSettings,
    IllegalTransition,
    InvalidInput,
    LeaseLost,
    LimitReached,
    NoCapacity,
    NotAllowed,
    NotFound,
    OpenClawHostedError,
    RevisionMoved,
    StateConflict,
    Throttled,
    Unavailable,
)
from openclaw_hosted.domain.quota import Quota
from openclaw_hosted.web.context import request_id_of
from openclaw_hosted.web.rendering import render

PROBLEM_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 5
RATE_LIMIT_SECONDS: Final = 300

_log = structlog.get_logger(__name__)


class NotSignedIn(OpenClawHostedError):
    """Sign in first."""


class NotConfirmed(NotAllowed):
    """Give your password again. `fields` is the form that was sent, `reason` what is wrong with the password that came with it."""

    def __init__(self, fields: Sequence[tuple[str, str]] = (), reason: NotAllowed | LimitReached | None = None) -> None:
        super().__init__("Sign in again, or use an API token: this needs a password given within the last ten minutes.")
        self.fields = fields
        self.reason = reason


STATUS: Final[Mapping[type[OpenClawHostedError], int]] = {
    NotSignedIn: 401,
    NotAllowed: 403,
    NotFound: 404,
    StateConflict: 409,
    IllegalTransition: 409,
    Conflict: 409,
    LeaseLost: 409,
    GatewayRejectedSettings: 409,
    RevisionMoved: 412,
    InvalidInput: 422,
    LimitReached: 429,
    Denied: 502,
    NoCapacity: 503,
    Throttled: 503,
    Unavailable: 503,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem as it is told. `fields` names what is wrong with the request."""

    status: int
    detail: str
    fields: Sequence[FieldProblem] = ()
    headers: Mapping[str, str] | None = None

    @property
    def title(self) -> str:
        """The status in words."""
        return HTTPStatus(self.status).phrase

    def as_json(self, request_id: str = "") -> dict[str, Any]:
        """The members of RFC 9457, and `errors`; of what the platform could not give, the id too under which the log has it."""
        body: dict[str, Any] = {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail}
        if self.fields:
            body["errors"] = [{"field": problem.field, "message": problem.message} for problem in self.fields]
        if request_id and self.status >= 500:
            body["request_id"] = request_id
        return body


def problem_of(error: Exception) -> Problem:
    """The problem that an error amounts to; an unforeseen one tells nothing."""
    if isinstance(error, InvalidInput):
        return Problem(422, "Some of what was sent is not right.", error.problems)
    if isinstance(error, RequestValidationError):
        return Problem(422, "Some of what was sent is not right.", _validation_problems(error.errors()))
    if isinstance(error, OpenClawHostedError):
        status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
        detail = str(error) if status != 500 else "Something went wrong here. It has been written to the log."
        return Problem(status, detail, headers=_headers(status, error))
    if isinstance(error, HTTPException):
        return Problem(error.status_code, str(error.detail), headers=error.headers)
    if isinstance(error, ClientDisconnect):
        return Problem(400, "The request ended before all of it was here.")
    return Problem(500, "Something went wrong here. It has been written to the log.")


def problem_response(problem: Problem, request_id: str = "") -> Response:
    """A problem as JSON."""
    return JSONResponse(problem.as_json(request_id), problem.status, dict(problem.headers or {}), PROBLEM_TYPE)


def wants_page(request: Request) -> bool:
    """Whether a person in a browser asks, rather than a program."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


async def answer_error(request: Request, error: Exception) -> Response:
    """The answer to a request that failed."""
    problem = problem_of(error)
    if problem.status == 500:
        _log.error("request failed", method=request.method, error=type(error).__name__, exc_info=error)
    if not wants_page(request):
        return problem_response(problem, request_id_of(request))
    if isinstance(error, NotSignedIn) and request.method in ("GET", "HEAD"):
        return RedirectResponse(f"/sign-in?next={request.url.path}", 303)
    if isinstance(error, NotConfirmed):
        return _ask_for_password(request, error)
    return render(
        request,
        "error.html",
        status=problem.status,
        headers=problem.headers,
        problem=problem,
        request_id=request_id_of(request) if problem.status >= 500 else "",
        fragment="hx-request" in request.headers,
    )


def install(app: FastAPI, find_visitor: Callable[[Request], Awaitable[object]]) -> None:
    """Have `app` answer every error so. Where no route took the request, nobody has looked who asks; a page wants to know."""

    async def answer_unrouted(request: Request, error: Exception) -> Response:
        if wants_page(request):
            await find_visitor(request)
        return await answer_error(request, error)

    for kind in (OpenClawHostedError, RequestValidationError, ClientDisconnect, Exception):
        app.add_exception_handler(kind, answer_error)
    app.add_exception_handler(HTTPException, answer_unrouted)


def _ask_for_password(request: Request, asked: NotConfirmed) -> Response:
    status = 403 if asked.reason is None else problem_of(asked.reason).status
    return render(
        request,
        "confirm.html",
        status=status,
        headers=_headers(status, asked.reason),
        action=request.url.path,
        fields=asked.fields,
        problem=asked.reason,
    )


def rate_headers(quota: Quota) -> dict[str, str]:
    """How often something may still be asked for, as draft-ietf-httpapi-ratelimit-headers says it."""
    return {
        "RateLimit-Policy": f'"{quota.name}";q={quota.most};w={math.ceil(quota.window_seconds)}',
        "RateLimit": f'"{quota.name}";r={quota.remaining};t={math.ceil(quota.resets_seconds)}',
    }


def _headers(status: int, error: OpenClawHostedError | None) -> Mapping[str, str] | None:
    if isinstance(error, LimitReached) and error.quota is not None:
        return {"Retry-After": str(max(1, math.ceil(error.quota.resets_seconds)))} | rate_headers(error.quota)
    if status == 401:
        return {"WWW-Authenticate": 'Bearer realm="openclaw-hosted"'}
    if status == 429:
        return {"Retry-After": str(RATE_LIMIT_SECONDS)}
    return {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else None


def _validation_problems(errors: Sequence[Mapping[str, Any]]) -> list[FieldProblem]:
    return [FieldProblem(_field(error["loc"]), _message(error)) for error in errors[:50]]


def _field(location: Sequence[str | int]) -> str:
    parts = [str(part)[:60] for part in location if part not in ("body", "query", "path", "header")]
    return ".".join(parts) or "body"


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "There is no such field."
    if error["type"] == "json_invalid":
        return "This is not valid JSON."
    return f"{str(error['msg']).removeprefix('Value error, ')}."
