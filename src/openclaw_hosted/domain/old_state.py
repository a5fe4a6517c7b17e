"""What of an OpenClaw's state directory comes along when it moves here, and what its environment says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from openclaw_hosted.domain.gateway import CHANNEL_CREDENTIALS, SHIPPED_CHANNELS, Credential, GatewaySettings, ModelProvider
from openclaw_hosted.domain.migration import OldSettings

LEFT: Final = re.compile(r"openclaw\.json(\..*)?|\.env(\..*)?|cache|tmp|logs|agents/[^/]+/agent/auth-profiles\.json(\..*)?")
"""What does not come along: the configuration, of which the platform writes its own; keys; and what is made anew."""
TRANSIENT: Final = re.compile(r".*(\.sqlite\.(generation-(lock|writer)|reindex-lock)\.sqlite|\.sock|\.pid|\.lock)$")
KEYS: Final = {
    "ANTHROPIC_API_KEY": ModelProvider.ANTHROPIC,
    "OPENAI_API_KEY": ModelProvider.OPENAI,
    "OPENROUTER_API_KEY": ModelProvider.OPENROUTER,
    "GEMINI_API_KEY": ModelProvider.GOOGLE,
    "GOOGLE_API_KEY": ModelProvider.GOOGLE,
}
"""The variables in which OpenClaw looks for a provider's key, the first that is set wins."""
TOKENS: Final = {"TELEGRAM_BOT_TOKEN": Credential.TELEGRAM_BOT_TOKEN}


def is_left(relative: str) -> bool:
    """Whether what stands at this path below a state directory does not come along."""
    return LEFT.fullmatch(relative) is not None or TRANSIENT.fullmatch(relative) is not None


def read_settings(variables: Mapping[str, str], provider: str | None, model: str | None) -> OldSettings:
    """The first provider with a key serves, unless one is named; what has no place here is named."""
    keys = {name: KEYS[name] for name in KEYS if variables.get(name)}
    chosen = next((name for name, each in keys.items() if provider in (None, each)), None)
    credentials = {TOKENS[name]: value for name, value in variables.items() if name in TOKENS and value}
    if chosen is not None:
        credentials[Credential.MODEL_API_KEY] = variables[chosen]
    channels = {channel for channel in SHIPPED_CHANNELS if all(name in credentials for name in CHANNEL_CREDENTIALS[channel])}
    settings = GatewaySettings(keys[chosen] if chosen else ModelProvider.ECHO, model if chosen else None, channels=frozenset(channels))
    ignored = sorted(name for name in variables if name not in TOKENS and name != chosen)
    return OldSettings(settings, credentials, tuple(ignored))
