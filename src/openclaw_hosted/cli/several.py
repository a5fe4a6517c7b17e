"""`openclaw-hosted machines drain` and `retire`, `instances retry` and `hold`: what an operator does to one or to several."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from openclaw_hosted.cli.client import Api, AsJson, DataDir, Target, connect
from openclaw_hosted.cli.fleet import Search, State, give_notice, machines, query_of
from openclaw_hosted.cli.instances import app
from openclaw_hosted.cli.output import CommandError, Exit, print_json, print_table, say
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import MachineState

AT_ONCE: Final = 100
"""How many the API takes in one request."""
Machines = Annotated[list[str] | None, typer.Argument(metavar="[MACHINE]...", help="Their ids.", show_default=False)]
Instances = Annotated[list[str] | None, typer.Argument(metavar="[INSTANCE]...", help="Their ids; any user's.", show_default=False)]
AllMatching = Annotated[bool, typer.Option("--all-matching", help="All that the filters leave, instead of ids.")]
Owner = Annotated[str | None, typer.Option(metavar="EMAIL", help="With --all-matching: instances of this user.", show_default=False)]
Status = Annotated[Phase | None, typer.Option(help="With --all-matching: instances in this phase.", show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen to which, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done to which. `filters` is None where ids were named."""

    action: str
    list_of: str
    ids: Sequence[str]
    filters: Mapping[str, str] | None
    dry_run: bool
    yes: bool
    as_json: bool

    @property
    def is_one(self) -> bool:
        """Whether one was named, and is to be changed."""
        return self.filters is None and len(self.ids) == 1 and not self.dry_run


@machines.command()
def drain(
    machine: Machines = None,
    all_matching: AllMatching = False,
    state: State = None,
    search: Search = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Empty machines: each instance moves once another machine is ready in its zone and OpenClaw is idle; then its old machine ends."""
    filters = query_of(state, search)
    _carry_out(data_dir, _wish("drain", "/machines", machine, filters, all_matching, dry_run=dry_run, yes=yes, as_json=as_json))


@machines.command()
def retire(
    machine: Machines = None,
    all_matching: AllMatching = False,
    search: Search = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Terminate spares; the pool launches others if it needs them. --all-matching takes spares only."""
    filters = query_of(MachineState.AVAILABLE if all_matching else None, search)
    _carry_out(data_dir, _wish("retire", "/machines", machine, filters, all_matching, dry_run=dry_run, yes=yes, as_json=as_json))


@app.command()
def retry(
    instance: Instances = None,
    all_matching: AllMatching = False,
    owner: Owner = None,
    status: Status = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """For operators: retry any user's instances that have failed, or restart those that run."""
    filters = _instances(owner, status)
    _carry_out(data_dir, _wish("retry", "/instances", instance, filters, all_matching, dry_run=dry_run, yes=yes, as_json=as_json))


@app.command()
def hold(
    instance: Instances = None,
    all_matching: AllMatching = False,
    owner: Owner = None,
    status: Status = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """For operators: stop trying to place any user's instances, until `retry`. Their data stays."""
    filters = _instances(owner, status)
    _carry_out(data_dir, _wish("hold", "/instances", instance, filters, all_matching, dry_run=dry_run, yes=yes, as_json=as_json))


def _instances(owner: str | None, status: Phase | None) -> dict[str, str]:
    return ({"owner": owner} if owner else {}) | ({"phase": status.value} if status else {})


def _wish(
    action: str,
    list_of: str,
    ids: list[str] | None,
    filters: Mapping[str, str],
    all_matching: bool,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> Wish:
    """Raises `CommandError` for neither ids nor --all-matching, and for both."""
    if all_matching and ids:
        raise CommandError("Name ids, or use --all-matching, not both.", Exit.USAGE)
    if not all_matching and not ids:
        raise CommandError("Name at least one, or use --all-matching.", Exit.USAGE)
    if not all_matching and filters:
        raise CommandError("Filters need --all-matching.", Exit.USAGE)
    return Wish(action, list_of, ids or [], filters if all_matching else None, dry_run, yes, as_json)


def _carry_out(data_dir: Path | None, wish: Wish) -> None:
    if wish.is_one:
        _do(data_dir, wish, wish.ids[0])
        return
    with connect(Target(data_dir)) as api:
        ids = _ids(api, wish)
        if not wish.dry_run:
            _make_sure(wish, len(ids))
        items = [item for start in range(0, len(ids), AT_ONCE) for item in _ask(api, wish, ids[start : start + AT_ONCE])]
    if wish.as_json:
        print_json({"items": items})
    else:
        _show(items, wish)
    if any(item["problem"] for item in items):
        raise typer.Exit(Exit.FAILED)


def _do(data_dir: Path | None, wish: Wish, one: str) -> None:
    """One, which is answered as it is now."""
    if wish.action == "drain":
        give_notice(one, "drain", data_dir, as_json=wish.as_json)
        return
    with connect(Target(data_dir)) as api:
        found = api.post(f"{wish.list_of}/{quote(one, safe='')}/{wish.action}")
    if wish.as_json:
        print_json(found)
    else:
        say(_SAID[wish.action].format(one))


def _ids(api: Api, wish: Wish) -> Sequence[str]:
    if wish.filters is None:
        return list(dict.fromkeys(wish.ids))
    query: dict[str, str] = {**({"owner": "all"} if wish.list_of == "/instances" else {}), **wish.filters}
    return [str(item["id"]) for item in api.every(wish.list_of, most=None, **query)]


def _ask(api: Api, wish: Wish, ids: Sequence[str]) -> list[Any]:
    found: list[Any] = api.post("/several", {"action": wish.action, "ids": list(ids), "dry_run": wish.dry_run})["items"]
    return found


def _make_sure(wish: Wish, count: int) -> None:
    """Raises `CommandError` where nobody can be asked."""
    if wish.yes or count == 0:
        return
    things = f"{count} {wish.list_of.strip('/')}"
    if not sys.stdin.isatty():
        raise CommandError(f"This is about {things}, and there is no terminal to ask on. Look with --dry-run, then add --yes.", Exit.USAGE)
    typer.confirm(f"{wish.action.capitalize()} {things}?", abort=True, err=True)


def _show(items: Sequence[Any], wish: Wish) -> None:
    done = f"would {wish.action}" if wish.dry_run else _DONE[wish.action]
    rows = [(item["id"], item["instance_id"], item["owner"], item["problem"] or done) for item in items]
    print_table(("ID", "INSTANCE", "OWNER", "WHAT"), rows, "None is like that.")
    failed = sum(1 for item in items if item["problem"])
    if items:
        say(f"{len(items) - failed} of {len(items)} {'would be' if wish.dry_run else 'were'} {_PAST[wish.action]}.")


_SAID: Final = {
    "retire": "{0} ends, and the pool makes another machine if it needs one.",
    "retry": "{0} is tried again.",
    "hold": "{0} is held: nobody tries to start it until `instances retry {0}`.",
}
_DONE: Final = {"drain": "draining", "retire": "ends", "retry": "tried again", "hold": "held until `instances retry`"}
_PAST: Final = {"drain": "drained", "retire": "retired", "retry": "retried", "hold": "held"}
