"""`openclaw-hosted webhooks`: addresses that are told what happens to instances."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from openclaw_hosted.cli.client import ActAs, AsJson, DataDir, Target, connect
from openclaw_hosted.cli.output import CommandError, out, print_json, print_table, say, when
from openclaw_hosted.domain.words import event_words

app = typer.Typer(no_args_is_help=True, help="Messages about your instances to addresses of yours.")

WebhookArgument = Annotated[str, typer.Argument(metavar="ID", help="Its id, as `webhooks list` shows it.")]


@app.command(name="list")
@app.command(name="ls", hidden=True)
def list_(data_dir: DataDir = None, user: ActAs = None, as_json: AsJson = False) -> None:
    """List your webhooks, without their secrets."""
    with connect(Target(data_dir, user, needs_account=True)) as api:
        items = api.get("/webhooks")["items"]
    if as_json:
        print_json({"items": items})
        return
    rows = [(item["id"], item["url"], _state(item), ", ".join(item["events"]) or "all", item["error"]) for item in items]
    print_table(("ID", "ADDRESS", "STATE", "EVENTS", "LAST ERROR"), rows, "No webhook yet: openclaw-hosted webhooks create URL")


@app.command()
def create(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address to which messages are sent by POST.")],
    event: Annotated[list[str] | None, typer.Option(help="Send this event only, such as instance.failed. Repeat it for more.")] = None,
    all_instances: Annotated[bool, typer.Option("--all", help="Send events of everybody's instances. Admins only.")] = False,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Create a webhook, and print the secret that signs its messages. It is shown only once."""
    with connect(Target(data_dir, user, needs_account=True)) as api:
        made = api.post("/webhooks", {"url": url, "events": event or [], "all_instances": all_instances})
    if as_json:
        print_json(made)
        return
    out.print(made["secret"], markup=False)
    say(f"This is the secret of {made['id']}. It is not shown again. Send a test: openclaw-hosted webhooks test {made['id']}")


@app.command()
def delete(webhook: WebhookArgument, data_dir: DataDir = None, user: ActAs = None) -> None:
    """Delete a webhook."""
    with connect(Target(data_dir, user, needs_account=True)) as api:
        api.delete(f"/webhooks/{quote(webhook, safe='')}")
    say(f"Webhook {webhook} is deleted.")


@app.command(name="test")
def try_(webhook: WebhookArgument, data_dir: DataDir = None, user: ActAs = None, as_json: AsJson = False) -> None:
    """Send a test message now, and print the result."""
    with connect(Target(data_dir, user, needs_account=True)) as api:
        delivery = api.post(f"/webhooks/{quote(webhook, safe='')}/test")
    if as_json:
        print_json(delivery)
    elif delivery["ok"]:
        say(f"The address answered {delivery['status']} after {delivery['seconds']:.2f} s.")
    if not delivery["ok"]:
        raise CommandError(delivery["error"])


@app.command()
def enable(webhook: WebhookArgument, data_dir: DataDir = None, user: ActAs = None, as_json: AsJson = False) -> None:
    """Turn a webhook on again that the platform turned off. Events in between are not sent."""
    with connect(Target(data_dir, user, needs_account=True)) as api:
        enabled = api.post(f"/webhooks/{quote(webhook, safe='')}/enable")
    if as_json:
        print_json(enabled)
    else:
        say(f"Webhook {webhook} is on.")


@app.command()
def deliveries(webhook: WebhookArgument, data_dir: DataDir = None, user: ActAs = None, as_json: AsJson = False) -> None:
    """List recent attempts to deliver messages, newest first."""
    with connect(Target(data_dir, user, needs_account=True)) as api:
        items = api.get(f"/webhooks/{quote(webhook, safe='')}/deliveries")["items"]
    if as_json:
        print_json({"items": items})
        return
    rows = [(when(item["at"]), event_words(item["type"]), item["attempt"], item["status"], item["error"]) for item in items]
    print_table(
        ("WHEN", "EVENT", "ATTEMPT", "ANSWER", "ERROR"), rows, "Nothing was sent yet. Send a test: openclaw-hosted webhooks test ID"
    )


def _state(item: Any) -> str:
    if not item["enabled"]:
        return "turned off"
    return "failing" if item["failing_since"] else "on"
