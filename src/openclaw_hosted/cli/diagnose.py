"""`openclaw-hosted diagnose`: what is wrong with an instance or a machine, and what mends it."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from openclaw_hosted.cli.client import AsJson, DataDir, Target, connect
from openclaw_hosted.cli.instances import find
from openclaw_hosted.cli.output import Exit, out, print_json, say

MARKS: Final = {"ok": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("–", "yellow")}


def diagnose(
    subject: Annotated[str, typer.Argument(metavar="INSTANCE|MACHINE", help="An id, such as oc-7f3k2m9q or mc-7f3k2m9q, or a name.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with an instance or a machine, and what mends it. For admins. Exits with 1 if something is wrong.

    Looks at capacity, clocks, machine, disk, memory, process, gateway, route, address, target and key, and changes nothing.
    """
    with connect(Target(data_dir)) as api:
        if subject.startswith("mc-"):
            found = api.get(f"/machines/{quote(subject, safe='')}/diagnosis")
        else:
            found = api.get(f"/instances/{find(api, subject)}/diagnosis")
    if as_json:
        print_json(found)
    else:
        _print(found)
    if found["cause"]:
        raise typer.Exit(Exit.FAILED)


def _print(found: dict[str, Any]) -> None:
    out.print(f"{found['subject']} is {found['state']}", markup=False)
    for each in found["findings"]:
        mark, style = MARKS[each["outcome"]]
        out.print(mark, style=style, end=" ")
        out.print(f"{each['step']:<9} {each['reason']}", markup=False)
    if not found["cause"]:
        say("Nothing is wrong that can be seen from here.")
        return
    say(f"Likely cause: {found['what']}")
    say(f"What to do: {found['fix']}")
    if found["runbook"]:
        say(f"More: docs/runbooks/{found['runbook']}.md")
