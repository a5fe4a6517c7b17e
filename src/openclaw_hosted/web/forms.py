"""What a form of an instance holds, and how its problems find their fields."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import FormData

from openclaw_hosted.domain.errors import FieldProblem, InvalidInput
from openclaw_hosted.domain.gateway import CHANNEL_CREDENTIALS, Channel, Credential, CredentialsChange, GatewaySettings, ModelProvider
from openclaw_hosted.domain.instance import Instance

CREDENTIAL_LABELS: Final = {
    Credential.TELEGRAM_BOT_TOKEN: "Telegram bot token",
    Credential.DISCORD_BOT_TOKEN: "Discord bot token",
    Credential.SLACK_BOT_TOKEN: "Slack bot token",
    Credential.SLACK_APP_TOKEN: "Slack app token",
}


def text_of(form: FormData, name: str) -> str:
    """A field's text without surrounding blanks; empty where it was not sent."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def by_field(problems: tuple[FieldProblem, ...]) -> dict[str, str]:
    """Problems by the form's field names."""
    return {problem.field.rpartition(".")[2]: problem.message for problem in problems}


def submission_key(form: FormData) -> str | None:
    """An idempotency key for a form with a `form_id`: sent twice it is one wish, sent again with other contents it is another."""
    form_id = text_of(form, "form_id")
    contents = sorted((name, str(value)) for name, value in form.multi_items() if name != "csrf_token")
    return hashlib.sha256(repr(contents).encode()).hexdigest() if form_id else None


@dataclass(frozen=True, slots=True)
class InstanceForm:
    """An instance's form as it was sent, or as it is first shown. Credentials are never shown again."""

    name: str = ""
    provider: ModelProvider = ModelProvider.ECHO
    model: str = ""
    base_url: str = ""
    channels: frozenset[Channel] = frozenset()
    kept: frozenset[Credential] = frozenset()
    """The credentials that are set already."""
    credentials: CredentialsChange = field(default_factory=CredentialsChange, repr=False)

    def settings(self) -> GatewaySettings:
        """The settings that it stands for; fields that another provider shows do not count."""
        takes_address = self.provider is ModelProvider.COMPATIBLE
        takes_model = self.provider is not ModelProvider.ECHO
        return GatewaySettings(
            self.provider, (self.model or None) if takes_model else None, (self.base_url or None) if takes_address else None, self.channels
        )

    @classmethod
    def of(cls, instance: Instance) -> InstanceForm:
        """The form of an instance that exists."""
        settings = instance.settings
        return cls(
            instance.name, settings.provider, settings.model or "", settings.base_url or "", settings.channels, instance.credential_names
        )

    @classmethod
    def read(cls, form: FormData, kept: frozenset[Credential] = frozenset()) -> InstanceForm:
        """The form as it was sent. Raises `InvalidInput` for a choice that was not offered."""
        try:
            provider = ModelProvider(text_of(form, "provider") or ModelProvider.ECHO)
            channels = frozenset(Channel(str(value)) for value in form.getlist("channels"))
        except ValueError:
            raise InvalidInput(FieldProblem("provider", "Choose among what is offered.")) from None
        wanted = [] if provider is ModelProvider.ECHO else [Credential.MODEL_API_KEY]
        wanted += [name for channel in sorted(channels) for name in CHANNEL_CREDENTIALS[channel]]
        values = {name: text_of(form, name) for name in wanted if text_of(form, name)}
        return cls(
            text_of(form, "name"),
            provider,
            text_of(form, "model"),
            text_of(form, "base_url"),
            channels,
            kept,
            CredentialsChange(values),
        )
