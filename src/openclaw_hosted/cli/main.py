"""The command `openclaw-hosted`."""

from __future__ import annotations

import platform as computer
import sys

import typer

from openclaw_hosted import __version__, datadir
from openclaw_hosted.bootstrap import OPENCLAW_VERSION
from openclaw_hosted.cli import accounts, backup, cost, doctor, fleet, image, instances, senders, service, trust, up
from openclaw_hosted.cli.client import AsJson, DataDir, Target, connect
from openclaw_hosted.cli.output import Exit, cell, code_of_error, err, out, print_fields, print_json
from openclaw_hosted.domain.errors import OpenClawHostedError
from openclaw_hosted.logging import logging_to
from openclaw_hosted.settings import load_settings

EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 not found, 4 not allowed, 5 conflict with what is, 6 platform not reachable."
)

app = typer.Typer(
    name="openclaw-hosted",
    help="A machine of their own with OpenClaw for every user, seconds after they ask.\n\n"
    "Commands work on the platform of --data-dir on this computer, or on the one at OPENCLAW_HOSTED_URL with OPENCLAW_HOSTED_TOKEN.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.command()(up.up)
app.command()(up.serve)
app.command()(up.down)
app.add_typer(instances.app, name="instances")
app.add_typer(senders.app, name="senders")
app.add_typer(fleet.machines, name="machines")
app.add_typer(fleet.pool, name="pool")
app.command()(cost.cost)
app.add_typer(accounts.users, name="users")
app.add_typer(accounts.tokens, name="tokens")
app.command()(image.image)
app.command()(service.install_service)
app.command()(service.uninstall_service)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(trust.trust)
app.command()(doctor.doctor)


@app.command()
def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Whether the platform runs and is ready, and its pool in one line. Exits with 6 where it does not run."""
    target = Target(data_dir)
    report: dict[str, object] = {}
    if target.remote is None:
        settings = datadir.as_started(load_settings({"OPENCLAW_HOSTED_DATA_DIR": data_dir}))
        pids = {role.value: datadir.holder(settings.data_dir, role) for role in datadir.Role}
        report = {"address": settings.address, "data_dir": str(settings.data_dir), "processes": pids}
        runs = all(pid is not None for pid in pids.values())
        if not settings.data_dir.is_dir():
            report |= {"running": False}
            _print_status(report, as_json=as_json)
            raise typer.Exit(Exit.NOT_REACHABLE)
    else:
        report = {"address": target.remote}
        runs = True
    with connect(target) as api:
        ready = api.raw("/readyz").json()
        pool = api.get("/pool")
    report |= {"running": runs, "ready": runs and ready["status"] == "ready", "checks": ready["checks"]}
    report |= {"pool": {name: pool[name] for name in ("status", "available", "spares_wanted", "note")}}
    _print_status(report, as_json=as_json)
    if not runs:
        raise typer.Exit(Exit.NOT_REACHABLE)
    if not report["ready"]:
        raise typer.Exit(Exit.FAILED)


@app.command()
def version(as_json: AsJson = False) -> None:
    """The versions of this program, of the OpenClaw that it runs, and of Python."""
    found = {"openclaw_hosted": __version__, "openclaw": OPENCLAW_VERSION, "python": computer.python_version()}
    if as_json:
        print_json(found)
    else:
        out.print(f"openclaw-hosted {__version__} (OpenClaw {OPENCLAW_VERSION}, Python {found['python']})", markup=False)


def _print_status(report: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    flat: dict[str, object] = {}
    for name, value in report.items():
        text = ", ".join(f"{key}: {cell(part)}" for key, part in value.items() if part is not None) if isinstance(value, dict) else value
        flat[name.replace("_", " ")] = text
    print_fields(flat)


def main() -> None:
    """Run it. Commands that have no log of their own say warnings on standard error, so that what they print can be read by programs."""
    try:
        with logging_to("warning", None):
            app()
    except OpenClawHostedError as error:
        err.print(f"openclaw-hosted: {error}", markup=False)
        sys.exit(code_of_error(error))
