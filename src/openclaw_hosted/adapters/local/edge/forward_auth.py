"""Forward-auth: for each new request, who may pass and to which address.

It outlives the control plane, and holds routes and sessions in memory, and in a small database of its own,
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
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from openclaw_hosted.adapters.local.edge.own_numbers import is_own_number
from openclaw_hosted.adapters.local.edge.relay import Pass
from openclaw_hosted.domain.naming import INSTANCE_ID_PATTERN
from openclaw_hosted.domain.origins import Addresses

BOOTSTRAP_PATH: Final = "/.well-known/openclaw/browser-bootstrap"
_ADDRESS = re.compile(rf"/({INSTANCE_ID_PATTERN})(/[^?]*)?(?:\?.*)?", re.DOTALL)
_HOSTILE = re.compile(r"%(25|2e|2f|5c|[01][0-9a-f]|7f)|\\|//|(^|/)\.\.?(/|$)", re.IGNORECASE)
"""What OpenClaw 2026.9 would normalise, doubly encoded or not, so that the path could become another one."""
_ROOT_API = re.compile(r"/((api|v1|tools|hooks|__openclaw__|healthz|readyz|startupz)(/|$)|plugins/)", re.IGNORECASE)
"""`/plugins` itself is a page of OpenClaw's UI."""
_PAGE_FILE = re.compile(
    r"/(__openclaw__/(assistant-media|catalog-icon|channel-avatar|link-favicon|plugin-activity-icon|plugin-icon|plugin-theme-art|workspace-icon)"
    r"|api/(artifacts/download|chat/media/outgoing|users))(/|\?|$)"
)
"""What OpenClaw's page itself fetches from under its prefix; the gateway asks for its token there. Some of it was made by a model."""

Answer = tuple[int, bytes, tuple[tuple[bytes, bytes], ...]]

TO_PLATFORM: Final[Answer] = (204, b"", ())
DONE: Final[Answer] = (204, b"", ())
_PLAIN = ((b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"))
_JSON = ((b"content-type", b"application/json"),)
BAD_REQUEST: Final[Answer] = (400, b"This address is not in a form that is served here.\n", _PLAIN)
FORBIDDEN: Final[Answer] = (403, b"A worker's script stands under the instance's own address.\n", _PLAIN)
FOREIGN: Final[Answer] = (403, b"This request came from another site.\n", _PLAIN)
NOT_FOUND: Final[Answer] = (404, b"Not found.\n", _PLAIN)


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

    def forget_expired(self, now: float) -> None:
        """Take the sessions away that have run out."""
        for key in [key for key, session in self.sessions.items() if session["expires_at"] <= now]:
            self.drop("session", key)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _load(self, kind: str) -> dict[str, dict[str, Any]]:
        rows = self._database.execute("SELECT key, body FROM entries WHERE kind = ?", (kind,))
        return {key: json.loads(body) for key, body in rows}

    def _of(self, kind: str) -> dict[str, dict[str, Any]]:
        return self.routes if kind == "route" else self.sessions


class ForwardAuth:
    """Answers the edge's questions, and the control plane's changes. Each answer follows from what is in memory, without waiting."""

    def __init__(self, state: EdgeState) -> None:
        self._state = state
        self._probes: dict[str, tuple[str, float]] = {}
        """By the hash of what they carry: to which instance they may pass, once, and until when. Gone with this process."""

    def answer(self, method: str, path: str, headers: Mapping[bytes, bytes], body: bytes) -> Answer:
        """One request; header names are in lower case."""
        return self.decide(headers) if path == "/lookup" else self._manage(method, path, body)

    def decide(self, headers: Mapping[bytes, bytes]) -> Answer:
        """Who may pass, and where to. 200 names the gateway, 204 hands the request to the platform, others end it."""
        uri = headers.get(b"x-original-uri", b"").decode("latin-1")
        found = _ADDRESS.fullmatch(uri)
        if found is None or _HOSTILE.search(found[2] or ""):
            return BAD_REQUEST
        instance_id, rest = found[1], found[2] or ""
        if headers.get(b"x-worker") and not rest:
            return FORBIDDEN  # the scope of such a script would be the whole origin
        if rest == BOOTSTRAP_PATH:
            return TO_PLATFORM
        is_page_file = _PAGE_FILE.match(rest) is not None
        if not is_page_file and _ROOT_API.match(unquote(rest)):
            return NOT_FOUND
        route = self._state.routes.get(instance_id)
        if route is None or route["owner"] is None or route.get("held"):
            return TO_PLATFORM
        key = self._key_that_passes(instance_id, route["owner"], headers)
        if key is None:
            return TO_PLATFORM
        if _is_foreign(headers):
            return FOREIGN
        confined = ((b"x-confine", b"sandbox"),) if is_page_file else ()
        named = ((b"x-upstream", route["address"].encode()), (b"x-instance", instance_id.encode()), (b"x-session", key.encode()))
        return 200, b"", (*named, *confined)

    def is_good(self, given: Pass) -> bool:
        """Whether a new request would be let pass on these grounds now."""
        route = self._state.routes.get(given.instance_id)
        return route is not None and route["address"] == given.address and self._is_of(given.session, route["owner"])

    def _is_of(self, key: str, owner: str | None) -> bool:
        """Whether this is a session of the owner that has not run out."""
        session = self._state.sessions.get(key)
        return session is not None and session["user"] == owner and session["expires_at"] > time.time()

    def _key_that_passes(self, instance_id: str, owner: str, headers: Mapping[bytes, bytes]) -> str | None:
        """The hash of the cookie that is a session of the owner, or a probe of this instance, which is used up by that.

        Other programs on this host may have set cookies in any form.
        """
        names = headers.get(b"x-cookies", b"").decode("latin-1").split(" ")
        for cookie in headers.get(b"cookie", b"").decode("latin-1").split(";"):
            name, _, value = cookie.strip(" \t").partition("=")
            if name in names:
                key = hashlib.sha256(value.encode()).hexdigest()
                if self._is_of(key, owner):
                    return key
                probed, until = self._probes.pop(key, ("", 0.0))
                if probed == instance_id and until > time.monotonic():
                    return key
        return None

    def _manage(self, method: str, path: str, body: bytes) -> Answer:
        kind, _, key = path.strip("/").partition("/")
        match method, kind:
            case "GET", "routes":
                return _shown(self._state.routes, key)
            case "GET", "sessions":
                self._state.forget_expired(time.time())
                return _shown(self._state.sessions, key)
            case "PUT", "routes":
                return self._put_route(key, json.loads(body))
            case "PUT", "holds":
                return self._hold(key, json.loads(body))
            case "PUT", "sessions":
                self._state.forget_expired(time.time())
                self._state.put("session", key, json.loads(body))
                return DONE
            case "PUT", "probes":
                return self._let_probe_pass(key, json.loads(body))
            case "DELETE", ("routes" | "sessions"):
                self._state.drop(kind.removesuffix("s"), key)
                return DONE
        return NOT_FOUND

    def _let_probe_pass(self, instance_id: str, body: dict[str, Any]) -> Answer:
        """One request that carries `session`, within `seconds`, where the route is bound and leads to `address`."""
        route, now = self._state.routes.get(instance_id), time.monotonic()
        if route is None or route["owner"] is None or route["address"] != body["address"]:
            return NOT_FOUND
        self._probes = {key: probe for key, probe in self._probes.items() if probe[1] > now}
        self._probes[body["session"]] = instance_id, now + body["seconds"]
        return DONE

    def _hold(self, key: str, body: dict[str, Any]) -> Answer:
        """Requests go to the platform until the route is bound anew, if it leads to this machine. What is open stays so."""
        present = self._state.routes.get(key)
        if present is not None and present["owner"] is not None and present["machine"] == body["machine"] and not present.get("held"):
            self._state.put("route", key, {**present, "held": True})
        return DONE

    def _put_route(self, key: str, body: dict[str, Any]) -> Answer:
        """Prepare (without an owner) or bind. A bound route is left alone by preparing, and by a bind of an older generation."""
        present = self._state.routes.get(key)
        if present is not None and present["owner"] is not None:
            if body["owner"] is None:
                return DONE
            if body["generation"] < present["generation"]:
                return 409, b"A newer generation is bound.\n", _PLAIN
        self._state.put("route", key, body)
        return DONE


def _is_foreign(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a page of another site asks. Browsers name the origin of each WebSocket and of what may change something; a page without an
    origin, such as a sandboxed file, gets no WebSocket."""
    origin, addresses = (headers.get(name, b"").decode("latin-1") for name in (b"x-origin", b"x-addresses"))
    if not origin or (origin == "null" and not headers.get(b"x-upgrade")):
        return False
    public, *others = addresses.split(" ")
    return not Addresses(public, tuple(others), is_own=is_own_number).know(origin)


def _shown(entries: Mapping[str, Any], key: str) -> Answer:
    """One entry, or all of them without a key."""
    if key and key not in entries:
        return NOT_FOUND
    return 200, json.dumps(entries[key] if key else entries).encode(), _JSON
