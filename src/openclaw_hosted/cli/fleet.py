"""`openclaw-hosted machines` and `pool`: what an operator looks after."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from openclaw_hosted.cli.client import AsJson, DataDir, Target, connect
from openclaw_hosted.cli.output import CommandError, Exit, err, out, print_fields, print_json, print_table, say, when
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.logging import logging_to

LAST_EXIT_CODE = 125


class Interruption(StrEnum):
    """What `interrupt` can say of a machine."""

    INTERRUPTION = "interruption"
    REBALANCE = "rebalance"
    MAINTENANCE = "maintenance"


State = Annotated[MachineState | None, typer.Option("--state", help="Only machines in this state.", show_default=False)]
Search = Annotated[
    str, typer.Option("--search", help="Only machines with this in their id, instance, provider's name or zone.", show_default=False)
]
machines = typer.Typer(no_args_is_help=True, help="The machines of the fleet.")
orphans = typer.Typer(no_args_is_help=True, help="Things at the provider that no instance or machine here owns.")
pool = typer.Typer(no_args_is_help=True, help="The spares, and the policy that keeps them ready.")


@machines.command(name="list")
@machines.command(name="ls", hidden=True)
def list_machines(
    everything: Annotated[bool, typer.Option("--all", help="Include machines that are gone.")] = False,
    state: State = None,
    search: Search = "",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only this many, the newest.", show_default="all")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List machines, newest first."""
    with connect(Target(data_dir)) as api:
        items = api.every("/machines", most=limit, include_terminated=everything, **query_of(state, search))
    if as_json:
        print_json({"items": items})
        return
    rows = [
        (item["id"], _state(item), item["warmth"], item["instance_id"], item["image"], when(item["state_changed_at"])) for item in items
    ]
    none = "No machine is like that." if state or search else "No machine yet; the pool makes them once it runs."
    print_table(("ID", "STATE", "WARMTH", "INSTANCE", "OPENCLAW", "SINCE"), rows, none)


def query_of(state: MachineState | None, search: str) -> dict[str, str]:
    """What a list of machines is narrowed by."""
    return ({"state": state.value} if state else {}) | ({"search": search} if search else {})


def _state(item: dict[str, Any]) -> str:
    """With what was said of its end, while that matters."""
    said = item.get("notice")
    return f"{item['state']} ({said})" if said and item["state"] != "terminated" else str(item["state"])


@machines.command(name="show")
def show_machine(
    machine: Annotated[str, typer.Argument(metavar="MACHINE", help="Its id.")], data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Show one machine."""
    with connect(Target(data_dir)) as api:
        found = api.get(f"/machines/{quote(machine, safe='')}")
    if as_json:
        print_json(found)
    else:
        print_fields({name.replace("_", " "): when(value) if name.endswith("_at") else value for name, value in found.items()})


@machines.command()
def interrupt(
    machine: Annotated[str, typer.Argument(metavar="MACHINE", help="Its id.")],
    kind: Annotated[Interruption, typer.Option("--kind", help="What the machine's provider would announce.")] = Interruption.INTERRUPTION,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Treat a machine as if its provider were about to take it away: its instance moves to another machine. With `interruption` it has two
    minutes; with `rebalance` and `maintenance` it moves once another machine is ready and OpenClaw is not in the middle of a turn."""
    give_notice(machine, kind.value, data_dir, as_json=as_json)


def give_notice(machine: str, kind: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Say this of one machine, and print what follows."""
    with connect(Target(data_dir)) as api:
        found = api.post(f"/machines/{quote(machine, safe='')}/notices", {"kind": kind})
    if as_json:
        print_json(found)
    elif found["state"] == "assigned":
        say(f"Emptying {machine}: {found['instance_id']} moves once another machine is ready and OpenClaw is idle.")
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
    """Run commands as root on a machine in AWS through Run Command, for when `aws ssm start-session` lacks its plugin. Each line is a
    separate command. SSM keeps the output for 30 days."""
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

    from openclaw_hosted.bootstrap.aws_shell import run_on_machine

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
    """Show how many spares are ready, how many there should be, and the state of the pool."""
    with connect(Target(data_dir)) as api:
        print_pool(api.get("/pool"), as_json=as_json)


@pool.command()
def replenish(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Make the pool check now whether it needs machines."""
    with connect(Target(data_dir)) as api:
        print_pool(api.post("/pool/replenish"), as_json=as_json)


@pool.command()
def pause(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Stop launching machines until `resume`."""
    with connect(Target(data_dir)) as api:
        print_pool(api.post("/pool/pause"), as_json=as_json)


@pool.command()
def resume(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Launch machines again, and forget earlier failures."""
    with connect(Target(data_dir)) as api:
        print_pool(api.post("/pool/resume"), as_json=as_json)


@pool.command(name="set")
def set_pool(
    spares: Annotated[int, typer.Argument(metavar="SPARES", min=0, help="How many spares to keep from now on; FLEET_CAP at most.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Keep this many spares, whatever POOL_SPARE_COUNT says."""
    with connect(Target(data_dir)) as api:
        print_pool(api.patch("/pool", {"spares": spares}), as_json=as_json)


@pool.command()
def advise(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Say how many spares would have been enough in the last seven days, by day and by night. It changes nothing."""
    with connect(Target(data_dir)) as api:
        answer = api.get("/pool/advice")
    if as_json:
        print_json(answer)
        return
    _print_advice(answer["advice"], answer["sentence"])
    if learned := answer["learned"]:
        hours, misses = learned["hours"], learned["misses"]
        follows = "is followed" if answer["policy"] == "adaptive" else "would be followed with POOL_POLICY=adaptive"
        out.print(
            f"What was learned {follows}: {min(hours)} to {max(hours)} spares by hour of the week, {learned['mean']:.1f} on average. "
            f"{misses} would have found none. --json has all hours."
        )


def _print_advice(found: Any, sentence: str | None) -> None:
    if found is None:
        say("Fewer than 20 instances were created in the last seven days: too few to say anything.")
        return
    best = found["best"]
    out.print(sentence)
    out.print(f"A machine took {found['boot_seconds']:.0f} s to be ready.")
    if best["by_day"] != best["by_night"]:
        out.print(f"The day is from {best['day_begins']:02}:00 to {(best['day_begins'] + 12) % 24:02}:00 UTC.")


def print_pool(report: Any, *, as_json: bool) -> None:
    """The pool as it is now."""
    if as_json:
        print_json(report)
        return
    print_fields(
        {
            "status": report["status"],
            "note": report["note"],
            "spares ready": f"{report['available']} of {report['spares_wanted']}",
            "policy": report["policy"],
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
@orphans.command(name="ls", hidden=True)
def list_orphans(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List what is kept, oldest first."""
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
    """Remove one for good, with any data that it holds."""
    with connect(Target(data_dir)) as api:
        api.post("/orphans/remove", {"name": name})
    if as_json:
        print_json({"name": name, "state": "released"})
    else:
        say(f"{name} is removed within a minute or so.")
