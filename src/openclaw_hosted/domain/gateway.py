"""What a user may set on an OpenClaw: the model provider, the channels, and the credentials that they need."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from openclaw_hosted.domain.addresses import is_model_address
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput
from openclaw_hosted.domain.naming import InstanceId, VolumeId

MEMORY_BYTES: Final = 1_400_000_000
"""What one OpenClaw takes of a computer's memory at work; measured at 1.2 to 1.3 GB, with some room."""


class ModelProvider(StrEnum):
    """Who answers the user's turns."""

    ECHO = "echo"
    ANTHROPIC = "anthropic"
    OPENAI = "openai"
    OPENROUTER = "openrouter"
    GOOGLE = "google"
    COMPATIBLE = "compatible"


class Channel(StrEnum):
    """Where else the assistant can be talked to."""

    TELEGRAM = "telegram"
    DISCORD = "discord"
    SLACK = "slack"


class Credential(StrEnum):
    """The names under which credentials stand in an instance's vault document."""

    GATEWAY_TOKEN = "gatewayToken"
    MODEL_API_KEY = "modelApiKey"
    TELEGRAM_BOT_TOKEN = "telegramBotToken"
    DISCORD_BOT_TOKEN = "discordBotToken"
    SLACK_BOT_TOKEN = "slackBotToken"
    SLACK_APP_TOKEN = "slackAppToken"


CHANNEL_CREDENTIALS: Final[Mapping[Channel, tuple[Credential, ...]]] = {
    Channel.TELEGRAM: (Credential.TELEGRAM_BOT_TOKEN,),
    Channel.DISCORD: (Credential.DISCORD_BOT_TOKEN,),
    Channel.SLACK: (Credential.SLACK_BOT_TOKEN, Credential.SLACK_APP_TOKEN),
}
SHIPPED_CHANNELS: Final = frozenset({Channel.TELEGRAM})
"""Those that the pinned OpenClaw carries. Any other would be accepted by it and silently absent."""
USER_CREDENTIALS: Final = frozenset(Credential) - {Credential.GATEWAY_TOKEN}
NO_KEY: Final = "no-key-needed"
"""Stands in the vault for the key of a provider that takes none, as OpenClaw wants a word to send. It is no secret, and not the user's."""
CREDENTIAL_MAX_LENGTH: Final = 512
MODEL_MAX_LENGTH: Final = 120
MODEL_ADDRESS_WANTED: Final = "Give the address of the API, such as https://models.example.com/v1, without a query."


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The public part of what the user chose; credentials are never in it."""

    provider: ModelProvider = ModelProvider.ECHO
    model: str | None = None
    """Model id as the provider writes it; None takes the default of that provider."""
    base_url: str | None = None
    """Only for `ModelProvider.COMPATIBLE`."""
    channels: frozenset[Channel] = frozenset()


DEFAULT_SETTINGS: Final = GatewaySettings()


@dataclass(frozen=True, slots=True)
class GatewaySpec:
    """All that a gateway needs to run for an instance; its credentials are fetched from the vault by name."""

    instance_id: InstanceId
    generation: int
    volume_id: VolumeId
    image: str
    settings: GatewaySettings = DEFAULT_SETTINGS
    revision: int = 0
    """Grows with each change of settings or credentials."""
    allowed_origins: tuple[str, ...] = ()
    name: str = ""
    """What its user calls the instance; empty for a spare."""


Credentials = Mapping[Credential, str]


@dataclass(frozen=True, slots=True)
class CredentialsChange:
    """A change to credentials: values to set, names to take away. What is in neither stays as it is."""

    set: Credentials = field(default_factory=dict, repr=False)
    remove: frozenset[Credential] = frozenset()

    def apply_to(self, existing: Credentials) -> dict[Credential, str]:
        """`existing` with this change made."""
        kept = {name: value for name, value in existing.items() if name not in self.remove}
        return {**kept, **self.set}


def encode_settings(settings: GatewaySettings) -> dict[str, Any]:
    """`settings` as a JSON object."""
    return {
        "provider": settings.provider,
        "model": settings.model,
        "base_url": settings.base_url,
        "channels": sorted(settings.channels),
    }


def decode_settings(body: Mapping[str, Any]) -> GatewaySettings:
    """The inverse of `encode_settings`. Raises `KeyError` or `ValueError` for what it did not make."""
    channels = frozenset(Channel(name) for name in body["channels"])
    return GatewaySettings(ModelProvider(body["provider"]), body["model"], body["base_url"], channels)


def needs_key(provider: ModelProvider) -> bool:
    """Whether a model provider has to be given a key. One at an address of the user's own may take none, such as Ollama or LM Studio."""
    return provider not in (ModelProvider.ECHO, ModelProvider.COMPATIBLE)


def with_stand_in(change: CredentialsChange, settings: GatewaySettings, present: frozenset[Credential]) -> CredentialsChange:
    """`change`, with `NO_KEY` for a provider that has none of the user's; `present` are the user's credentials after the change."""
    if settings.provider is not ModelProvider.COMPATIBLE or Credential.MODEL_API_KEY in present:
        return change
    return CredentialsChange({**change.set, Credential.MODEL_API_KEY: NO_KEY}, change.remove - {Credential.MODEL_API_KEY})


def encode_change(change: CredentialsChange) -> bytes:
    """`change` as bytes to be sealed."""
    return json.dumps({"set": dict(change.set), "remove": sorted(change.remove)}).encode()


def decode_change(encoded: bytes) -> CredentialsChange:
    """The inverse of `encode_change`."""
    body = json.loads(encoded)
    values = {Credential(name): str(value) for name, value in body["set"].items()}
    return CredentialsChange(values, frozenset(Credential(name) for name in body["remove"]))


def check_settings(settings: GatewaySettings, present: frozenset[Credential]) -> None:
    """Raise `InvalidInput` naming every field that is wrong; `present` are the credentials that will be there."""
    problems = [*_model_problems(settings, present), *_channel_problems(settings, present)]
    if problems:
        raise InvalidInput(*problems)


def check_credentials(values: Credentials) -> None:
    """Raise `InvalidInput` for values that can't be a key or token. Never repeats the value."""
    problems = [problem for name, value in values.items() if (problem := _credential_problem(name, value))]
    if problems:
        raise InvalidInput(*problems)


def _credential_problem(name: Credential, value: str) -> FieldProblem | None:
    path = f"credentials.{name}"
    if name not in USER_CREDENTIALS:
        return FieldProblem(path, "This one is made by the platform and can't be set.")
    if not value:
        return FieldProblem(path, "Paste the key, or leave the field out to keep the present one.")
    if len(value) > CREDENTIAL_MAX_LENGTH:
        return FieldProblem(path, f"A key has at most {CREDENTIAL_MAX_LENGTH} characters; this has {len(value)}.")
    if any(not "!" <= char <= "~" for char in value):
        return FieldProblem(path, "A key is one word without blanks, line breaks or special characters; copy it once more.")
    return None


def _model_problems(settings: GatewaySettings, present: frozenset[Credential]) -> list[FieldProblem]:
    problems = []
    if needs_key(settings.provider) and Credential.MODEL_API_KEY not in present:
        problems.append(FieldProblem(f"credentials.{Credential.MODEL_API_KEY}", "This provider needs an API key."))
    if settings.model is not None and not is_model_id(settings.model):
        problems.append(FieldProblem("settings.model", f"A model id is one word of at most {MODEL_MAX_LENGTH} characters."))
    if settings.provider is ModelProvider.COMPATIBLE:
        if not settings.model:
            problems.append(FieldProblem("settings.model", "Name the model that this address serves."))
        if not is_model_address(settings.base_url or ""):
            problems.append(FieldProblem("settings.base_url", MODEL_ADDRESS_WANTED))
    elif settings.base_url is not None:
        problems.append(FieldProblem("settings.base_url", "Only an OpenAI-compatible provider takes an address."))
    return problems


def _channel_problems(settings: GatewaySettings, present: frozenset[Credential]) -> list[FieldProblem]:
    return [
        FieldProblem(f"credentials.{name}", f"{channel.capitalize()} needs this token.")
        for channel in sorted(settings.channels)
        for name in CHANNEL_CREDENTIALS[channel]
        if name not in present
    ]


def is_model_id(text: str) -> bool:
    """Whether a provider's model can be called so."""
    return 0 < len(text) <= MODEL_MAX_LENGTH and all("!" <= char <= "~" for char in text)
