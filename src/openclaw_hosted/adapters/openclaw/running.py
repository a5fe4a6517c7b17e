"""A gateway that runs: what the platform has it do over HTTP, on whichever machine it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from openclaw_hosted.adapters.openclaw.config import Config, merge_patch, provider_id, replaced_arrays
from openclaw_hosted.adapters.openclaw.logs import redact
from openclaw_hosted.adapters.openclaw.rpc import GatewayClient, RpcRefused
from openclaw_hosted.domain.errors import Conflict, GatewayRejectedSettings, Unavailable
from openclaw_hosted.domain.gateway import SHIPPED_CHANNELS, CredentialsChange, GatewaySpec, ModelProvider
from openclaw_hosted.domain.naming import InstanceId, base_path
from openclaw_hosted.ports.gateways import BootstrapTicket, Names

WARM_UP_SESSION: Final = "warmup"
MAIN_SESSION: Final = "agent:main:main"


def check_shipped(spec: GatewaySpec) -> None:
    """Raise `Conflict` for a channel that the pinned OpenClaw does not carry: it would be silently absent."""
    missing = sorted(channel.capitalize() for channel in spec.settings.channels - SHIPPED_CHANNELS)
    if missing:
        raise Conflict(f"This platform's OpenClaw does not carry {' and '.join(missing)} yet. Take the channel out of the settings.")


async def warm_up(client: GatewayClient) -> list[str]:
    """Have it answer one turn from the echo model, and forget it; returns the paths of what it archived while forgetting.

    Forgetting ends the worker that reads sessions; opening the main session, where its user starts, brings up the next one.
    """
    await client.turn("hello", session_key=WARM_UP_SESSION, model="echo/echo")
    forgotten = await client.bridge("sessions.delete", {"key": f"agent:main:{WARM_UP_SESSION}", "deleteTranscript": True})
    await client.bridge("sessions.patch", {"key": MAIN_SESSION})
    archived = forgotten.get("archived")
    return [str(path) for path in archived] if isinstance(archived, list) else []


async def keep_warm(client: GatewayClient, instance_id: InstanceId) -> None:
    """Touch its page and its workers for sessions and memory: OpenClaw 2026.9.6 ends a worker that was idle for 60 s."""
    await client.page(f"{base_path(instance_id)}/")
    await client.bridge("sessions.list")
    await client.tool("memory_search", {"query": "hello"}, session_key=MAIN_SESSION)


async def mint_bootstrap(client: GatewayClient, names: Names | None) -> BootstrapTicket:
    """A ticket that lets one browser in as the owner, to a page that says these names (oc-hosted/names.js)."""
    payload = await client.bridge("browser.bootstrap", None if names is None else {"names": asdict(names)})
    try:
        return BootstrapTicket(str(payload["bootstrapToken"]), float(payload["expiresAtMs"]) / 1000)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Unavailable("The gateway gave no bootstrap ticket.") from None


async def present_config(client: GatewayClient) -> tuple[Config, Any]:
    """Its configuration as it is now, and the hash that a patch has to name."""
    seen = await client.admin("config.get")
    config = seen.get("config")
    return (config if isinstance(config, dict) else {}), seen.get("hash")


async def reload(
    client: GatewayClient, existing: Config, patch: Config, secrets: Iterable[str], *, credentials_changed: bool = True
) -> None:
    """Patch its configuration, where that changes anything, and have it read its credentials again, which takes two seconds.

    Raises `GatewayRejectedSettings` with what OpenClaw says, without any of `secrets`.
    """
    try:
        if merge_patch(existing, patch) != existing:
            seen, base_hash = await present_config(client)
            replaced = sorted({*replaced_arrays(existing, patch), *replaced_arrays(seen, patch)})
            await client.admin("config.patch", {"raw": json.dumps(patch), "baseHash": base_hash, "replacePaths": replaced})
        if credentials_changed:
            await client.bridge("secrets.reload")
    except RpcRefused as refusal:
        if refusal.code == "INVALID_REQUEST" and "invalid config" in str(refusal):
            raise GatewayRejectedSettings(redact(str(refusal), secrets)) from None
        raise Unavailable(redact(f"The gateway did not take the settings: {refusal}", secrets)) from None


async def hand_credentials(client: GatewayClient, change: CredentialsChange) -> float | None:
    """Have the gateway write this change into the file that it reads its credentials from; returns when it was started.

    Needs a gateway whose `identity` says `takesCredentials`. Raises `Unavailable`, without any of the credentials.
    """
    try:
        done = await client.bridge("credentials.change", {"set": dict(change.set), "remove": sorted(change.remove)})
    except RpcRefused as refusal:
        raise Unavailable(redact(f"The gateway did not take the credentials: {refusal}", change.set.values())) from None
    return number(done.get("startedAt"))


async def open_to_owner(client: GatewayClient) -> None:
    """A spare's gateway answers at its address from now on. One that was made before spares kept closed knows nothing of it."""
    try:
        await client.bridge("claim")
    except RpcRefused as refusal:
        if refusal.code != "INVALID_REQUEST":
            raise Unavailable(f"The gateway does not open: {refusal}") from None


def number(value: object) -> float | None:
    """What a gateway or a machine said, if it is one."""
    try:
        return float(value) if isinstance(value, int | float | str) and value != "" else None
    except (ValueError, OverflowError):
        return None


async def check_in_force(client: GatewayClient, spec: GatewaySpec) -> None:
    """Raise `Unavailable` unless the gateway itself says that it has the user's model provider."""
    if spec.settings.provider is ModelProvider.ECHO:
        return
    known = json.dumps((await client.admin("models.authStatus")).get("providers", []))
    if f'"{provider_id(spec.settings.provider)}"' not in known:
        raise Unavailable("The gateway has not taken the model provider yet.")
