"""`openclaw-hosted instances`: what a user has."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openclaw_hosted.cli.client import ActAs, Api, AsJson, DataDir, Target, connect
from openclaw_hosted.cli.output import CommandError, Exit, err, out, print_fields, print_json, print_table, say, when
from openclaw_hosted.domain.gateway import CHANNEL_CREDENTIALS, Channel, Credential, ModelProvider, needs_key
from openclaw_hosted.domain.text import folded

if TYPE_CHECKING:
    from rich.text import Text

app = typer.Typer(no_args_is_help=True, help="Create, look at, open and delete instances.")

InstanceArgument = Annotated[str, typer.Argument(metavar="INSTANCE", help="Its id, such as oc-7f3k2m9q, or its name.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it is done, and show the steps live.")]
WaitSeconds = Annotated[float, typer.Option("--timeout", min=1, help="How many seconds to wait at most.")]


class Settled(StrEnum):
    """Where waiting ends."""

    RUNNING = "running"
    DELETED = "deleted"


def _target(data_dir: Path | None, user: str | None) -> Target:
    return Target(data_dir, user, needs_account=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    provider: Annotated[
        ModelProvider, typer.Option(help="Who answers; `echo` needs no key, and `compatible` is asked for none.")
    ] = ModelProvider.ECHO,
    model: Annotated[str | None, typer.Option(help="Model id as the provider writes it.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of the API, for provider `compatible`.")] = None,
    api_key_stdin: Annotated[bool, typer.Option("--api-key-stdin", help="Read the provider's key from standard input.")] = False,
    api_key_file: Annotated[Path | None, typer.Option(help="Read the provider's key from this file.", dir_okay=False)] = None,
    channel: Annotated[list[Channel] | None, typer.Option(help="Where else it can be talked to; its tokens are asked for.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key again makes no second instance.")] = None,
    wait: Wait = False,
    timeout: WaitSeconds = 300,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Create an instance. Keys are asked for, or read from a file or standard input; never given as an argument."""
    if provider is ModelProvider.ECHO and (api_key_stdin or api_key_file):
        raise CommandError("Provider `echo` takes no key; name another with --provider.", Exit.USAGE)
    credentials: dict[str, str] = {}
    if needs_key(provider) or api_key_stdin or api_key_file:
        credentials[Credential.MODEL_API_KEY] = read_secret("API key", from_stdin=api_key_stdin, file=api_key_file)
    for wanted in channel or []:
        credentials |= _channel_tokens(wanted)
    body = {
        "name": name,
        "settings": {"provider": provider, "model": model, "base_url": base_url, "channels": channel or []},
        "credentials": credentials,
    }
    with connect(_target(data_dir, user)) as api:
        made = api.post("/instances", body, {"Idempotency-Key": idempotency_key} if idempotency_key else None)
        if wait:
            made = follow(api, made["id"], Settled.RUNNING, timeout)
    _show(made, as_json=as_json)


@app.command(name="list")
def list_(data_dir: DataDir = None, user: ActAs = None, as_json: AsJson = False) -> None:
    """The instances of a user, newest first."""
    with connect(_target(data_dir, user)) as api:
        items = api.get("/instances")["items"]
    if as_json:
        print_json({"items": items})
        return
    rows = [
        (item["id"], item["name"], item["phase"], item["settings"]["provider"], when(item["created_at"]), item["url"]) for item in items
    ]
    print_table(("ID", "NAME", "PHASE", "MODEL", "CREATED", "ADDRESS"), rows, "No instance yet: openclaw-hosted instances create NAME")


@app.command()
def show(instance: InstanceArgument, data_dir: DataDir = None, user: ActAs = None, as_json: AsJson = False) -> None:
    """One instance with its steps."""
    with connect(_target(data_dir, user)) as api:
        found = api.get(f"/instances/{find(api, instance)}")
    _show(found, as_json=as_json)


@app.command(name="open")
def open_(
    instance: InstanceArgument,
    browser: Annotated[bool, typer.Option("--browser", help="Also open it in this computer's browser.")] = False,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Print a link that leads into it once, within minutes, in a browser where its owner is signed in."""
    with connect(_target(data_dir, user)) as api:
        link = api.post(f"/instances/{find(api, instance)}/open")
    if as_json:
        print_json(link)
    else:
        out.print(link["url"], markup=False)
    if browser and not _browse(link["url"]):
        say("No browser could be started here; open the link yourself.")


@app.command()
def logs(
    instance: InstanceArgument,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=2000, help="How many.")] = 200,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """The newest lines of its OpenClaw's log, credentials blotted out."""
    with connect(_target(data_dir, user)) as api:
        found = api.get(f"/instances/{find(api, instance)}/logs", lines=lines)
    if as_json:
        print_json(found)
        return
    for line in found["lines"]:
        out.print(line, markup=False)


@app.command()
def restart(
    instance: InstanceArgument,
    wait: Wait = False,
    timeout: WaitSeconds = 300,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Restart its OpenClaw; a failed instance is tried again."""
    with connect(_target(data_dir, user)) as api:
        _act(api, api.post(f"/instances/{find(api, instance)}/restart"), Settled.RUNNING, timeout if wait else None, as_json=as_json)


@app.command()
def delete(
    instance: InstanceArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Wait = False,
    timeout: WaitSeconds = 300,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Delete it. `restore` undoes that while its data is kept."""
    with connect(_target(data_dir, user)) as api:
        found = api.get(f"/instances/{find(api, instance)}")
        if not yes:
            if not sys.stdin.isatty():
                raise CommandError("Say --yes to delete without being asked.", Exit.USAGE)
            typer.confirm(f"Delete {found['id']} ({found['name']})?", abort=True, err=True)
        _act(api, api.delete(f"/instances/{found['id']}"), Settled.DELETED, timeout if wait else None, as_json=as_json)


@app.command()
def restore(
    instance: InstanceArgument,
    wait: Wait = False,
    timeout: WaitSeconds = 300,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Bring a deleted one back: same id, same data, another machine."""
    with connect(_target(data_dir, user)) as api:
        _act(api, api.post(f"/instances/{find(api, instance)}/restore"), Settled.RUNNING, timeout if wait else None, as_json=as_json)


def find(api: Api, text: str) -> str:
    """The id that `text` is, or whose instance has that name."""
    if text.startswith("oc-"):
        return text if text.isascii() and text.replace("-", "").isalnum() else _not_found(text)
    named = [item["id"] for item in api.get("/instances")["items"] if folded(item["name"]) == folded(text)]
    if len(named) > 1:
        raise CommandError(f"Several instances are called {text!r}: {', '.join(named)}. Give the id.", Exit.CONFLICT)
    return str(named[0]) if named else _not_found(text)


def follow(api: Api, instance_id: str, wanted: Settled, timeout_seconds: float) -> Any:
    """Wait until the instance has settled, showing its steps."""
    from rich.live import Live

    deadline = time.monotonic() + timeout_seconds
    with Live(console=err.console, refresh_per_second=8, transient=not err.is_terminal) as live:
        while True:
            found = api.get(f"/instances/{instance_id}")
            live.update(_timeline(found))
            if found["phase"] == wanted:
                return found
            if found["phase"] == "failed":
                raise CommandError(f"{instance_id} failed: {found['error'] or 'see its logs'}")
            if time.monotonic() > deadline:
                raise CommandError(f"{instance_id} is still {found['phase']} after {timeout_seconds:.0f} s; is the platform running?")
            time.sleep(0.1)


def read_secret(what: str, *, from_stdin: bool, file: Path | None) -> str:
    """A secret from standard input, a file, or a prompt that does not echo."""
    if from_stdin and file is not None:
        raise CommandError("Give the secret by standard input or by file, not both.", Exit.USAGE)
    if file is not None:
        try:
            return file.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} can't be read: {error}", Exit.USAGE) from error
    if from_stdin:
        return sys.stdin.read().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise CommandError(f"The {what} is missing: there is no terminal to ask on; give it by standard input or by file.", Exit.USAGE)
    return str(typer.prompt(what, hide_input=True, err=True))


def _channel_tokens(channel: Channel) -> dict[str, str]:
    return {name: read_secret(f"{channel.capitalize()} {name}", from_stdin=False, file=None) for name in CHANNEL_CREDENTIALS[channel]}


def _act(api: Api, answered: Any, wanted: Settled, timeout_seconds: float | None, *, as_json: bool) -> None:
    found = answered if timeout_seconds is None else follow(api, answered["id"], wanted, timeout_seconds)
    _show(found, as_json=as_json)


def _show(instance: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(instance)
        return
    print_fields(
        {
            "id": instance["id"],
            "name": instance["name"],
            "phase": instance["phase"],
            "address": instance["url"],
            "model": " ".join(filter(None, (instance["settings"]["provider"], instance["settings"]["model"]))),
            "channels": ", ".join(instance["settings"]["channels"]),
            "credentials": ", ".join(instance["credentials"]),
            "created": when(instance["created_at"]),
            "error": instance["error"],
            "kept until": when(instance["restorable_until"]),
        }
    )
    if instance.get("steps"):
        out.print()
        out.print(_timeline(instance))


def _browse(url: str) -> bool:
    import webbrowser

    return webbrowser.open(url)


def _timeline(instance: Any) -> Text:
    from rich.text import Text

    text = Text()
    for step in instance.get("steps", []):
        mark, style = ("✗", "red") if step["error"] else ("✓", "green") if step["ended_at"] else ("…", "yellow")
        seconds = "" if step["seconds"] is None else f"{step['seconds']:8.2f} s"
        text.append(f"{mark} ", style)
        text.append(f"{step['name']:<10}{seconds:>12}  {step['error'] or step['note'] or ''}\n")
    text.append(f"{instance['id']} is {instance['phase']}")
    return text


def _not_found(text: str) -> str:
    raise CommandError(f"There is no instance {text[:40]!r}.", Exit.NOT_FOUND)
