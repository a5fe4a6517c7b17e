"""Entity tags of what the API answers, so that a client that has an answer already is told no more than that."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

API_PATH: Final = "/api/"
TAG_BYTES: Final = 18
"""Of the hash; 144 bits."""
OF_THE_BODY: Final = ("content-type", "content-length")


class EntityTags:
    """Adds a strong `ETag` to each answer of the API that is JSON and was read, and answers 304 where `If-None-Match` names it.

    The tag is a hash of the body. Where a route gives a tag itself, such as the revision of an instance, the hash follows it after a
    dash. Anything else passes as it comes: streams are not held back.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(API_PATH):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Tagging(send, Headers(scope=scope).get("if-none-match", "")))


class _Tagging:
    """Holds a JSON answer until its body is whole."""

    def __init__(self, send: Send, known: str) -> None:
        self._send = send
        self._known = known
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_tagged(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        headers = MutableHeaders(scope=start)
        headers["ETag"] = _tag(headers.get("ETag", ""), bytes(self._body))
        if not _names(self._known, headers["ETag"]):
            await self._send(start)
            await self._send({"type": "http.response.body", "body": bytes(self._body)})
            return
        for name in OF_THE_BODY:
            del headers[name]
        await self._send({**start, "status": 304})
        await self._send({"type": "http.response.body", "body": b""})


def _is_tagged(start: Message) -> bool:
    return start["status"] == 200 and Headers(scope=start).get("content-type", "").partition(";")[0] == "application/json"


def _tag(given: str, body: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()[:TAG_BYTES]).decode()
    return f'"{given.strip(chr(34))}-{digest}"' if given else f'"{digest}"'


def _names(known: str, tag: str) -> bool:
    """Whether `If-None-Match` names the tag. It is compared weakly: RFC 9110, 13.1.2."""
    return known.strip() == "*" or tag in (each.strip().removeprefix("W/") for each in known.split(","))
