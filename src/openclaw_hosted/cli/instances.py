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
from openclaw_hosted.cli.secrets import KEY_WAY_OUT, read_secret
from openclaw_hosted.domain.gateway import CHANNEL_CREDENTIALS, Channel, Credential, ModelProvider, needs_key
from openclaw_hosted.domain.instance import Phase
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


def target_of(data_dir: Path | None, user: str | None) -> Target:
    """The platform on which somebody has instances."""
    return Target(data_dir, user, needs_account=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    provider: Annotated[
        ModelProvider, typer.Option(help="Model provider. `echo` needs no key, and the command does not ask for one with `compatible`.")
    ] = ModelProvider.ECHO,
    model: Annotated[str | None, typer.Option(help="Model id as the provider writes it.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of the API, for provider `compatible`.")] = None,
    api_key_stdin: Annotated[bool, typer.Option("--api-key-stdin", help="Read the provider's key from standard input.")] = False,
    api_key_file: Annotated[Path | None, typer.Option(help="Read the provider's key from this file.", dir_okay=False)] = None,
    channel: Annotated[list[Channel] | None, typer.Option(help="A channel to connect. The command asks for its tokens.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="A second request with the same key creates no second instance.")] = None,
    restore_point: Annotated[str | None, typer.Option(metavar="POINT", help="The restore point to start from.")] = None,
    wait: Wait = False,
    timeout: WaitSeconds = 300,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Create an instance. The command asks for keys, or reads them from a file or standard input; they are never arguments."""
    if provider is ModelProvider.ECHO and (api_key_stdin or api_key_file):
        raise CommandError("Provider `echo` takes no key; name another with --provider.", Exit.USAGE)
    credentials: dict[str, str] = {}
    if needs_key(provider) or api_key_stdin or api_key_file:
        credentials[Credential.MODEL_API_KEY] = read_secret("API key", from_stdin=api_key_stdin, file=api_key_file, way_out=KEY_WAY_OUT)
    for wanted in channel or []:
        credentials |= channel_tokens(wanted)
    body = {
        "name": name,
        "settings": {"provider": provider, "model": model, "base_url": base_url, "channels": channel or []},
        "credentials": credentials,
        **({"restore_point": restore_point} if restore_point else {}),
    }
    with connect(target_of(data_dir, user)) as api:
        made = api.post("/instances", body, {"Idempotency-Key": idempotency_key} if idempotency_key else None)
        if wait:
            made = follow(api, made["id"], Settled.RUNNING, timeout)
    show_instance(made, as_json=as_json)


@app.command(name="list")
@app.command(name="ls", hidden=True)
def list_(
    everybody: Annotated[bool, typer.Option("--all", help="Admins only: instances of all users.")] = False,
    owner: Annotated[str | None, typer.Option(metavar="EMAIL", help="Admins only: instances of this user.", show_default=False)] = None,
    status: Annotated[Phase | None, typer.Option(help="Only instances in this phase.", show_default=False)] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only this many, the newest.", show_default="all")] = None,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """List a user's instances, newest first."""
    query = {"owner": "all" if everybody else owner or "me"} | ({} if status is None else {"phase": status.value})
    with connect(target_of(data_dir, user)) as api:
        items = api.every("/instances", most=limit, **query)
    if as_json:
        print_json({"items": items})
        return
    rows = [
        (item["id"], item["name"], state_text(item), item["settings"]["provider"], when(item["created_at"]), item["url"]) for item in items
    ]
    nothing = (
        "No instance yet: openclaw-hosted instances create NAME" if status is None else f"No instance is in the state '{status.value}'."
    )
    print_table(("ID", "NAME", "STATE", "MODEL", "CREATED", "ADDRESS"), rows, nothing)


@app.command()
def show(instance: InstanceArgument, data_dir: DataDir = None, user: ActAs = None, as_json: AsJson = False) -> None:
    """Show one instance with its steps."""
    with connect(target_of(data_dir, user)) as api:
        found = api.get(f"/instances/{find(api, instance)}")
    show_instance(found, as_json=as_json)


@app.command(name="open")
def open_(
    instance: InstanceArgument,
    browser: Annotated[bool, typer.Option("--browser", help="Also open it in this computer's browser.")] = False,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Print a link that opens it once, within minutes, in a browser where its owner is signed in."""
    with connect(target_of(data_dir, user)) as api:
        link = api.post(f"/instances/{find(api, instance)}/open")
    if as_json:
        print_json(link)
    else:
        out.print(link["url"], markup=False)
    if browser and not _browse(link["url"]):
        say("No browser could be started here; open the link yourself.")


@app.command()
def restart(
    instance: InstanceArgument,
    wait: Wait = False,
    timeout: WaitSeconds = 300,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Restart its OpenClaw, or try again to start a failed instance."""
    with connect(target_of(data_dir, user)) as api:
        act(api, api.post(f"/instances/{find(api, instance)}/restart"), Settled.RUNNING, timeout if wait else None, as_json=as_json)


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
    """Delete an instance. `restore` brings it back while its data is kept."""
    with connect(target_of(data_dir, user)) as api:
        found = api.get(f"/instances/{find(api, instance)}")
        if not yes:
            if not sys.stdin.isatty():
                raise CommandError("There is no terminal to ask on. Add --yes to delete.", Exit.USAGE)
            typer.confirm(f"Delete {found['id']} ({found['name']})?", abort=True, err=True)
        act(api, api.delete(f"/instances/{found['id']}"), Settled.DELETED, timeout if wait else None, as_json=as_json)


@app.command()
def restore(
    instance: InstanceArgument,
    wait: Wait = False,
    timeout: WaitSeconds = 300,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Bring a deleted instance back: same id, same data, another machine."""
    with connect(target_of(data_dir, user)) as api:
        act(api, api.post(f"/instances/{find(api, instance)}/restore"), Settled.RUNNING, timeout if wait else None, as_json=as_json)


@app.command()
def rewind(
    instance: InstanceArgument,
    point: Annotated[str, typer.Argument(metavar="POINT", help="A restore point, as `restore-points list` shows it.")],
    wait: Wait = False,
    timeout: WaitSeconds = 300,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Go back to a restore point. The present state becomes a restore point first."""
    with connect(target_of(data_dir, user)) as api:
        asked = api.post(f"/instances/{find(api, instance)}/restore-points/{point}/restore")
        act(api, asked, Settled.RUNNING, timeout if wait else None, as_json=as_json)


@app.command()
def download(
    instance: InstanceArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the archive. The file must not exist yet.", dir_okay=False)],
    point: Annotated[str | None, typer.Option(metavar="POINT", help="Write this restore point instead of the present state.")] = None,
    data_dir: DataDir = None,
    user: ActAs = None,
) -> None:
    """Write everything that an instance holds to an archive. It can keep running."""
    draft = file.with_name(f".{file.name}.part")
    if file.exists():
        raise CommandError(f"{file} exists already; choose another name.", Exit.USAGE)
    with connect(target_of(data_dir, user)) as api:
        path = f"/instances/{find(api, instance)}" + (f"/restore-points/{point}" if point else "")
        try:
            with draft.open("xb") as target:
                api.fetch(f"{path}/archive", target)
            draft.rename(file)
        except OSError as error:
            raise CommandError(f"{file} can't be written: {error.strerror}") from error
        finally:
            draft.unlink(missing_ok=True)
    say(f"Written: {file}")


@app.command()
def bring(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .tar.gz or .tar.", exists=True, dir_okay=False)],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the new instance.")],
    wait: Wait = False,
    timeout: WaitSeconds = 300,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Create an instance from an archive: a downloaded one, or one of a folder ~/.openclaw. It uses the echo model
    until you give it keys."""
    with connect(target_of(data_dir, user)) as api:
        brought = api.send_file("/archives", file)
        made = api.post("/instances", {"name": name, "restore_point": brought["id"]})
        act(api, made, Settled.RUNNING, timeout if wait else None, as_json=as_json)


def find(api: Api, text: str) -> str:
    """The id that `text` is, or whose instance has that name."""
    if text.startswith("oc-"):
        return text if text.isascii() and text.replace("-", "").isalnum() else _not_found(text)
    named = [item["id"] for item in api.every("/instances") if folded(item["name"]) == folded(text)]
    if len(named) > 1:
        raise CommandError(f"Several instances are called {text!r}: {', '.join(named)}. Use the id instead.", Exit.CONFLICT)
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
                raise CommandError(
                    f"{instance_id} is in the state “{state_text(found)}” after {timeout_seconds:.0f} s; is the platform running?"
                )
            time.sleep(0.1)


def channel_tokens(channel: Channel) -> dict[str, str]:
    """The tokens of a channel, asked for one by one."""
    way_out = "Run the command in a terminal, or give the token on the instance's page."
    return {
        name: read_secret(f"{channel.capitalize()} {name}", from_stdin=False, file=None, way_out=way_out)
        for name in CHANNEL_CREDENTIALS[channel]
    }


def act(api: Api, answered: Any, wanted: Settled, timeout_seconds: float | None, *, as_json: bool) -> None:
    """Print what was answered, or what came of it where that is waited for."""
    found = answered if timeout_seconds is None else follow(api, answered["id"], wanted, timeout_seconds)
    show_instance(found, as_json=as_json)


def show_instance(instance: Any, *, as_json: bool) -> None:
    """Print one."""
    if as_json:
        print_json(instance)
        return
    print_fields(
        {
            "id": instance["id"],
            "name": instance["name"],
            "state": state_text(instance),
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

    from openclaw_hosted.domain.words import STEP_WORDS

    text = Text()
    words = {str(name): text for name, text in STEP_WORDS.items()}
    for step in instance.get("steps", []):
        mark, style = ("✗", "red") if step["error"] else ("✓", "green") if step["ended_at"] else ("…", "yellow")
        seconds = "" if step["seconds"] is None else f"{step['seconds']:8.2f} s"
        text.append(f"{mark} ", style)
        text.append(f"{words.get(step['name'], step['name']):<36}{seconds:>12}  {step['error'] or step['note'] or ''}\n")
    text.append(f"{instance['id']}: {state_text(instance)}")
    return text


def state_text(instance: Any) -> str:
    """Its phase in words; a newer platform may have one that this command does not know."""
    from openclaw_hosted.domain.words import PHASE_WORDS

    words = {str(phase): text for phase, text in PHASE_WORDS.items()}
    return words.get(instance["phase"], str(instance["phase"]))


def _not_found(text: str) -> str:
    raise CommandError(f"There is no instance {text[:40]!r}. List yours: openclaw-hosted instances list", Exit.NOT_FOUND)
