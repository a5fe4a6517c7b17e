"""Ids of requests: what is a well-formed one, and who may give one."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

HEADER: Final = "X-Request-Id"
GIVEN: Final = "openclaw_hosted.request_id"
"""Where a request's scope holds the id that a trusted proxy gave it. No client can put anything there."""
_FORM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")

Scope = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]


def request_id_for(given: str | None) -> str:
    """`given` if it is well-formed, else a new one of 16 hexadecimal digits."""
    return given if given is not None and _FORM.fullmatch(given) else secrets.token_hex(8)


class TrustedIds:
    """Takes the header of a request over into its scope where its neighbour is a trusted proxy. It has to stand before whatever puts the
    client in the neighbour's place."""

    def __init__(self, app: App, trusts: Callable[[str | None], bool]) -> None:
        """`trusts` is asked with the neighbour's host, None for one on a Unix socket."""
        self._app = app
        self._trusts = trusts

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] == "http" and self._trusts((scope.get("client") or (None,))[0]):
            name = HEADER.lower().encode()
            given = [value for key, value in scope["headers"] if key == name]
            if len(given) == 1:
                scope = {**scope, GIVEN: given[0].decode("latin-1")}
        await self._app(scope, receive, send)
