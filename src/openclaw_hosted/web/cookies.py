"""The cookie that holds a browser's session."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openclaw_hosted.services.accounts import SESSION_SECONDS, SignedIn
from openclaw_hosted.web.context import WebOptions


def admit(response: Response, signed_in: SignedIn, options: WebOptions) -> Response:
    """`response`, with the cookie of a fresh session."""
    return _hold(response, signed_in.cookie, options)


def dismiss(response: Response, options: WebOptions) -> Response:
    """`response`, with the cookie taken away."""
    return _drop(response, options.cookie_names[0], options)


class CookieRenaming:
    """Moves a session from the name that cookies had in an earlier version to the platform's own, with the first answer."""

    def __init__(self, app: ASGIApp, options: WebOptions) -> None:
        self._app = app
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        state = scope.setdefault("state", {})

        async def send_renamed(message: Message) -> None:
            if message["type"] == "http.response.start" and "old_cookie" in state:
                message["headers"] = [*message["headers"], *self._renaming(*state["old_cookie"])]
            await send(message)

        await self._app(scope, receive, send_renamed)

    def _renaming(self, old_name: str, cookie: str) -> list[tuple[bytes, bytes]]:
        response = _drop(_hold(Response(), cookie, self._options), old_name, self._options)
        return [header for header in response.raw_headers if header[0] == b"set-cookie"]


def _hold(response: Response, cookie: str, options: WebOptions) -> Response:
    response.set_cookie(
        options.cookie_names[0],
        cookie,
        max_age=int(SESSION_SECONDS),
        path="/",
        secure=options.secure_cookies,
        httponly=True,
        samesite="lax",
    )
    return response


def _drop(response: Response, name: str, options: WebOptions) -> Response:
    response.delete_cookie(name, path="/", secure=options.secure_cookies, httponly=True, samesite="lax")
    return response
