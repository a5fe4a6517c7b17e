"""`openclaw-hosted machines` and `pool`: what an operator looks after."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from openclaw_hosted.cli.client import AsJson, DataDir, Target, connect
from openclaw_hosted.cli.output import CommandError, Exit, err, out, print_fields, print_json, print_table, say, when
from openclaw_hosted.logging import logging_to

LAST_EXIT_CODE = 125


class Interruption(StrEnum):
    """What `interrupt` can say of a machine."""

    INTERRUPTION = "interruption"
    REBALANCE = "rebalance"
    MAINTENANCE = "maintenance"


machines = typer.Typer(no_args_is_help=True, help="The machines of the fleet.")
orphans = typer.Typer(no_args_is_help=True, help="What exists at the provider, and no instance or machine here owns.")
pool = typer.Typer(no_args_is_help=True, help="The spares, and the policy that keeps them ready.")


@machines.command(name="list")
def list_machines(
    everything: Annotated[bool, typer.Option("--all", help="Those that are gone as well.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """All machines that exist."""
    with connect(Target(data_dir)) as api:
        answered = api.get("/machines", include_terminated=everything)
    items = answered["items"]
    if as_json:
        print_json({"items": items, "more": answered.get("more", False)})
        return
    rows = [
        (item["id"], _state(item), item["warmth"], item["instance_id"], item["image"], when(item["state_changed_at"])) for item in items
    ]
    print_table(("ID", "STATE", "WARMTH", "INSTANCE", "OPENCLAW", "SINCE"), rows, "No machine yet; the pool makes them once it runs.")
    if answered.get("more"):
        say(f"These are the newest {len(items)}; there are older ones, which are not listed.")


def _state(item: dict[str, Any]) -> str:
    """With what was said of its end, while that matters."""
    said = item.get("notice")
    return f"{item['state']} ({said})" if said and item["state"] != "terminated" else str(item["state"])


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


@machines.command()
def interrupt(
    machine: Annotated[str, typer.Argument(metavar="MACHINE", help="Its id.")],
    kind: Annotated[Interruption, typer.Option("--kind", help="What is said of it.")] = Interruption.INTERRUPTION,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Treat a machine as if its provider were about to take it away: its instance moves to another one. With `interruption` it has two
    minutes; with `rebalance` and `maintenance` it moves once another machine is ready and no turn is under way."""
    _give_notice(machine, kind.value, data_dir, as_json=as_json)


@machines.command()
def drain(
    machine: Annotated[str, typer.Argument(metavar="MACHINE", help="Its id.")], data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Empty a machine: its instance moves once another machine is ready in its zone and no turn is under way; then it ends."""
    _give_notice(machine, "drain", data_dir, as_json=as_json)


def _give_notice(machine: str, kind: str, data_dir: Path | None, *, as_json: bool) -> None:
    with connect(Target(data_dir)) as api:
        found = api.post(f"/machines/{quote(machine, safe='')}/notices", {"kind": kind})
    if as_json:
        print_json(found)
    elif found["state"] == "assigned":
        say(f"{machine} is to be emptied: {found['instance_id']} moves once another machine is ready and no turn is under way.")
    elif found["leaves_at"]:
        say(f"{found['instance_id']} moves off {machine}, which ends once it has, or at {when(found['leaves_at'])}.")
    else:
        say(f"{machine} ends, and the pool makes another machine.")


@machines.command()
def shell(
    machine: Annotated[str, typer.Argument(metavar="MACHINE", help="Its id, or the provider's (i-…).")],
    command: Annotated[str | None, typer.Option("--command", "-c", help="Run this and end; without it, a prompt.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Run commands on a machine in AWS as root, by Run Command, where `aws ssm start-session` has no plugin. Each line is a command
    of its own; what it prints, SSM keeps for 30 days."""
    ref = machine if machine.startswith("i-") else _provider_ref(machine, data_dir)
    if command is not None:
        code, said, complained = _run(ref, command)
        if as_json:
            print_json({"machine": ref, "exit_code": code, "stdout": said, "stderr": complained})
        else:
            _show_output(said, complained)
        raise typer.Exit(code if 0 <= code <= LAST_EXIT_CODE else 1)
    say(f"Commands run as root on {ref}; an empty line ends.")
    while line := typer.prompt("$", default="", show_default=False, prompt_suffix=" "):
        _, said, complained = _run(ref, line)
        _show_output(said, complained)


@logging_to("warning", None)
def _run(ref: str, command: str) -> tuple[int, str, str]:
    import asyncio

    from openclaw_hosted.bootstrap import run_on_machine

    return asyncio.run(run_on_machine(ref, command))


def _provider_ref(machine: str, data_dir: Path | None) -> str:
    with connect(Target(data_dir)) as api:
        found = api.get(f"/machines/{quote(machine, safe='')}").get("provider_ref")
    if not found:
        raise CommandError(f"Machine {machine} has not been launched yet.", Exit.CONFLICT)
    return str(found)


def _show_output(said: str, complained: str) -> None:
    out.print(said.rstrip("\n"), markup=False)
    if complained.strip():
        err.print(complained.rstrip("\n"), markup=False)


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
    spares: Annotated[int, typer.Argument(metavar="SPARES", min=0, help="How many spares to keep from now on; FLEET_CAP at most.")],
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


@orphans.command(name="list")
def list_orphans(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """All that is kept, the oldest first."""
    with connect(Target(data_dir)) as api:
        items = api.get("/orphans")["items"]
    if as_json:
        print_json({"items": items})
        return
    rows = [(item["name"], item["state"].replace("_", " "), when(item["since"])) for item in items]
    print_table(("WHAT", "STATE", "SINCE"), rows, "Everything at the provider has an owner here.")


@orphans.command(name="remove")
def remove_orphan(
    name: Annotated[str, typer.Argument(metavar="WHAT", help="As `orphans list` shows it, in quotes: 'volume vol-7f3k2m9q'.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Have one removed for good, with the data that it may hold."""
    with connect(Target(data_dir)) as api:
        api.post("/orphans/remove", {"name": name})
    if as_json:
        print_json({"name": name, "state": "released"})
    else:
        say(f"{name} is removed within a minute or so.")
