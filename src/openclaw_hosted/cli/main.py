"""The command `openclaw-hosted`.

A command is quick as long as the modules of this folder load no more than they need in order to be explained; what runs a command is loaded
by the command. tests/integration/cli/test_quick.py holds it.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from openclaw_hosted import OPENCLAW_VERSION, __version__
from openclaw_hosted.cli import (  # noqa: F401 - `changing`, `several`, `tending` and `watching` add to `instances`, `machines` and `pool`
    accounts,
    adopt,
    alarms,
    backup,
    changing,
    contexts,
    cost,
    diagnose,
    doctor,
    fleet,
    image,
    instances,
    migrate,
    news,
    restore_points,
    senders,
    service,
    several,
    status,
    support,
    tending,
    trust,
    up,
    watching,
    webhooks,
)
from openclaw_hosted.cli.api import api
from openclaw_hosted.cli.client import AsJson
from openclaw_hosted.cli.output import code_of_error, err, out, print_json, speak_in_any_locale
from openclaw_hosted.domain.errors import OpenClawHostedError

EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 not found, 4 not allowed, 5 conflicts with the present state, "
    "6 platform not reachable."
)

app = typer.Typer(
    name="openclaw-hosted",
    help="Gives every user a machine of their own with OpenClaw, seconds after they ask.\n\n"
    "Commands work on the platform of --data-dir on this computer, or on the one that you signed in to "
    "with `login`, or on the one at OPENCLAW_HOSTED_URL with OPENCLAW_HOSTED_TOKEN.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(up.up)
app.command()(up.serve)
app.command()(up.down)
app.add_typer(instances.app, name="instances")
app.add_typer(restore_points.app, name="restore-points")
app.add_typer(senders.app, name="senders")
app.add_typer(fleet.machines, name="machines")
app.add_typer(fleet.pool, name="pool")
app.add_typer(fleet.orphans, name="orphans")
app.add_typer(cost.app, name="cost")
app.add_typer(migrate.app, name="migrate")
app.add_typer(accounts.users, name="users")
app.add_typer(accounts.tokens, name="tokens")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(news.app, name="news")
app.command()(contexts.login)
app.command()(contexts.logout)
app.add_typer(contexts.contexts, name="contexts")
app.command()(api)
app.command()(image.image)
app.command()(service.install_service)
app.command()(service.uninstall_service)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(adopt.adopt)
app.command()(trust.trust)
app.command()(doctor.doctor)
app.command()(support.support_bundle)
app.command()(diagnose.diagnose)
app.add_typer(alarms.app, name="alarms")


app.command()(status.status)


@app.command()
def version(as_json: AsJson = False) -> None:
    """Print the versions of this program, of the OpenClaw that it runs, and of Python."""
    import platform as computer

    found = {"openclaw_hosted": __version__, "openclaw": OPENCLAW_VERSION, "python": computer.python_version()}
    if as_json:
        print_json(found)
    else:
        out.print(f"openclaw-hosted {__version__} (OpenClaw {OPENCLAW_VERSION}, Python {found['python']})", markup=False)


def _print_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the versions, as `version` does.")
    ] = False,
) -> None:
    """What comes before a command."""


def main() -> None:
    """Run it."""
    speak_in_any_locale()
    try:
        app()
    except OpenClawHostedError as error:
        err.print(f"openclaw-hosted: {error}", markup=False)
        sys.exit(code_of_error(error))
