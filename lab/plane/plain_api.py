"""What a stand-in gateway answers over HTTP: the part of OpenClaw 2026.9.6 that the platform asks for."""

from __future__ import annotations

import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from lab.plane.documents import Document, at, fingerprint, merged, resolved
from lab.plane.http import Request, Response, as_json
from lab.plane.plain_volumes import PlainVolume

PAGE: Final = b"<!doctype html><html><body><openclaw-app></openclaw-app></body></html>"
BOOTSTRAP_SECONDS: Final = 600.0
CLOSED: Final = Response(503, b"This OpenClaw has no owner yet.")
SUSPENDED_SECONDS: Final = 120.0


class Refused(Exception):
    """A call is refused; `code` is OpenClaw's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Running(Protocol):
    """What the API reads of the gateway that it belongs to."""

    @property
    def instance_id(self) -> str:
        """Whose it is."""
        ...

    @property
    def pid(self) -> int:
        """Its process."""
        ...

    @property
    def started_at(self) -> float:
        """When it was started last, in seconds since the epoch."""
        ...

    @property
    def volume(self) -> PlainVolume:
        """Where its state is."""
        ...

    @property
    def secrets(self) -> Mapping[str, str]:
        """As it has read them."""
        ...

    @property
    def rejects_settings(self) -> bool:
        """Whether it takes none."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it has no owner yet."""
        ...

    live: Mapping[str, str]
    """The file that it reads its secrets from."""

    def reload_secrets(self) -> None:
        """Read the secrets file again."""
        ...

    def log(self, line: str) -> None:
        """Add a line to its log."""
        ...


class GatewayApi:
    """The routes of one gateway."""

    def __init__(self, gateway: Running) -> None:
        self._gateway = gateway
        self._suspended: str | None = None
        """The id under which it takes no turns."""
        self._drains = False
        """How that was asked for."""
        self._methods: dict[str, dict[str, Callable[[Document], Document]]] = {
            "/api/v1/oc-hosted/rpc": {
                "identity": self._identity,
                "credentials.change": self._change,
                "claim": self._claim,
                "browser.bootstrap": self._bootstrap,
                "sessions.list": self._sessions,
                "sessions.patch": lambda _: {},
                "sessions.delete": self._forget_session,
                "secrets.reload": self._reload,
                "channels.pairing.list": lambda _: {"requests": []},
            },
            "/api/v1/admin/rpc": {
                "config.get": lambda _: {"config": gateway.volume.config, "hash": fingerprint(gateway.volume.config)},
                "config.patch": self._patch,
                "models.authStatus": self._providers,
                "gateway.suspend.prepare": self._suspend,
                "gateway.suspend.resume": self._resume,
            },
        }

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        if request.path == "/healthz":
            return as_json(200, {"ok": True, "status": "live"})
        if request.path == "/readyz":
            return as_json(200, {"ready": True})
        base = str(at(self._gateway.volume.config, ("gateway", "controlUi", "basePath")) or "")
        if request.method in ("GET", "HEAD") and base and (request.path == base or request.path.startswith(f"{base}/")):
            return CLOSED if self._gateway.closed and not self._knows_token(request) else Response(200, PAGE, "text/html")
        if request.method != "POST" or request.path not in (*self._methods, "/v1/chat/completions", "/tools/invoke"):
            return Response(404, b"Not Found")
        if not self._knows_token(request):
            return as_json(401, {"ok": False, "error": {"code": "UNAUTHORIZED", "message": "unauthorized"}})
        try:
            return self._call(request)
        except Refused as refusal:
            return as_json(400, {"ok": False, "error": {"code": refusal.code, "message": str(refusal)}})
        except ValueError:
            return as_json(400, {"ok": False, "error": {"code": "INVALID_REQUEST", "message": "not a JSON object"}})

    def _knows_token(self, request: Request) -> bool:
        token = resolved(at(self._gateway.volume.config, ("gateway", "auth", "token")), self._gateway.secrets)
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return token is not None and hmac.compare_digest(token.encode(), given.encode())

    def _call(self, request: Request) -> Response:
        body = request.json()
        if request.path == "/v1/chat/completions":
            return as_json(200, self._turn(request.headers.get("x-openclaw-session-key", "main"), body))
        if request.path == "/tools/invoke":
            return as_json(200, {"ok": True, "result": {}})
        method = self._methods[request.path].get(str(body.get("method")))
        if method is None:
            raise Refused("INVALID_REQUEST", "unknown method")
        return as_json(200, {"ok": True, "payload": method(body.get("params") or {})})

    def _turn(self, session: str, body: Document) -> Document:
        """Echo what the user said last, and keep it on the volume."""
        if self._suspended is not None:
            raise Refused("UNAVAILABLE", "gateway is suspended")
        said = [message.get("content") for message in body.get("messages", []) if message.get("role") == "user"]
        reply = f"You said: {said[-1] if said else ''}"
        self._gateway.volume.conversation.append({"session": session, "user": str(said[-1]) if said else "", "reply": reply})
        message = {"role": "assistant", "content": reply}
        return {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    def _identity(self, _params: Document) -> Document:
        gateway = self._gateway
        return {
            "instanceId": gateway.instance_id, "pid": gateway.pid, "startedAt": gateway.started_at, "takesCredentials": True,
            "closed": gateway.closed,
        }  # fmt: skip

    def _change(self, params: Document) -> Document:
        kept = {name: value for name, value in self._gateway.live.items() if name not in params.get("remove", ())}
        self._gateway.live = {**kept, **params.get("set", {})}
        return {"startedAt": self._gateway.started_at}

    def _claim(self, _params: Document) -> Document:
        self._gateway.volume.claimed = True
        return {}

    def _bootstrap(self, _params: Document) -> Document:
        expires_at_ms = int((time.time() + BOOTSTRAP_SECONDS) * 1000)
        return {"bootstrapToken": secrets.token_urlsafe(24), "bootstrapProfile": "owner", "expiresAtMs": expires_at_ms}

    def _sessions(self, _params: Document) -> Document:
        return {
            "sessions": [
                {"key": f"agent:main:{key}"} for key in dict.fromkeys(turn["session"] for turn in self._gateway.volume.conversation)
            ]
        }

    def _forget_session(self, params: Document) -> Document:
        session = str(params.get("key", "")).removeprefix("agent:main:")
        volume = self._gateway.volume
        volume.conversation[:] = [turn for turn in volume.conversation if turn["session"] != session]
        return {"ok": True, "archived": []}

    def _suspend(self, params: Document) -> Document:
        """A turn takes no time here, so that it always rests."""
        request_id, drains = str(params["requestId"]), params.get("drain") is True
        if self._suspended is not None and (self._suspended, self._drains) != (request_id, drains):
            raise Refused("UNAVAILABLE", "another gateway suspension is already prepared")
        self._suspended, self._drains = request_id, drains
        expires_at_ms = int((time.time() + SUSPENDED_SECONDS) * 1000)
        return {"status": "ready", "suspensionId": self._suspended, "expiresAtMs": expires_at_ms, "activeCount": 0, "blockers": []}

    def _resume(self, params: Document) -> Document:
        if self._suspended is not None and params.get("suspensionId") != self._suspended:
            raise Refused("INVALID_REQUEST", "another suspension is held")
        resumed, self._suspended = self._suspended is not None, None
        return {"ok": True, "status": "running", "resumed": resumed}

    def _reload(self, _params: Document) -> Document:
        self._gateway.reload_secrets()
        return {}

    def _patch(self, params: Document) -> Document:
        volume = self._gateway.volume
        if params.get("baseHash") != fingerprint(volume.config):
            raise Refused("INVALID_REQUEST", "config changed since last load; re-run config.get and retry")
        patch: Any = json.loads(str(params.get("raw", "")))
        if self._gateway.rejects_settings or not isinstance(patch, dict):
            raise Refused("INVALID_REQUEST", "invalid config")
        volume.config = merged(volume.config, patch)
        self._gateway.reload_secrets()
        self._gateway.log("config reload applied")
        return {"ok": True, "hash": fingerprint(volume.config)}

    def _providers(self, _params: Document) -> Document:
        providers = at(self._gateway.volume.config, ("models", "providers"))
        return {"providers": [{"provider": name} for name in providers] if isinstance(providers, dict) else []}
