"""`openclaw-hosted machines` and `pool`: what an operator looks after."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from openclaw_hosted.cli.client import AsJson, DataDir, Target, connect
from openclaw_hosted.cli.output import print_fields, print_json, print_table, when

machines = typer.Typer(no_args_is_help=True, help="The machines of the fleet.")
pool = typer.Typer(no_args_is_help=True, help="The spares, and the policy that keeps them ready.")


@machines.command(name="list")
def list_machines(
    everything: Annotated[bool, typer.Option("--all", help="Those that are gone as well.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """All machines that exist."""
    with connect(Target(data_dir)) as api:
        items = api.get("/machines", include_terminated=everything)["items"]
    if as_json:
        print_json({"items": items})
        return
    rows = [
        (item["id"], item["state"], item["warmth"], item["instance_id"], item["image"], when(item["state_changed_at"])) for item in items
    ]
    print_table(("ID", "STATE", "WARMTH", "INSTANCE", "OPENCLAW", "SINCE"), rows, "No machine yet; the pool makes them once it runs.")


@machines.command(name="show")
def show_machine(
    machine: Annotated[str, typer.Argument(metavar="MACHINE", help="Its id.")], data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """One machine."""
    with connect(Target(data_dir)) as api:
        found = api.get(f"/machines/{quote(machine, safe='')}")
    if as_json:
        print_json(found)
    else:
        print_fields({name.replace("_", " "): when(value) if name.endswith("_at") else value for name, value in found.items()})


@pool.command(name="show")
def show_pool(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """How many spares are ready, how many there should be, and what the pool says of itself."""
    with connect(Target(data_dir)) as api:
        _print(api.get("/pool"), as_json=as_json)


@pool.command()
def replenish(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Have the pool look at once whether it needs machines."""
    with connect(Target(data_dir)) as api:
        _print(api.post("/pool/replenish"), as_json=as_json)


@pool.command()
def pause(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Launch no more machines until `resume`."""
    with connect(Target(data_dir)) as api:
        _print(api.post("/pool/pause"), as_json=as_json)


@pool.command()
def resume(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Launch again, and forget earlier failures."""
    with connect(Target(data_dir)) as api:
        _print(api.post("/pool/resume"), as_json=as_json)


@pool.command(name="set")
def set_pool(
    spares: Annotated[int, typer.Argument(metavar="SPARES", min=0, help="How many spares to keep from now on.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Keep so many spares, whatever POOL_SPARE_COUNT says."""
    with connect(Target(data_dir)) as api:
        _print(api.patch("/pool", {"spares": spares}), as_json=as_json)


def _print(report: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    print_fields(
        {
            "status": report["status"],
            "note": report["note"],
            "spares ready": f"{report['available']} of {report['spares_wanted']}",
            "waiting instances": report["waiting_instances"],
            "machines": ", ".join(f"{count} {state}" for state, count in report["machines"].items() if count) or "none",
            "fleet cap": report["fleet_cap"],
            "OpenClaw": report["image"],
            "paused": report["paused"],
            "failures in a row": report["failures_in_row"],
            "last error": report["error"],
        }
    )
