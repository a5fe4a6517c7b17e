"""The settings of alarms, of the budget and of OpenTelemetry, read from the environment beside those of `settings.py`."""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from openclaw_hosted.domain.account import clean_email
from openclaw_hosted.domain.errors import InvalidInput
from openclaw_hosted.domain.origins import origin_of
from openclaw_hosted.domain.webhook import is_secret
from openclaw_hosted.settings import SettingsError, explain, is_loopback

SMTP_PORTS: Final = {"smtp": 587, "smtps": 465}
HEADER: Final = re.compile(r"[A-Za-z0-9!#$&'*+.^_`|~-]+")
SMTP_HELP: Final = "give smtps://USER:PASSWORD@HOST or smtp://USER:PASSWORD@HOST:587; write special characters as %XX"


class OperatingSettings(BaseSettings):
    """What an operator may set about alarms that reach people, and about money."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, case_sensitive=True)

    email_to: Annotated[tuple[str, ...], NoDecode] = Field((), alias="ALARM_EMAIL")
    """Comma separated."""
    email_from: str | None = Field(None, alias="ALARM_EMAIL_FROM")
    """Without it, the first recipient."""
    smtp: SecretStr | None = Field(None, alias="SMTP_URL")
    """A secret, as it may hold a password."""
    smtp_authority: str | None = Field(None, alias="SMTP_CA_FILE")
    telegram_token: SecretStr | None = Field(None, alias="ALARM_TELEGRAM_TOKEN")
    telegram_chat: str | None = Field(None, alias="ALARM_TELEGRAM_CHAT", pattern=r"^(-?\d{1,20}|@\w{4,64})$")
    telegram_api: str = Field("https://api.telegram.org", alias="ALARM_TELEGRAM_API", pattern=r"^https?://[^\s/?#]+/?$")
    """Another server of the Bot API."""
    webhook_url: SecretStr | None = Field(None, alias="ALARM_WEBHOOK_URL")
    """A secret, as receivers put tokens into addresses."""
    webhook_secret: SecretStr | None = Field(None, alias="ALARM_WEBHOOK_SECRET")
    launch_failures: int = Field(3, alias="LAUNCH_FAILURES_ALARM", ge=1, le=10_000)
    """How many failed launches within five minutes are an alarm."""
    budget_usd: float | None = Field(None, alias="BUDGET_USD_PER_MONTH", gt=0, le=10_000_000)
    """From which estimate on the alarm over-budget is on."""
    budget_stops: bool = Field(default=False, alias="BUDGET_STOPS_CREATES")
    """Whether nobody can create an instance meanwhile."""
    otlp_endpoint: str | None = Field(None, alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    """Of a collector, without the path of a signal. Without it nothing is sent."""
    otlp_headers: SecretStr | None = Field(None, alias="OTEL_EXPORTER_OTLP_HEADERS")
    """A secret, as collectors take keys there."""
    otlp_off: bool = Field(default=False, alias="OTEL_SDK_DISABLED")

    @field_validator("email_to", mode="before")
    @classmethod
    def _are_listed(cls, value: str | tuple[str, ...]) -> tuple[str, ...]:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("email_to", "email_from")
    @classmethod
    def _are_addresses(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for address in (value,) if isinstance(value, str) else value or ():
            try:
                clean_email(address, "ALARM_EMAIL")
            except InvalidInput:
                raise ValueError("give e-mail addresses, such as ops@example.com") from None
        return value

    @field_validator("smtp")
    @classmethod
    def _is_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parts = urlsplit(value.get_secret_value())
            try:
                is_well = parts.scheme in SMTP_PORTS and bool(parts.hostname) and parts.port != 0 and not parts.path.strip("/")
            except ValueError:
                is_well = False
            if not is_well:
                raise ValueError(SMTP_HELP)
        return value

    @field_validator("webhook_url")
    @classmethod
    def _is_receiver(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and origin_of(value.get_secret_value()) is None:
            raise ValueError("give an address such as https://example.com/alarms, without a user name or a password")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _is_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_secret(value.get_secret_value()):
            raise ValueError(
                "give whsec_ and 24 to 64 random bytes in base64, such as the output of: echo whsec_$(openssl rand -base64 32)"
            )
        return value

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_collector(cls, value: str | None) -> str | None:
        if value is not None and (origin_of(value) is None or "?" in value or "#" in value):
            raise ValueError("give an address such as http://localhost:4318, without a user name, a password or a query")
        return value

    @field_validator("otlp_headers")
    @classmethod
    def _are_headers(cls, value: SecretStr | None) -> SecretStr | None:
        for pair in value.get_secret_value().split(",") if value else ():
            name, is_there, said = pair.partition("=")
            if not (is_there and HEADER.fullmatch(name.strip()) and said.strip().isprintable() and said.isascii()):
                raise ValueError("give NAME=VALUE, with commas between several; write special characters of a value as %XX")
        return value

    @model_validator(mode="after")
    def _are_whole(self) -> OperatingSettings:
        if self.email_to and self.smtp is None:
            raise ValueError("ALARM_EMAIL needs SMTP_URL, the mail server; set both, or neither")
        if (self.telegram_token is None) != (self.telegram_chat is None):
            raise ValueError("ALARM_TELEGRAM_TOKEN and ALARM_TELEGRAM_CHAT need each other; set both, or neither")
        if (self.webhook_url is None) != (self.webhook_secret is None):
            raise ValueError("ALARM_WEBHOOK_URL and ALARM_WEBHOOK_SECRET need each other; set both, or neither")
        if self.budget_stops and self.budget_usd is None:
            raise ValueError("BUDGET_STOPS_CREATES needs BUDGET_USD_PER_MONTH")
        return self

    @property
    def otlp_header_values(self) -> dict[str, str]:
        """Headers by name."""
        given = self.otlp_headers.get_secret_value() if self.otlp_headers else ""
        pairs = (pair.partition("=") for pair in given.split(",") if pair.strip())
        return {name.strip().lower(): unquote(said.strip()) for name, _, said in pairs}

    @property
    def smtp_parts(self) -> tuple[str, int, bool, str, str, bool]:
        """Host, port, whether TLS from the start, user, password, whether it is this computer. Only with `smtp`."""
        assert self.smtp is not None
        parts = urlsplit(self.smtp.get_secret_value())
        host = parts.hostname or ""
        port = parts.port or SMTP_PORTS[parts.scheme]
        return host, port, parts.scheme == "smtps", unquote(parts.username or ""), unquote(parts.password or ""), is_loopback(host)


def load_operating_settings() -> OperatingSettings:
    """Those of the environment. Raises `SettingsError`."""
    try:
        return OperatingSettings()
    except ValidationError as error:
        raise SettingsError(explain(error)) from None
