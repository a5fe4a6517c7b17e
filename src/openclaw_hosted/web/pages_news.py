"""News of one's instances, which each browser can put away one by one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from openclaw_hosted.domain.errors import FieldProblem, InvalidInput
from openclaw_hosted.domain.news import News
from openclaw_hosted.web.forms import text_of
from openclaw_hosted.web.said import HIDDEN_SECONDS
from openclaw_hosted.web.security import VisitorForm, local_path

router = APIRouter(include_in_schema=False)
COOKIE: Final = "hidden-news"
KEPT: Final = 50
"""Of the newest marks."""
_MARKS: Final = re.compile(r"[0-9a-f]{8}(\.[0-9a-f]{8})*")
_MARK: Final = re.compile(r"[0-9a-f]{8}")


@router.post("/account/hide-news")
async def hide_news(request: Request, form: VisitorForm) -> Response:
    """Have this browser not show it again."""
    mark = text_of(form, "mark")
    if not _MARK.fullmatch(mark):
        raise InvalidInput(FieldProblem("mark", "There is no such news."))
    kept = [mark, *(each for each in _hidden(request) if each != mark)][:KEPT]
    response = RedirectResponse(local_path(text_of(form, "back")), 303)
    response.set_cookie(COOKIE, ".".join(kept), max_age=HIDDEN_SECONDS, httponly=True, samesite="lax")
    return response


def not_hidden(request: Request, news: Sequence[News]) -> Sequence[News]:
    """Those that this browser has not put away."""
    hidden = _hidden(request)
    return [each for each in news if each.mark not in hidden]


def _hidden(request: Request) -> Sequence[str]:
    given = request.cookies.get(COOKIE, "")
    return given.split(".")[:KEPT] if _MARKS.fullmatch(given) else []
