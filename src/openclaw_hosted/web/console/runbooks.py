"""Runbooks, as pages: what an alarm means, how to see it, how to mend it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markdown_it import MarkdownIt
from markupsafe import Markup

from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.web.rendering import HERE, render

router = APIRouter()
SHIPPED: Final = HERE / "runbooks"
"""Put there by the build."""
IN_THE_TREE: Final = HERE.parents[2] / "docs" / "runbooks"
NAME: Final = re.compile(r"[a-z][a-z-]{2,40}")
_LINK: Final = re.compile(r'href="([a-z-]+)\.md"')
_ELSEWHERE: Final = re.compile(r'<a href="\.\./[^"]*">(.*?)</a>')


@router.get("/runbooks/{name}")
async def runbook_page(request: Request, name: str) -> Response:
    """One runbook."""
    if not NAME.fullmatch(name):
        raise NotFound("There is no such runbook.")
    return render(request, "console/runbook.html", title=name, text=_text(name))


@cache
def _text(name: str) -> Markup:
    """As HTML, without its title. Raises `NotFound`."""
    folder = SHIPPED if SHIPPED.is_dir() else IN_THE_TREE
    path: Path = folder / f"{name}.md"
    if not path.is_file():
        raise NotFound("There is no such runbook.")
    body = path.read_text().partition("\n")[2]
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(body)
    return Markup(_ELSEWHERE.sub(r"\1", _LINK.sub(r'href="/admin/runbooks/\1"', html)))  # noqa: S704 - our own text, escaped by its reader
