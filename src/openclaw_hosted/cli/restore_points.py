"""`openclaw-hosted restore-points`: what an instance held at a moment."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from openclaw_hosted.cli.client import ActAs, AsJson, DataDir, Target, connect
from openclaw_hosted.cli.instances import InstanceArgument, find
from openclaw_hosted.cli.output import print_json, print_table, say, when

app = typer.Typer(no_args_is_help=True, help="List, make and remove restore points of an instance.")
PointArgument = Annotated[str, typer.Argument(metavar="POINT", help="Its id, such as rp-7f3k2m9q.")]
MEGABYTE = 1_000_000


@app.command(name="list")
def list_(instance: InstanceArgument, data_dir: DataDir = None, user: ActAs = None, as_json: AsJson = False) -> None:
    """List the restore points of an instance, newest first."""
    with connect(Target(data_dir, user, needs_account=True)) as api:
        found = api.get(f"/instances/{find(api, instance)}/restore-points")
    if as_json:
        print_json(found)
        return
    rows = [(each["id"], when(each["made_at"]), each["cause"], each["state"], _size(each)) for each in found["items"]]
    print_table(("ID", "MADE", "CAUSE", "STATE", "SIZE"), rows, "No restore point yet: openclaw-hosted restore-points make INSTANCE")


@app.command()
def make(instance: InstanceArgument, data_dir: DataDir = None, user: ActAs = None, as_json: AsJson = False) -> None:
    """Make a restore point now."""
    with connect(Target(data_dir, user, needs_account=True)) as api:
        made = api.post(f"/instances/{find(api, instance)}/restore-points")
    if as_json:
        print_json(made)
    else:
        say(f"{made['id']} is being made.")


@app.command()
def remove(instance: InstanceArgument, point: PointArgument, data_dir: DataDir = None, user: ActAs = None) -> None:
    """Remove a restore point for good."""
    with connect(Target(data_dir, user, needs_account=True)) as api:
        api.delete(f"/instances/{find(api, instance)}/restore-points/{point}")
    say(f"{point} is removed.")


def _size(point: Any) -> str:
    return "" if point["size_bytes"] is None else f"{point['size_bytes'] / MEGABYTE:.1f} MB"
