"""`openclaw-hosted instances update`: another name, model, key or channel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from openclaw_hosted.cli.client import ActAs, AsJson, DataDir, connect
from openclaw_hosted.cli.instances import InstanceArgument, Settled, Wait, WaitSeconds, act, app, channel_tokens, find, target_of
from openclaw_hosted.cli.output import CommandError, Exit
from openclaw_hosted.cli.secrets import KEY_WAY_OUT, read_secret
from openclaw_hosted.domain.gateway import CHANNEL_CREDENTIALS, Channel, Credential, ModelProvider, needs_key


@app.command()
def update(
    instance: InstanceArgument,
    name: Annotated[str | None, typer.Option(help="Another name.", show_default=False)] = None,
    provider: Annotated[
        ModelProvider | None, typer.Option(help="Another model provider. The command asks for its key.", show_default=False)
    ] = None,
    model: Annotated[str | None, typer.Option(help="Another model; empty for the provider's default.", show_default=False)] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of the API, for provider `compatible`.", show_default=False)] = None,
    api_key_stdin: Annotated[bool, typer.Option("--api-key-stdin", help="Read another provider's key from standard input.")] = False,
    api_key_file: Annotated[Path | None, typer.Option(help="Read another provider's key from this file.", dir_okay=False)] = None,
    add_channel: Annotated[list[Channel] | None, typer.Option(help="Connect a channel. The command asks for its tokens.")] = None,
    remove_channel: Annotated[list[Channel] | None, typer.Option(help="Disconnect a channel, and forget its tokens.")] = None,
    wait: Wait = False,
    timeout: WaitSeconds = 300,
    data_dir: DataDir = None,
    user: ActAs = None,
    as_json: AsJson = False,
) -> None:
    """Change an instance; anything that you do not name stays the same. The command asks for keys, or reads them from a
    file or standard input."""
    added, removed = set(add_channel or []), set(remove_channel or [])
    if added & removed:
        raise CommandError(f"Add or remove {min(added & removed)}, not both.", Exit.USAGE)
    with connect(target_of(data_dir, user)) as api:
        found = api.get(f"/instances/{find(api, instance)}")
        settings = _settings(found["settings"], provider, model, base_url, added, removed)
        credentials: dict[str, str | None] = {token: None for channel in removed for token in CHANNEL_CREDENTIALS[channel]}
        if api_key_stdin or api_key_file or _asks_for_key(found, provider):
            credentials[Credential.MODEL_API_KEY] = read_secret("API key", from_stdin=api_key_stdin, file=api_key_file, way_out=KEY_WAY_OUT)
        for channel in sorted(added):
            credentials |= channel_tokens(channel)
        parts = {"name": name, "settings": settings if settings != found["settings"] else None, "credentials": credentials or None}
        body = {part: value for part, value in parts.items() if value is not None}
        if not body:
            raise CommandError("Name something to change. See: openclaw-hosted instances update --help", Exit.USAGE)
        changed = api.patch(f"/instances/{found['id']}", body, {"If-Match": f'"{found["revision"]}"'})
        act(api, changed, Settled.RUNNING, timeout if wait else None, as_json=as_json)


def _settings(
    now: dict[str, Any], provider: ModelProvider | None, model: str | None, base_url: str | None, added: set[Channel], removed: set[Channel]
) -> dict[str, Any]:
    """Another provider begins with its own default model; an empty model stands for that, too."""
    kept = now if provider in (None, now["provider"]) else {"model": None, "base_url": None}
    return {
        "provider": provider.value if provider else now["provider"],
        "model": kept["model"] if model is None else model or None,
        "base_url": kept["base_url"] if base_url is None else base_url or None,
        "channels": sorted((set(now["channels"]) | {channel.value for channel in added}) - {channel.value for channel in removed}),
    }


def _asks_for_key(found: dict[str, Any], provider: ModelProvider | None) -> bool:
    return provider is not None and provider.value != found["settings"]["provider"] and needs_key(provider)
