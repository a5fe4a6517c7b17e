"""`openclaw-hosted alarms`: what is wrong with the platform now, and who is told."""

from __future__ import annotations

import typer

from openclaw_hosted.cli.client import AsJson, DataDir, Target, connect
from openclaw_hosted.cli.output import Exit, print_json, print_table, say, when

app = typer.Typer(no_args_is_help=True, help="What is wrong with the platform now, and who is told of it.")


@app.command(name="list")
@app.command(name="ls", hidden=True)
def list_alarms(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all alarms, those that are on first. Exits with 1 if one is on."""
    with connect(Target(data_dir)) as api:
        found = api.get("/alarms")
    if as_json:
        print_json(found)
    else:
        rows = [
            ("on" if item["on"] else "", item["name"], when(item["began_at"]), when(item["ended_at"]), item["about"] or item["what"])
            for item in found["items"]
        ]
        print_table(("", "ALARM", "BEGAN", "ENDED", "WHAT"), rows, "There are no alarms.")
        say(
            f"Told by {', '.join(found['channels'])}."
            if found["channels"]
            else "Nobody is told: set ALARM_EMAIL, ALARM_TELEGRAM_CHAT or ALARM_WEBHOOK_URL."
        )
    if any(item["on"] for item in found["items"]):
        raise typer.Exit(Exit.FAILED)


@app.command(name="test")
def try_channels(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Send a test message to all who are told of alarms. Exits with 1 if a message can't be delivered."""
    with connect(Target(data_dir)) as api:
        items = api.post("/alarms/test")["items"]
    if as_json:
        print_json({"items": items})
    else:
        print_table(
            ("CHANNEL", "RESULT"),
            [(item["channel"], item["problem"] or "told") for item in items],
            "Nobody is told: set ALARM_EMAIL, ALARM_TELEGRAM_CHAT or ALARM_WEBHOOK_URL.",
        )
    if any(item["problem"] for item in items):
        raise typer.Exit(Exit.FAILED)
