"""`openclaw-hosted news`: whether you get news of your instances by e-mail."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from openclaw_hosted.cli.client import ActAs, AsJson, DataDir, Target, connect
from openclaw_hosted.cli.output import print_json, say

app = typer.Typer(no_args_is_help=True, help="News of your instances by e-mail.")


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


@app.command()
def mail(
    switch: Annotated[Switch | None, typer.Argument(help="Turn it on or off; without it, say how it is.", show_default=False)] = None,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Get an e-mail when an instance of yours fails, moves, will be upgraded, or its key is refused, and when the budget is reached."""
    with connect(Target(data_dir, user, needs_account=True)) as api:
        found = api.get("/me/mail") if switch is None else api.patch("/me/mail", {"on": switch is Switch.ON})
    if as_json:
        print_json(found)
    else:
        say(_said(found))


def _said(found: Any) -> str:
    state = "News by e-mail is on." if found["on"] else "News by e-mail is off."
    return state if found["possible"] else f"{state} The platform has no mail server: its operator sets SMTP_URL."
