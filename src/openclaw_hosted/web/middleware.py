"""What holds for every request before any route is chosen: its size, its content type, and the headers of its answer."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openclaw_hosted.bodies import ARCHIVES_PATH, BODY_LIMIT_BYTES
from openclaw_hosted.domain.errors import NotAllowed
from openclaw_hosted.domain.naming import INSTANCE_ID_PATTERN
from openclaw_hosted.web.context import client_address
from openclaw_hosted.web.errors import answer_error
from openclaw_hosted.web.navigation import is_from_worker, reads_along

INSTANCE_PATH: Final = re.compile(rf"/{INSTANCE_ID_PATTERN}(/|$)")
BODY_SECONDS: Final = 20.0
BODIES_PER_ADDRESS: Final = 50
BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
JSON_TYPES: Final = frozenset({"application/json", "application/merge-patch+json"})
FORM_TYPE: Final = "application/x-www-form-urlencoded"
ARCHIVE_TYPES: Final = frozenset({"application/gzip", "application/x-gzip", "application/x-tar", "application/octet-stream"})
FOREIGN_WORKER: Final = "A page of an instance was reading along in this browser, and has been shut out. Reload this page."


class BodyGuard:
    """Refuses bodies that are too large (413), of a type that is not taken here (415), too slow (408), or too many at once from one
    address (429)."""

    def __init__(self, app: ASGIApp, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._seconds = seconds
        self._under_way: Counter[str] = Counter()
        """How many bodies are on their way from each address."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = client_address(Request(scope)) or ""
        refusal = _refusal(scope["method"], scope["path"], Headers(scope=scope))
        if refusal is None and self._under_way[client] >= BODIES_PER_ADDRESS:
            refusal = HTTPException(429, "Too many requests of this address are on their way.", {"Connection": "close", "Retry-After": "5"})
        if refusal is not None:
            response = await answer_error(Request(scope, receive), refusal)
            await response(scope, receive, send)
            return
        async with self._body_of(client, receive, is_archive=scope["path"] == ARCHIVES_PATH) as bounded:
            await self._app(scope, bounded, send)

    @asynccontextmanager
    async def _body_of(self, client: str, receive: Receive, *, is_archive: bool) -> AsyncIterator[Receive]:
        """`receive` with the bounds of a body, which counts for `client` until it is here. An archive may be long, but not stall."""
        is_here, received = False, 0
        now = asyncio.get_running_loop().time
        deadline = now() + self._seconds
        self._under_way[client] += 1

        def arrived() -> None:
            nonlocal is_here
            if not is_here:
                is_here = True
                self._under_way -= Counter((client,))

        async def receive_bounded() -> Message:
            nonlocal received
            if is_here:
                return await receive()
            try:
                async with asyncio.timeout_at(now() + self._seconds if is_archive else deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "The request did not come to its end in time.", {"Connection": "close"}) from None
            received += len(message.get("body", b""))
            if received > BODY_LIMIT_BYTES and not is_archive:
                raise _too_large()
            if not message.get("more_body"):
                arrived()
            return message

        try:
            yield receive_bounded
        finally:
            arrived()


class HeadAsGet:
    """Answers HEAD wherever GET is answered: with the same head, and no body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})

        await self._app({**scope, "method": "GET"}, receive, send_head)


class NoWorkers:
    """Refuses requests that a service worker is behind, and has the browser throw it out.

    The platform has none. One that reads along its pages belongs to an instance that shares its origin, and came before the edge kept
    it out. `Clear-Site-Data` is how a server removes it; this also makes OpenClaw's pages forget that browser, which Open mends.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or INSTANCE_PATH.match(scope["path"]) or not is_from_worker(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        response = await answer_error(Request(scope, receive), NotAllowed(FOREIGN_WORKER))
        if reads_along(Headers(scope=scope)):
            response.headers["Clear-Site-Data"] = '"storage"'
        await response(scope, receive, send)


class SecurityHeaders:
    """Sets the headers that keep a browser from letting other pages in."""

    def __init__(self, app: ASGIApp, form_targets: str, *, secure: bool) -> None:
        self._app = app
        self._headers = _security_headers(form_targets, secure=secure)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "public, max-age=3600" if scope["path"].startswith("/static/") else "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _refusal(method: str, path: str, headers: Headers) -> HTTPException | None:
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        return HTTPException(400, "The Content-Length header is not a number.")
    is_archive = method == "POST" and path == ARCHIVES_PATH
    if int(length) > BODY_LIMIT_BYTES and not is_archive:
        return _too_large()
    has_body = int(length) > 0 or "transfer-encoding" in headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if method not in BODY_METHODS or not has_body:
        return None
    if is_archive:
        return None if kind in ARCHIVE_TYPES else HTTPException(415, "Send the archive as application/gzip.")
    if path.startswith("/api/"):
        return None if kind in JSON_TYPES else HTTPException(415, "Send the body as application/json.")
    return None if kind == FORM_TYPE else HTTPException(415, f"Send the form as {FORM_TYPE}.")


def _too_large() -> HTTPException:
    return HTTPException(413, f"A request may have at most {BODY_LIMIT_BYTES // 1024} KB.", {"Connection": "close"})


def _security_headers(form_targets: str, *, secure: bool) -> dict[str, str]:
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        f"form-action {form_targets}; base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    return {**headers, "Strict-Transport-Security": "max-age=31536000"} if secure else headers
