"""`openclaw-hosted login`, `logout` and `contexts`: which platform commands are for."""

from __future__ import annotations

import sys
from typing import Annotated
from urllib.parse import urlsplit

import typer

from openclaw_hosted import contexts as kept
from openclaw_hosted.cli.client import AsJson, connect_to
from openclaw_hosted.cli.output import CommandError, Exit, print_json, print_table, say
from openclaw_hosted.cli.secrets import read_secret

contexts = typer.Typer(no_args_is_help=True, help="The platforms that you are signed in to.")

Name = Annotated[str, typer.Argument(metavar="NAME", help=f"As `contexts list` shows it; `{kept.LOCAL}` is this computer.")]


def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the platform, such as https://claw.example.com.")],
    name: Annotated[str | None, typer.Option(help="A name for it; by default its host.", show_default=False)] = None,
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Read the token from standard input.")] = False,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page on which you create tokens.")] = True,
    as_json: AsJson = False,
) -> None:
    """Sign in to a platform elsewhere. Commands then work on that platform; `contexts use` switches. You create the token on its Account
    page. It is kept in a file that only you can read."""
    address = _address(url)
    if not token_stdin:
        page = f"{address}/account#tokens"
        say(f"Make a token on {page}, and paste it here.")
        if browser and sys.stdin.isatty():
            import webbrowser

            webbrowser.open(page)
    context = kept.Context(address, _token(from_stdin=token_stdin))
    with connect_to(context) as api:
        account = api.get("/me")
    chosen = name or urlsplit(address).netloc
    kept.save(kept.load().with_one(chosen, context))
    if as_json:
        print_json({"context": chosen, "url": address, "email": account["email"]})
    else:
        say(f"Signed in to {address} as {account['email']}. Commands work on it now; `openclaw-hosted contexts use local` goes back.")


def logout(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Which platform; by default the current one.")] = None,
) -> None:
    """Sign out of a platform: revoke the token there, and remove it here."""
    known = kept.load()
    chosen = name or known.current
    context = known.get(chosen)
    if context is None:
        raise CommandError("You are not signed in to a platform elsewhere. This computer's platform needs no sign-in.", Exit.CONFLICT)
    with connect_to(context) as api:
        api.delete("/tokens/current")
    kept.save(known.without(chosen))
    say(f"Signed out of {context.url}.")


@contexts.command(name="list")
@contexts.command(name="ls", hidden=True)
def list_contexts(as_json: AsJson = False) -> None:
    """List the platforms that you are signed in to, this computer first."""
    known = kept.load()
    found = [(kept.LOCAL, "this computer"), *((name, context.url) for name, context in sorted(known.known.items()))]
    if as_json:
        print_json({"items": [{"name": name, "url": url, "current": name == known.current} for name, url in found]})
    else:
        print_table(("", "NAME", "ADDRESS"), [("*" if name == known.current else " ", name, url) for name, url in found], "")


@contexts.command()
def use(name: Name) -> None:
    """Make commands work on this platform."""
    known = kept.load()
    known.get(name)
    kept.save(kept.Contexts(known.known, name))
    say("Commands work on this computer's platform now." if name == kept.LOCAL else f"Commands work on {known.known[name].url} now.")


@contexts.command()
def remove(name: Name) -> None:
    """Forget a platform without contacting it. Its token stays valid there."""
    known = kept.load()
    if known.get(name) is None:
        raise CommandError(f"`{kept.LOCAL}` stands for this computer, and can't be removed.", Exit.USAGE)
    kept.save(known.without(name))


def _token(*, from_stdin: bool) -> str:
    return read_secret("token", from_stdin=from_stdin, file=None, way_out="Pipe it in, with --token-stdin.").strip()


def _address(url: str) -> str:
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.path.strip("/") or parts.query:
        raise CommandError(f"{url!r} is not the address of a platform. Give one like https://claw.example.com.", Exit.USAGE)
    return f"{parts.scheme}://{parts.netloc}"
