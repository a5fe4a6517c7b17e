"""Model providers, as far as the platform talks to them itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from openclaw_hosted.domain.gateway import Channel, Credentials, GatewaySettings


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What came of trying a key. `message` is for the user and never repeats the key."""

    ok: bool
    message: str


class KeyTester(Protocol):
    """Tries keys and tokens against their owners' APIs, without cost to the user."""

    async def try_model_key(self, settings: GatewaySettings, credentials: Credentials) -> KeyReport:
        """Whether the model provider takes the key. An unreachable provider is a report, not an error."""
        ...

    async def try_channel(self, channel: Channel, credentials: Credentials) -> KeyReport:
        """Whether the channel takes its tokens."""
        ...
