"""`openclaw-hosted instances logs` and `events`: what an instance does, and what happened to it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import typer

from openclaw_hosted.cli.client import ActAs, Api, AsJson, DataDir, connect
from openclaw_hosted.cli.instances import InstanceArgument, app, find, target_of
from openclaw_hosted.cli.output import CommandError, Exit, out, print_json, print_table, when
from openclaw_hosted.domain.loglines import Level

LOOK_EVERY_SECONDS: Final = 1.0
LINES_MAX: Final = 2000
COMPARED_LINES: Final = 5
"""Enough to find one's place in a log."""


@app.command()
def logs(
    instance: InstanceArgument,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=LINES_MAX, help="How many.")] = 200,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new lines until Ctrl-C.")] = False,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only what came since then: 15m, 2h, or a time such as 2026-11-30T08:00:00Z.")
    ] = None,
    level: Annotated[Level | None, typer.Option(help="Only lines of this level or worse.")] = None,
    search: Annotated[str, typer.Option(metavar="WORDS", help="Only lines that hold these words.")] = "",
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Print the newest lines of its OpenClaw's log, without credentials. Times are UTC."""
    if follow and as_json:
        raise CommandError("--follow prints lines as they come; leave out --json.", Exit.USAGE)
    with connect(target_of(data_dir, user)) as api:
        path = f"/instances/{find(api, instance)}/logs"
        wish = {"since": since, "level": level.value if level else None, "search": search}
        asked = {name: value for name, value in wish.items() if value}
        found = api.get(path, lines=lines, **asked)
        if as_json:
            print_json(found)
            return
        _print_lines(found["lines"])
        if follow:
            _follow(api, path, found["lines"], asked)


@app.command()
def events(
    instance: InstanceArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many.")] = 50,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """List what happened to an instance, newest first."""
    with connect(target_of(data_dir, user)) as api:
        found = api.get(f"/instances/{find(api, instance)}/history", limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            when(event["at"]),
            event["name"],
            event["actor"]["name"] if event["actor"] else None,
            ", ".join(f"{key}: {value}" for key, value in sorted(event["detail"].items())),
        )
        for event in found["items"]
    ]
    print_table(("WHEN", "WHAT", "WHO", "DETAIL"), rows, "Nothing has happened to it yet.")


def _follow(api: Api, path: str, seen: Sequence[str], asked: Mapping[str, str]) -> None:
    while True:
        time.sleep(LOOK_EVERY_SECONDS)
        now = api.get(path, lines=LINES_MAX, **asked)["lines"]
        _print_lines(new_lines(seen, now))
        seen = now or seen


def new_lines(seen: Sequence[str], now: Sequence[str]) -> Sequence[str]:
    """The lines of `now` that follow on the last ones of `seen`; all where these are gone."""
    for end in range(len(now), 0, -1):
        compared = min(COMPARED_LINES, len(seen), end)
        if compared and list(now[end - compared : end]) == list(seen[-compared:]):
            return now[end:]
    return now


def _print_lines(lines: Sequence[str]) -> None:
    for line in lines:
        out.print(line, markup=False)
