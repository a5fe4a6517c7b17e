"""OpenClaw's suspend contract: it takes no new work, and says when what it had is done (its docs/gateway/external-apps.md).

A lease on its rest lasts two minutes and is then given up by OpenClaw itself, so that a platform that dies in between leaves no gateway at
rest for longer. OpenClaw lets itself be asked thirty times a minute.
"""

from __future__ import annotations

from typing import Any, Final

from openclaw_hosted.adapters.openclaw.rpc import GatewayClient, RpcRefused
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.ports.gateways import Seat

OTHER_KIND: Final = "another gateway suspension is already prepared"
"""What OpenClaw 2026.9.6 says where a rest of another kind is held, or somebody else's."""


async def suspend(client: GatewayClient, seat: Seat, *, finish: bool) -> bool:
    """Have it rest; see the port. Asking again renews the lease."""
    return (await _held(client, seat, drain=finish)).get("status") == "ready"


async def resume(client: GatewayClient, seat: Seat) -> None:
    """Have it take work again. Which lease it holds, it tells whoever asked for that."""
    held = (await _held(client, seat, drain=False)).get("suspensionId")
    if held is not None:
        await _call(client, "gateway.suspend.resume", {"suspensionId": held})


async def _held(client: GatewayClient, seat: Seat, *, drain: bool) -> dict[str, Any]:
    """How it rests. One that was asked for the other kind of rest before keeps that, and tells of it only who asks for the same again."""
    try:
        return await _prepare(client, seat, drain=drain)
    except Unavailable as refusal:
        if OTHER_KIND not in str(refusal):
            raise
        return await _prepare(client, seat, drain=not drain)


async def _prepare(client: GatewayClient, seat: Seat, *, drain: bool) -> dict[str, Any]:
    """A terminal that somebody has open is no work: it ends with the gateway."""
    request = {"requestId": f"move-{seat.instance_id}-{seat.generation}", "terminalPolicy": "terminate", "drain": drain}
    return await _call(client, "gateway.suspend.prepare", request)


async def _call(client: GatewayClient, method: str, params: dict[str, Any]) -> dict[str, Any]:
    try:
        return await client.admin(method, params)
    except RpcRefused as refusal:
        raise Unavailable(f"The gateway does not rest now: {refusal}") from None
