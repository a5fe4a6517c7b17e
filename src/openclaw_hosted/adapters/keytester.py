"""Tries a user's keys against their owners' APIs: one small request that costs nothing, and a plain report.

An address that a user gives is called through the guard in `outgoing`, and from where the user's gateway would call it. Nothing that
comes back is repeated, but for a bot's name.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from openclaw_hosted.adapters.fetching import Answer, fetch
from openclaw_hosted.adapters.model_lists import listed_ids, models_for_talking
from openclaw_hosted.adapters.outgoing import Destination, NotReached, Outgoing, UnknownName
from openclaw_hosted.domain.addresses import is_model_address
from openclaw_hosted.domain.errors import InvalidInput
from openclaw_hosted.domain.foreign import foreign_object
from openclaw_hosted.domain.gateway import (
    MODEL_ADDRESS_WANTED,
    Channel,
    Credential,
    Credentials,
    GatewaySettings,
    ModelProvider,
    check_credentials,
    needs_key,
)
from openclaw_hosted.ports.models import KeyReport, ModelList

TIMEOUT_SECONDS: Final = 8.0
OK: Final = 200
REFUSED: Final = (401, 403)
TOO_MANY: Final = 429
NO_API: Final = "No model's API answers at this address. Check host, port and path; most paths end in /v1."
NOT_REACHED: Final = (
    "This address is not reached from a machine. For a model on the platform's computer or network, ask an operator to name it in "
    "ALLOW_LOCAL_MODELS."
)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where each owner's API is."""

    anthropic: str = "https://api.anthropic.com/v1/models?limit=1000"
    openai: str = "https://api.openai.com/v1/models"
    openrouter: str = "https://openrouter.ai/api/v1/key"
    openrouter_models: str = "https://openrouter.ai/api/v1/models"
    google: str = "https://generativelanguage.googleapis.com/v1beta/models?pageSize=1000"
    telegram: str = "https://api.telegram.org"
    discord: str = "https://discord.com/api/v10/users/@me"
    slack_bot: str = "https://slack.com/api/auth.test"
    slack_app: str = "https://slack.com/api/apps.connections.open"


@dataclass(frozen=True, slots=True)
class _Call:
    """One request. `url` and `headers` may hold a credential, so they are never printed."""

    who: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    method: str = "GET"


@dataclass(frozen=True, slots=True)
class _Said:
    """What a provider that took the key answered."""

    report: KeyReport
    body: Mapping[str, Any]


class HttpKeyTester:
    """Tries keys over HTTP."""

    def __init__(self, outgoing: Outgoing, endpoints: Endpoints | None = None) -> None:
        self._outgoing = outgoing
        self._at = endpoints or Endpoints()
        logging.getLogger("httpx").addFilter(_names_no_bot)

    async def try_model_key(self, settings: GatewaySettings, credentials: Credentials) -> KeyReport:
        """Whether the model provider takes the key."""
        asked = await self._ask_provider(settings, credentials)
        return asked if isinstance(asked, KeyReport) else _with_model(asked.report, settings.model, asked.body)

    async def list_models(self, settings: GatewaySettings, credentials: Credentials) -> ModelList:
        """The models that the provider offers to this key."""
        asked = await self._ask_provider(settings, credentials, for_models=True)
        if isinstance(asked, KeyReport):
            return ModelList(asked)
        models = models_for_talking(asked.body)
        return ModelList(asked.report, models) if models else ModelList(_failed("The provider lists no models. Type the model's id."))

    async def _ask_provider(self, settings: GatewaySettings, credentials: Credentials, *, for_models: bool = False) -> _Said | KeyReport:
        """What the provider answers to the key, or a report where there is nothing to ask or the key is refused."""
        if settings.provider is ModelProvider.ECHO:
            return KeyReport(ok=True, message="The echo model needs no key.")
        key = credentials.get(Credential.MODEL_API_KEY, "")
        if not key and not needs_key(settings.provider):
            return await self._ask_address(settings, None)
        if (problem := _malformed(Credential.MODEL_API_KEY, key)) is not None:
            return problem
        if settings.provider is ModelProvider.COMPATIBLE:
            return await self._ask_address(settings, key)
        call = self._model_call(settings.provider, key, for_models=for_models)
        answer = await _send(call)
        return answer if isinstance(answer, KeyReport) else _Said(KeyReport(ok=True, message=f"{call.who} takes this key."), answer)

    async def try_channel(self, channel: Channel, credentials: Credentials) -> KeyReport:
        """Whether the channel takes its tokens."""
        if channel is Channel.SLACK:
            bot = await self._try_token(Credential.SLACK_BOT_TOKEN, credentials, self._at.slack_bot)
            return bot if not bot.ok else await self._try_token(Credential.SLACK_APP_TOKEN, credentials, self._at.slack_app)
        name = Credential.TELEGRAM_BOT_TOKEN if channel is Channel.TELEGRAM else Credential.DISCORD_BOT_TOKEN
        return await self._try_token(name, credentials, self._at.discord)

    async def _try_token(self, name: Credential, credentials: Credentials, url: str) -> KeyReport:
        token = credentials.get(name, "")
        if (problem := _malformed(name, token)) is not None:
            return problem
        if name is Credential.TELEGRAM_BOT_TOKEN:
            if any(char in "/?#%\\" for char in token):
                return KeyReport(ok=False, message="This is not a bot token: it looks like 123456:ABC-DEF.")
            call = _Call("Telegram", f"{self._at.telegram}/bot{token}/getMe", {})
        elif name is Credential.DISCORD_BOT_TOKEN:
            call = _Call("Discord", url, {"Authorization": f"Bot {token}"})
        else:
            part = "the bot token" if name is Credential.SLACK_BOT_TOKEN else "the app token"
            call = _Call(f"Slack ({part})", url, {"Authorization": f"Bearer {token}"}, "POST")
        answer = await _send(call)
        if isinstance(answer, KeyReport):
            return answer
        if answer.get("ok") is False:
            return KeyReport(ok=False, message=f"{call.who} refuses this token. Copy it once more.")
        return KeyReport(ok=True, message=f"{call.who} takes this token{_bot_name(answer)}.")

    def _model_call(self, provider: ModelProvider, key: str, *, for_models: bool) -> _Call:
        """The request for the provider's models; OpenRouter answers that one to anybody, and another to the key's owner alone."""
        openrouter = self._at.openrouter_models if for_models else self._at.openrouter
        bearer = {"Authorization": f"Bearer {key}"}
        calls = {
            ModelProvider.ANTHROPIC: _Call("Anthropic", self._at.anthropic, {"x-api-key": key, "anthropic-version": "2023-06-01"}),
            ModelProvider.OPENAI: _Call("OpenAI", self._at.openai, bearer),
            ModelProvider.OPENROUTER: _Call("OpenRouter", openrouter, bearer),
            ModelProvider.GOOGLE: _Call("Google", self._at.google, {"x-goog-api-key": key}),
        }
        return calls[provider]

    async def _ask_address(self, settings: GatewaySettings, key: str | None) -> _Said | KeyReport:
        """Whether a model's API answers there, and whether it wants a key: it is asked without one first.

        What else there may be at such an address is not told apart: a user would learn what runs where only the platform reaches.
        """
        address = settings.base_url or ""
        if not is_model_address(address):
            return _failed(MODEL_ADDRESS_WANTED)
        try:
            destination = await self._outgoing.destination(f"{address.rstrip('/')}/models")
            answer = await self._ask(destination, {})
            wants_key = answer.status in REFUSED
            if wants_key and key is not None:
                answer = await self._ask(destination, {"Authorization": f"Bearer {key}"})
        except NotReached:
            return _failed(NOT_REACHED)
        except UnknownName:
            return _failed("This address is not known to the name service. Check its spelling.")
        except (httpx.HTTPError, httpx.InvalidURL):
            return _failed(NO_API)
        return _said(answer, wants_key=wants_key, with_key=key is not None)

    async def _ask(self, destination: Destination, headers: Mapping[str, str]) -> Answer:
        return await self._outgoing.get(destination, headers, TIMEOUT_SECONDS)


def _said(answer: Answer, *, wants_key: bool, with_key: bool) -> _Said | KeyReport:
    """What came of asking an address for its models."""
    body = foreign_object(answer.body)
    if body is None:
        return _failed(NO_API)
    if answer.status in REFUSED:
        return _failed(
            "This address refuses this key. Copy it once more."
            if with_key
            else "This address answers, but wants a key. Type it, then try again."
        )
    if answer.status == TOO_MANY:
        return _failed("This address asks to wait: too many requests, or the credit is used up.")
    if answer.status != OK or not {"data", "models"} & body.keys():
        return _failed(NO_API)
    said = "takes the key" if wants_key else "needs no key"
    return _Said(KeyReport(ok=True, message=f"This address answers and {said}."), body)


def _names_no_bot(record: logging.LogRecord) -> bool:
    """Whether a line of httpx's log is free of Telegram's addresses, which hold the bot's token."""
    return "/bot" not in record.getMessage()


async def _send(call: _Call) -> dict[str, Any] | KeyReport:
    """The JSON object that came back, or a report of what went wrong."""
    try:
        async with httpx.AsyncClient(follow_redirects=False) as client:
            answer = await fetch(client, call.method, call.url, headers=call.headers, seconds=TIMEOUT_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return _failed(f"{call.who} could not be reached from here, so the key is neither right nor wrong. Try later.")
    status = answer.status
    if status in REFUSED or (status in (400, 404) and call.who in ("Google", "Telegram")):
        return _failed(f"{call.who} refuses this key. Copy it once more.")
    if status == TOO_MANY:
        return _failed(f"{call.who} asks to wait: too many requests, or the credit is used up.")
    if status != OK:
        return _failed(f"{call.who} answered with status {status}, so the key could not be tried.")
    return foreign_object(answer.body) or {}


def _failed(message: str) -> KeyReport:
    return KeyReport(ok=False, message=message)


def _with_model(report: KeyReport, model: str | None, answer: Mapping[str, Any]) -> KeyReport:
    """`report`, with a word about a model that the provider does not list."""
    ids = set(listed_ids(answer))
    if model is None or not ids or model.removeprefix("models/") in ids:
        return report
    return KeyReport(ok=False, message=f"{report.message} But the model is not among the {len(ids)} that it lists; check its id.")


def _malformed(name: Credential, value: str) -> KeyReport | None:
    try:
        check_credentials({name: value})
    except InvalidInput as error:
        return KeyReport(ok=False, message=error.problems[0].message if value else "Paste the key or token first.")
    return None


def _bot_name(answer: Mapping[str, Any]) -> str:
    result = answer.get("result", answer)
    name = result.get("username") if isinstance(result, dict) else None
    return f"; the bot is {name[:40]}" if isinstance(name, str) and name.isprintable() else ""
