"""`openclaw-hosted senders`: who may write to an instance over its channels."""

from __future__ import annotations

from typing import Annotated

import typer

from openclaw_hosted.cli.client import ActAs, Api, AsJson, DataDir, Target, connect
from openclaw_hosted.cli.instances import InstanceArgument, find
from openclaw_hosted.cli.output import CommandError, Exit, print_json, print_table, say, when

app = typer.Typer(no_args_is_help=True, help="List people who ask to write to an instance, and approve them.")

SenderArgument = Annotated[str, typer.Argument(metavar="SENDER", help="The sender's id on the channel, or the id of the request.")]


@app.command(name="list")
@app.command(name="ls", hidden=True)
def list_(instance: InstanceArgument, data_dir: DataDir = None, user: ActAs = None, as_json: AsJson = False) -> None:
    """List pending requests, oldest first."""
    with connect(Target(data_dir, user, needs_account=True)) as api:
        items = api.get(f"/instances/{find(api, instance)}/senders")["items"]
    if as_json:
        print_json({"items": items})
        return
    rows = [(item["sender_id"], item["sender_name"], item["channel"], when(item["asked_at"]), item["id"]) for item in items]
    print_table(
        ("SENDER", "NAME", "CHANNEL", "ASKED", "REQUEST"),
        rows,
        "No pending requests. Write to the bot once, and your request appears here.",
    )


@app.command()
def approve(
    instance: InstanceArgument, sender: SenderArgument, data_dir: DataDir = None, user: ActAs = None, as_json: AsJson = False
) -> None:
    """Let this sender write to the instance. They are told."""
    _settle(Target(data_dir, user, needs_account=True), instance, sender, "approve", as_json=as_json)


@app.command()
def dismiss(
    instance: InstanceArgument, sender: SenderArgument, data_dir: DataDir = None, user: ActAs = None, as_json: AsJson = False
) -> None:
    """Dismiss the request. The sender can ask again."""
    _settle(Target(data_dir, user, needs_account=True), instance, sender, "dismiss", as_json=as_json)


def _settle(target: Target, instance: str, sender: str, verb: str, *, as_json: bool) -> None:
    with connect(target) as api:
        instance_id = find(api, instance)
        request_id = _request_id(api, instance_id, sender)
        api.post(f"/instances/{instance_id}/senders/{request_id}/{verb}")
    if as_json:
        print_json({"instance_id": instance_id, "request_id": request_id, "settled": verb})
    else:
        say(f"{sender} is approved, and has been told." if verb == "approve" else f"The request of {sender} is dropped.")


def _request_id(api: Api, instance_id: str, sender: str) -> str:
    waiting = api.get(f"/instances/{instance_id}/senders")["items"]
    found = [item["id"] for item in waiting if sender in (item["sender_id"], item["id"])]
    if len(found) != 1:
        why = "has requests on several channels; use the id of the request" if found else "has no pending request"
        raise CommandError(f"{sender[:40]!r} {why}. See: openclaw-hosted senders list {instance_id}", Exit.NOT_FOUND)
    return str(found[0])
