"""How the platform talks to a running gateway: OpenClaw's admin API, the platform's own plugin, and the chat API."""

from __future__ import annotations

from typing import Any, Final

import httpx

from openclaw_hosted.adapters.fetching import fetch
from openclaw_hosted.domain.errors import Denied, PortError, Unavailable
from openclaw_hosted.domain.foreign import foreign_object, plain_text

OPENCLAW_MARKUP: Final = b"<openclaw-app"
"""What OpenClaw's page has, and no other."""
CLOSED_MARK: Final = b"This OpenClaw has no owner yet."
"""What a spare's gateway says in its place (oc-hosted/reserved.js)."""
ADMIN_PATH: Final = "/api/v1/admin/rpc"
BRIDGE_PATH: Final = "/api/v1/oc-hosted/rpc"
CALL_TIMEOUT_SECONDS: Final = 30.0
READY_TIMEOUT_SECONDS: Final = 5.0
TURN_TIMEOUT_SECONDS: Final = 300.0
"""The first turn of a gateway loads half of OpenClaw: 10 s of a quiet core, minutes where several start on a small computer."""
PLATFORM_CLIENT: Final = "192.0.2.2"
"""The platform is a client as any other (RFC 5737 address): OpenClaw refuses a trusted proxy that names none, and counts wrong tokens
for each client, so that a user who guesses can't lock the platform out."""


class RpcRefused(PortError):
    """The gateway refused a call; `code` is OpenClaw's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class GatewayClient:
    """Calls to one gateway, as its owner."""

    def __init__(self, http: httpx.AsyncClient, address: str, token: str) -> None:
        self._http = http
        self._origin = f"http://{address}"
        self._headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": PLATFORM_CLIENT}

    async def admin(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call a method of OpenClaw's admin API; returns its payload. Raises `RpcRefused`, `Denied`, `Unavailable`."""
        return await self._call(ADMIN_PATH, method, params)

    async def bridge(self, method: str, params: dict[str, Any] | None = None, timeout_seconds: float | None = None) -> dict[str, Any]:
        """Call a method of the platform's own plugin; returns its payload."""
        return await self._call(BRIDGE_PATH, method, params, timeout_seconds)

    async def is_ready(self) -> bool:
        """Whether OpenClaw says that all of it has started."""
        try:
            answer = await fetch(self._http, "GET", f"{self._origin}/readyz", headers=self._headers, seconds=READY_TIMEOUT_SECONDS)
        except httpx.HTTPError:
            return False
        return answer.status == 200

    async def page(self, path: str) -> None:
        """Ask for a page as a browser does, but with the token: a spare lets nobody else in."""
        headers = {**self._headers, "Accept": "text/html"}
        try:
            await fetch(self._http, "GET", f"{self._origin}{path}", headers=headers, seconds=CALL_TIMEOUT_SECONDS)
        except httpx.HTTPError as problem:
            raise Unavailable(f"The gateway does not answer ({type(problem).__name__}).") from None

    async def tool(self, name: str, arguments: dict[str, Any], *, session_key: str) -> None:
        """Have one of OpenClaw's tools run, without a model."""
        await self._post("/tools/invoke", {"tool": name, "args": arguments, "sessionKey": session_key}, CALL_TIMEOUT_SECONDS)

    async def turn(self, text: str, *, session_key: str, model: str) -> str:
        """Have one turn answered by this model; returns the reply."""
        body = {"model": "openclaw", "messages": [{"role": "user", "content": text}]}
        headers = {"x-openclaw-session-key": session_key, "x-openclaw-model": model}
        answer = await self._post("/v1/chat/completions", body, TURN_TIMEOUT_SECONDS, headers)
        try:
            return str(answer["choices"][0]["message"]["content"])
        except (KeyError, IndexError, TypeError):
            raise Unavailable("The gateway did not answer a turn.") from None

    async def _call(self, path: str, method: str, params: dict[str, Any] | None, timeout_seconds: float | None = None) -> dict[str, Any]:
        answer = await self._post(path, {"method": method, "params": params or {}}, timeout_seconds or CALL_TIMEOUT_SECONDS)
        if answer.get("ok") is not True:
            error = answer.get("error")
            details = error if isinstance(error, dict) else {}
            raise RpcRefused(str(details.get("code", "UNKNOWN")), plain_text(str(details.get("message", "no reason given"))))
        payload = answer.get("payload")
        return payload if isinstance(payload, dict) else {}

    async def _post(self, path: str, body: dict[str, Any], timeout_seconds: float, headers: dict[str, str] | None = None) -> dict[str, Any]:
        try:
            answer = await fetch(
                self._http,
                "POST",
                f"{self._origin}{path}",
                json=body,
                headers={**self._headers, **(headers or {})},
                seconds=timeout_seconds,
            )
        except httpx.HTTPError as problem:
            raise Unavailable(f"The gateway does not answer ({type(problem).__name__}).") from None
        if answer.status in (401, 403):
            raise Denied("The gateway does not take its own token: something else answers at its address.")
        content = foreign_object(answer.body)
        if content is None:
            raise Unavailable(f"The gateway answered with status {answer.status} and no JSON.")
        return content
