"""What a page says once about what was just done: its address carries a word for it, which a script takes out again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

PARAMETER: Final = "done"
HIDDEN_COOKIE: Final = "hidden-notice"
HIDDEN_SECONDS: Final = 365 * 86_400


class Done(StrEnum):
    """What was done."""

    SAVED = "saved"
    RESTARTING = "restarting"
    DELETED = "deleted"
    UNDONE = "undone"
    PASSWORD = "password"
    SESSION_ENDED = "session-ended"
    TOKEN_REVOKED = "token-revoked"
    POINT_ASKED = "point-asked"
    POINT_REMOVED = "point-removed"
    INVITATION_REVOKED = "invitation-revoked"
    SEVERAL = "several"


DONE_WORDS: Final = {
    Done.SAVED: "Saved.",
    Done.RESTARTING: "OpenClaw restarts.",
    Done.DELETED: "Deleted. You can undo this below.",
    Done.UNDONE: "The deletion was undone. It starts again with all its data.",
    Done.PASSWORD: "Your password was changed. All other sessions were ended.",
    Done.SESSION_ENDED: "The session was ended.",
    Done.TOKEN_REVOKED: "The token was revoked.",
    Done.POINT_ASKED: "A restore point is being made.",
    Done.POINT_REMOVED: "The restore point is being removed.",
    Done.INVITATION_REVOKED: "The invitation was revoked. Its link no longer works.",
    Done.SEVERAL: "Done. The list shows each change as it happens.",
}


def said_by(request: Request) -> str | None:
    """What a page has to say, if anything; whatever else stands in its address is not repeated."""
    words: Mapping[str, str] = {done.value: text for done, text in DONE_WORDS.items()}
    return words.get(request.query_params.get(PARAMETER, ""))


def has_hidden(request: Request, note: str | None) -> bool:
    """Whether the visitor put this notice away in this browser; another text is another notice."""
    return request.cookies.get(HIDDEN_COOKIE) == _mark(note)


def hide(response: Response, note: str | None) -> Response:
    """Have this browser not show the notice again."""
    response.set_cookie(HIDDEN_COOKIE, _mark(note), max_age=HIDDEN_SECONDS, httponly=True, samesite="lax")
    return response


def _mark(note: str | None) -> str:
    return hashlib.sha256((note or "").encode()).hexdigest()[:12]


def leave(request: Request, path: str, done: Done | None = None) -> Response:
    """Go on to `path`, a path of ours with a fragment at most, which then says what was done."""
    where, mark, fragment = path.partition("#")
    target = where if done is None else f"{where}?{PARAMETER}={done}"
    if "hx-request" in request.headers:
        return Response(status_code=204, headers={"HX-Redirect": target + mark + fragment})
    return RedirectResponse(target + mark + fragment, 303)
