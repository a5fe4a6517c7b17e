"""Who waits to be approved to write to a gateway: OpenClaw 2026.9.6's methods `channels.pairing.*`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from openclaw_hosted.adapters.openclaw.rpc import GatewayClient, RpcRefused
from openclaw_hosted.domain.errors import NotFound, Unavailable
from openclaw_hosted.ports.gateways import SenderRequest

LONGEST_NAME = 80


async def sender_requests(client: GatewayClient) -> Sequence[SenderRequest]:
    """Who waits, the oldest first."""
    return sorted(map(_request, await _pending(client)), key=lambda request: request.asked_at)


async def settle_sender(client: GatewayClient, request_id: str, *, approve: bool) -> None:
    """Approve and tell the sender, or dismiss. Raises `NotFound` for a request that is gone."""
    found = next((each for each in await _pending(client) if each.get("requestId") == request_id), None)
    if found is None:
        raise NotFound("This request is gone: it was settled, or an hour has passed. The sender can write again.")
    params = {"channel": found.get("channel"), "accountId": found.get("accountId"), "requestId": request_id}
    if approve:
        await client.bridge("channels.pairing.approve", {**params, "notify": True})
    else:
        await client.bridge("channels.pairing.dismiss", params)


async def _pending(client: GatewayClient) -> list[dict[str, Any]]:
    try:
        payload = await client.bridge("channels.pairing.list")
    except RpcRefused as problem:
        raise Unavailable(f"OpenClaw does not say who waits: {problem}") from problem
    listed = payload.get("requests")
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _request(found: Mapping[str, Any]) -> SenderRequest:
    try:
        return SenderRequest(
            id=str(found["requestId"]),
            channel=str(found["channelLabel"]),
            sender_id=str(found["senderId"]),
            sender_name=_name(found.get("metadata")),
            asked_at=datetime.fromisoformat(found["createdAt"]).timestamp(),
            expires_at=datetime.fromisoformat(found["expiresAt"]).timestamp(),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Unavailable("OpenClaw said who waits in a way that is not understood.") from None


def _name(metadata: object) -> str:
    if not isinstance(metadata, dict):
        return ""
    names = [str(metadata[key]) for key in ("firstName", "lastName", "name") if metadata.get(key)]
    username = f"@{metadata['username']}" if metadata.get("username") else ""
    return " ".join(filter(None, (*names, username)))[:LONGEST_NAME]
