"""`openclaw-hosted api`: anything that the API does and no other command has."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from openclaw_hosted.cli.client import ActAs, DataDir, Target, connect
from openclaw_hosted.cli.output import CommandError, Exit, print_json


class Method(StrEnum):
    """What can be done with a path."""

    GET = "GET"
    POST = "POST"
    PATCH = "PATCH"
    DELETE = "DELETE"


def api(
    method: Annotated[Method, typer.Argument(metavar="METHOD", case_sensitive=False, help="GET, POST, PATCH or DELETE.")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="Below /api/v1, such as /instances?limit=5. See /api/docs.")],
    body: Annotated[str | None, typer.Option("--data", "-d", help="The body as JSON; @FILE reads a file, @- standard input.")] = None,
    data_dir: DataDir = None,
    user: ActAs = None,
) -> None:
    """Send one request to the platform's API, and print the JSON that it answers."""
    below = path.removeprefix("/api/v1")
    if not below.startswith("/"):
        raise CommandError(f"{path!r} is not a path of the API; give one like /instances.", Exit.USAGE)
    with connect(Target(data_dir, user, needs_account=True)) as platform:
        answered = platform.call(method.value, below, _parsed(body))
    if answered is not None:
        print_json(answered)


def _parsed(body: str | None) -> Any:
    if body is None:
        return None
    try:
        return json.loads(_text(body))
    except ValueError as error:
        raise CommandError(f"--data is not JSON: {error}", Exit.USAGE) from error


def _text(body: str) -> str:
    if not body.startswith("@"):
        return body
    try:
        return sys.stdin.read() if body == "@-" else Path(body[1:]).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{body[1:]} can't be read: {error}", Exit.USAGE) from error
