"""Model providers, as far as the platform talks to them itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from openclaw_hosted.domain.gateway import Channel, Credentials, GatewaySettings

MODELS_LISTED: Final = 500


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What came of trying a key. `message` is for the user and never repeats the key."""

    ok: bool
    message: str


@dataclass(frozen=True, slots=True)
class ModelList:
    """What a provider says it can answer with: ids as it writes them, in its order, or why there are none."""

    report: KeyReport
    models: Sequence[str] = ()


class KeyTester(Protocol):
    """Tries keys and tokens against their owners' APIs, without cost to the user."""

    async def try_model_key(self, settings: GatewaySettings, credentials: Credentials) -> KeyReport:
        """Whether the model provider takes the key. An unreachable provider is a report, not an error."""
        ...

    async def list_models(self, settings: GatewaySettings, credentials: Credentials) -> ModelList:
        """The models that the provider offers to this key, at most `MODELS_LISTED` of them."""
        ...

    async def try_channel(self, channel: Channel, credentials: Credentials) -> KeyReport:
        """Whether the channel takes its tokens."""
        ...
