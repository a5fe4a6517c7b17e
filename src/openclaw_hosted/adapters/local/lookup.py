"""The lookup service: for each new request, who may pass and to which address.

A small ASGI application that outlives the control plane. It holds routes and sessions in memory, and in a small database of its own,
so that it knows them again after a restart. The edge asks `GET /lookup`; the control plane writes `/routes` and `/sessions`. It listens on
a socket in a folder that only the platform's own system user may enter.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any, Final

from openclaw_hosted.adapters.local.asgi import Receive, Scope, Send, read_body
from openclaw_hosted.domain.naming import INSTANCE_ID_PATTERN

COOKIE_NAMES: Final = ("__Host-ochs", "ochs")
BOOTSTRAP_PATH: Final = "/.well-known/openclaw/browser-bootstrap"
_ADDRESS = re.compile(rf"/({INSTANCE_ID_PATTERN})(/[^?]*)?(?:\?.*)?", re.DOTALL)
_HOSTILE = re.compile(r"%(25|2e|2f|5c)|\\|//|(^|/)\.\.?(/|$)", re.IGNORECASE)
_ROOT_API = re.compile(r"/(api|v1|tools|hooks|plugins|__openclaw__|healthz|readyz|startupz)(/|$)", re.IGNORECASE)

Answer = tuple[int, bytes, tuple[tuple[bytes, bytes], ...]]

TO_PLATFORM: Final[Answer] = (204, b"", ())
BAD_REQUEST: Final[Answer] = (400, b"This address is not in a form that is served here.\n", ())
NOT_FOUND: Final[Answer] = (404, b"Not found.\n", ())


class EdgeState:
    """Routes and sessions: in memory, and written through to a database file."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute("CREATE TABLE IF NOT EXISTS entries (kind TEXT, key TEXT, body TEXT, PRIMARY KEY (kind, key))")
        self.routes: dict[str, dict[str, Any]] = self._load("route")
        self.sessions: dict[str, dict[str, Any]] = self._load("session")

    def put(self, kind: str, key: str, body: dict[str, Any]) -> None:
        """Set one entry."""
        self._database.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", (kind, key, json.dumps(body)))
        self._of(kind)[key] = body

    def drop(self, kind: str, key: str) -> None:
        """Take one entry away."""
        self._database.execute("DELETE FROM entries WHERE kind = ? AND key = ?", (kind, key))
        self._of(kind).pop(key, None)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _load(self, kind: str) -> dict[str, dict[str, Any]]:
        rows = self._database.execute("SELECT key, body FROM entries WHERE kind = ?", (kind,))
        return {key: json.loads(body) for key, body in rows}

    def _of(self, kind: str) -> dict[str, dict[str, Any]]:
        return self.routes if kind == "route" else self.sessions


class LookupApp:
    """The ASGI application."""

    def __init__(self, state: EdgeState) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["path"] == "/lookup":
            status, body, headers = self.decide(dict(scope["headers"]))
        else:
            status, body, headers = await self._manage(scope, receive)
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
        await send({"type": "http.response.body", "body": body})

    def decide(self, headers: Mapping[bytes, bytes]) -> Answer:
        """Who may pass, and where to. 200 names the gateway, 204 hands the request to the platform, 400 and 404 end it."""
        uri = headers.get(b"x-original-uri", b"").decode("latin-1")
        found = _ADDRESS.fullmatch(uri)
        if found is None or _HOSTILE.search(found[2] or ""):
            return BAD_REQUEST
        instance_id, rest = found[1], found[2] or ""
        if rest == BOOTSTRAP_PATH:
            return TO_PLATFORM
        if _ROOT_API.match(rest):
            return NOT_FOUND
        route = self._state.routes.get(instance_id)
        if route is None or route["owner"] is None or self._visitor(headers) != route["owner"]:
            return TO_PLATFORM
        return 200, b"", ((b"x-upstream", route["address"].encode()),)

    def _visitor(self, headers: Mapping[bytes, bytes]) -> str | None:
        """The user whose session the request carries."""
        try:
            cookies = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
        except CookieError:
            return None
        for name in COOKIE_NAMES:
            if name in cookies:
                session = self._state.sessions.get(hashlib.sha256(cookies[name].value.encode()).hexdigest())
                if session is not None and session["expires_at"] > time.time():
                    return str(session["user"])
        return None

    async def _manage(self, scope: Scope, receive: Receive) -> Answer:
        kind, _, key = str(scope["path"]).strip("/").partition("/")
        singular = {"routes": "route", "sessions": "session"}.get(kind)
        if singular is None:
            return NOT_FOUND
        if scope["method"] == "GET":
            listing = self._state.routes if singular == "route" else self._state.sessions
            return 200, json.dumps(listing).encode(), ((b"content-type", b"application/json"),)
        if scope["method"] == "DELETE":
            self._state.drop(singular, key)
            return TO_PLATFORM
        body = json.loads(await read_body(receive))
        if singular == "route" and not self._may_change(key, body):
            return 409, b"A newer generation is bound.\n", ()
        if singular == "session" or not self._is_only_prepared(key, body):
            self._state.put(singular, key, body)
        return TO_PLATFORM

    def _may_change(self, key: str, body: Mapping[str, Any]) -> bool:
        present = self._state.routes.get(key)
        return present is None or body["owner"] is None or body["generation"] >= present["generation"]

    def _is_only_prepared(self, key: str, body: Mapping[str, Any]) -> bool:
        """Whether this would unbind a bound route, which preparing never does."""
        present = self._state.routes.get(key)
        return body["owner"] is None and present is not None and present["owner"] is not None
