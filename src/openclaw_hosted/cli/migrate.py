"""`openclaw-hosted migrate`: users of an older system on ECS come to machines of their own, and can go back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openclaw_hosted.cli.client import ActAs, AsJson, DataDir, connect
from openclaw_hosted.cli.instances import Wait, WaitSeconds
from openclaw_hosted.cli.output import CommandError, Exit, out, print_json, print_table, say
from openclaw_hosted.logging import logging_to

if TYPE_CHECKING:
    from openclaw_hosted.domain.migration import Migration
    from openclaw_hosted.domain.old_things import OldThing
    from openclaw_hosted.migration.planning import Plan
    from openclaw_hosted.migration.request import MigrationRequest
    from openclaw_hosted.settings import Settings

app = typer.Typer(
    help="Move users from an older system on ECS to machines of their own. The control loops of the platform have to run meanwhile.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
MappingFile = Annotated[
    Path, typer.Option("--mapping", envvar="OPENCLAW_HOSTED_MAPPING", help="The mapping file: how to find each user's things (YAML).")
]
Users = Annotated[
    list[str] | None,
    typer.Option("--user", help="Move this user, by their name in the old system. Repeat it for more.", show_default=False),
]
UNTIL_THEN = "Before users wait, everything that can be done beforehand is done. Ctrl-C stops; the next run goes on from there."


@app.command()
@logging_to("warning", None)
def plan(mapping: MappingFile, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show what would be done for each user, what is missing, and the cost before and after. Changes nothing."""
    import asyncio
    from dataclasses import asdict

    from openclaw_hosted.bootstrap.migration import open_migration

    async def ask() -> Plan:
        async with open_migration(_settings(data_dir), _request(mapping)) as service:
            return await service.plan()

    made = asyncio.run(ask())
    if as_json:
        print_json(asdict(made))
    else:
        _print_plan(made)
    if any(user.missing for user in made.users):
        raise typer.Exit(Exit.FAILED)


@app.command()
@logging_to("warning", None)
def run(
    mapping: MappingFile,
    user: Users = None,
    batch: Annotated[
        int | None, typer.Option("--batch", min=1, max=1000, help="Move this many of the waiting users.", show_default=False)
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Move all waiting users.")] = False,
    window: Annotated[
        str | None, typer.Option("--window", help="Hours of the day, in UTC, in which users may have to wait, such as 02:00-05:00.")
    ] = None,
    soak_seconds: Annotated[
        float, typer.Option("--soak-seconds", min=0, max=86_400, help="How long to watch each user afterwards.")
    ] = 300.0,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Move users. First continues what an earlier run began. Users that can't be moved stay on the old system, unchanged."""
    import asyncio

    from openclaw_hosted.bootstrap.migration import open_migration

    if sum((bool(user), batch is not None, everybody)) != 1:
        raise CommandError("Choose users: --user USER, --batch N, or --all.", Exit.USAGE)

    request = _request(mapping, window, soak_seconds)

    async def do() -> list[Migration]:
        async with open_migration(_settings(data_dir), request) as service:
            return list(await service.run(_tell(as_json=as_json), users=user or (), most=batch))

    if not as_json:
        say(UNTIL_THEN)
    rows = asyncio.run(do())
    _print_rows(rows, as_json=as_json)
    if any(row.error for row in rows):
        raise typer.Exit(Exit.FAILED)


@app.command()
@logging_to("warning", None)
def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show how far each user has come."""
    import asyncio

    from openclaw_hosted.bootstrap.migration import migration_rows

    _print_rows(list(asyncio.run(migration_rows(_settings(data_dir)))), as_json=as_json)


@app.command()
@logging_to("warning", None)
def rollback(
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's name in the old system.")],
    mapping: MappingFile,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Move a user back to the old system, with everything written since."""
    import asyncio

    from openclaw_hosted.bootstrap.migration import open_migration

    async def do() -> Migration:
        async with open_migration(_settings(data_dir), _request(mapping)) as service:
            return await service.rollback(user, _tell(as_json=as_json))

    row = asyncio.run(do())
    _print_rows([row], as_json=as_json)
    if row.error:
        raise typer.Exit(Exit.FAILED)


@app.command()
@logging_to("warning", None)
def decommission(
    mapping: MappingFile,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Remove the old system once nobody uses it and nobody can go back. Run it again until nothing is left."""
    import asyncio
    from dataclasses import asdict

    from openclaw_hosted.bootstrap.migration import open_migration
    from openclaw_hosted.migration.service import Removal

    if as_json and not (dry_run or yes):
        raise CommandError("With --json the command can't ask. Add --yes or --dry-run.", Exit.USAGE)

    async def do() -> tuple[list[str], list[OldThing], list[Removal] | None]:
        async with open_migration(_settings(data_dir), _request(mapping)) as service:
            reasons, things = await service.obstacles(), await service.belongings()
            if not as_json:
                _print_things(things)
            if dry_run or reasons or not things:
                return reasons, things, None
            if not yes and not typer.confirm(f"Take away these {len(things)} things for good?"):
                raise typer.Exit(Exit.FAILED)
            return reasons, things, await service.decommission(things, _tell_removal(as_json=as_json))

    reasons, things, removals = asyncio.run(do())
    if as_json:
        print_json({
            "obstacles": reasons,
            "things": [asdict(thing) for thing in things],
            "removals": None if removals is None else [asdict(removal) for removal in removals],
        })  # fmt: skip
    for reason in () if as_json else reasons:
        say(f"It has to stay: {reason}")
    if (reasons and not dry_run) or any(removal.problem for removal in removals or ()):
        raise typer.Exit(Exit.CONFLICT)


def _settings(data_dir: Path | None) -> Settings:
    from openclaw_hosted.settings import load_settings

    return load_settings({"OPENCLAW_HOSTED_DATA_DIR": data_dir})


@app.command(name="import")
def import_(
    source: Annotated[
        Path, typer.Option("--from", help="A folder ~/.openclaw, or a .tar or .tar.gz of one.", exists=True, show_default=False)
    ],
    name: Annotated[str, typer.Option("--name", help="What to call the new instance.")] = "From home",
    yes: Annotated[bool, typer.Option("--yes", help="Say that the OpenClaw at home is stopped, so that the command does not ask.")] = False,
    keep_mentions: Annotated[bool, typer.Option("--keep-mentions", help="Also bring conversations that mention a key.")] = False,
    wait: Wait = False,
    timeout: WaitSeconds = 300,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Make an instance of an OpenClaw that ran at home. Its keys go to the vault, and nothing at home changes."""
    import tempfile

    from openclaw_hosted.cli.home.bringing import opened_home, packed_home, send, tell
    from openclaw_hosted.cli.instances import Settled, act, target_of

    if as_json and not yes:
        raise CommandError("With --json, nobody is asked: stop the OpenClaw at home, and give --yes.", Exit.USAGE)
    if not yes and not typer.confirm("Two OpenClaws must not answer for one bot. Did you stop the one at home (openclaw gateway stop)?"):
        raise typer.Exit(Exit.FAILED)
    with opened_home(source) as folder, tempfile.TemporaryDirectory() as drafts:
        archive = Path(drafts) / "home.tar.gz"
        keys, packed = packed_home(folder, archive, keep_mentions=keep_mentions)
        if not as_json:
            tell(keys, packed)
        with connect(target_of(data_dir, user)) as api:
            act(api, send(api, archive, name, keys), Settled.RUNNING, timeout if wait else None, as_json=as_json)


def _request(mapping: Path, window: str | None = None, soak_seconds: float = 300.0) -> MigrationRequest:
    from openclaw_hosted.domain.window import parse_window
    from openclaw_hosted.migration.request import MigrationRequest

    return MigrationRequest(mapping, None if window is None else parse_window(window), soak_seconds)


def _tell(*, as_json: bool) -> Any:
    def said(row: Migration) -> None:
        if not as_json:
            say(f"{row.user}: {row.state}{'' if row.step is None else f', {row.step}'}{'' if row.error is None else f' ({row.error})'}")

    return said


def _tell_removal(*, as_json: bool) -> Any:
    def said(removal: Any) -> None:
        if not as_json:
            say(f"{removal.thing.kind} {removal.thing.name}: {removal.problem or 'gone'}")

    return said


def _print_rows(rows: list[Migration], *, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        print_json({"items": [{**asdict(row), "side": row.side, "offline_seconds": row.offline_seconds} for row in rows]})
        return
    lines = [
        (row.user, row.side, row.state, row.step, None if row.offline_seconds is None else f"{row.offline_seconds:.0f} s", row.instance_id,
         row.trouble) for row in rows
    ]  # fmt: skip
    print_table(("USER", "SERVED BY", "STATE", "NEXT STEP", "WAITED", "INSTANCE", "WHY"), lines, "Nobody was moved.")


def _print_plan(made: Plan) -> None:
    lines = [
        (each.user, each.email, each.state, each.provider, ", ".join(each.channels),
         None if each.size is None else f"{each.size.size_bytes / 1e6:.1f} MB", f"{each.offline_seconds:.0f} s") for each in made.users
    ]  # fmt: skip
    columns = ("USER", "E-MAIL", "STATE", "MODELS FROM", "CHANNELS", "SIZE", "WILL WAIT ABOUT")
    print_table(columns, lines, "The old system has no users, or the mapping does not find them.")
    for each in made.users:
        for line in each.missing:
            say(f"{each.user}: missing: {line}")
        for line in each.notes:
            say(f"{each.user}: {line}")
    costs = made.costs
    out.print(f"\nThe old system: ${costs.before_usd:.2f} a month, as far as it was found.", markup=False)
    spares = f"{costs.users} users and {costs.spares} spares"
    out.print(f"On AWS, {spares} on machines of their own: ${costs.after_usd:.2f} a month (docs/cost.md).", markup=False)
    if costs.source_before_usd is not None:
        text = f"${costs.source_before_usd} before and ${costs.source_after_usd} after"
        out.print(f"The design document's estimate is {text}. It leaves out addresses, disks and the control plane.", markup=False)


def _print_things(things: list[OldThing]) -> None:
    lines = [(thing.kind, thing.name, f"{thing.usd_a_month:.2f}", thing.note) for thing in things]
    print_table(("WHAT", "NAME", "$ A MONTH", "NOTE"), lines, "Nothing is left that the tags prove to be the old system's.")
