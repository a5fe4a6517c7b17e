"""Tries a user's keys against their owners' APIs: one small request that costs nothing, and a plain report.

An address that a user gives is resolved first and then called by its number, so that it can't lead to the machine's own metadata
service, and redirects are not followed. Nothing that comes back is repeated, but for a bot's name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx

from openclaw_hosted.adapters.fetching import fetch
from openclaw_hosted.domain.errors import InvalidInput
from openclaw_hosted.domain.foreign import foreign_object
from openclaw_hosted.domain.gateway import Channel, Credential, Credentials, GatewaySettings, ModelProvider, check_credentials, needs_key
from openclaw_hosted.ports.models import KeyReport

TIMEOUT_SECONDS: Final = 8.0
REFUSED: Final = (401, 403)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where each owner's API is."""

    anthropic: str = "https://api.anthropic.com/v1/models?limit=1000"
    openai: str = "https://api.openai.com/v1/models"
    openrouter: str = "https://openrouter.ai/api/v1/key"
    google: str = "https://generativelanguage.googleapis.com/v1beta/models"
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


class HttpKeyTester:
    """Tries keys over HTTP. `allow_private` lets a user's address lead to this computer and its network."""

    def __init__(self, *, allow_private: bool, endpoints: Endpoints | None = None) -> None:
        self._allow_private = allow_private
        self._at = endpoints or Endpoints()
        logging.getLogger("httpx").addFilter(_names_no_bot)

    async def try_model_key(self, settings: GatewaySettings, credentials: Credentials) -> KeyReport:
        """Whether the model provider takes the key."""
        if settings.provider is ModelProvider.ECHO:
            return KeyReport(ok=True, message="The echo model needs no key.")
        key = credentials.get(Credential.MODEL_API_KEY, "")
        if not key and not needs_key(settings.provider):
            return await self._try_address(settings, None)
        if (problem := _malformed(Credential.MODEL_API_KEY, key)) is not None:
            return problem
        if settings.provider is ModelProvider.COMPATIBLE:
            return await self._try_address(settings, key)
        call = self._model_call(settings.provider, key)
        answer = await _send(call)
        if isinstance(answer, KeyReport):
            return answer
        return _with_model(KeyReport(ok=True, message=f"{call.who} takes this key."), settings.model, answer)

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

    def _model_call(self, provider: ModelProvider, key: str) -> _Call:
        bearer = {"Authorization": f"Bearer {key}"}
        calls = {
            ModelProvider.ANTHROPIC: _Call("Anthropic", self._at.anthropic, {"x-api-key": key, "anthropic-version": "2023-06-01"}),
            ModelProvider.OPENAI: _Call("OpenAI", self._at.openai, bearer),
            ModelProvider.OPENROUTER: _Call("OpenRouter", self._at.openrouter, bearer),
            ModelProvider.GOOGLE: _Call("Google", self._at.google, {"x-goog-api-key": key}),
        }
        return calls[provider]

    async def _try_address(self, settings: GatewaySettings, key: str | None) -> KeyReport:
        """Whether the address answers, and whether it wants a key: it is asked without one first."""
        try:
            url = httpx.URL(f"{(settings.base_url or '').rstrip('/')}/models")
            number = await self._resolve(url)
        except (httpx.InvalidURL, ValueError):
            return KeyReport(ok=False, message="Give the address of the API, such as https://models.example.com/v1.")
        except OSError:
            return KeyReport(ok=False, message="This address is not known to the name service. Check its spelling.")
        if number is None:
            return KeyReport(ok=False, message="This address leads to a network that is not reached from here.")
        headers = {"Host": url.netloc.decode("ascii")}
        call = _Call("This address", str(url.copy_with(host=number)), headers)
        answer, status = await _exchange(call, server_name=url.host)
        wants_key = status in REFUSED
        if wants_key and key is None:
            return _failed("This address answers, but wants a key. Type it, then try again.")
        if wants_key:
            answer = await _send(replace(call, headers={**headers, "Authorization": f"Bearer {key}"}), server_name=url.host)
        if isinstance(answer, KeyReport):
            return answer
        said = "takes the key" if wants_key else "needs no key"
        return _with_model(KeyReport(ok=True, message=f"This address answers and {said}."), settings.model, answer)

    async def _resolve(self, url: httpx.URL) -> str | None:
        """The number behind a name, if all that it stands for may be called."""
        if url.scheme not in ("http", "https") or not url.host or url.userinfo:
            raise ValueError("not an address")
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(url.host, url.port or (443 if url.scheme == "https" else 80), type=socket.SOCK_STREAM)
        numbers = [str(entry[4][0]) for entry in found]
        return numbers[0] if all(self._may_call(number) for number in numbers) else None

    def _may_call(self, number: str) -> bool:
        address = ipaddress.ip_address(number.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        metadata = address in ipaddress.ip_network("fd00:ec2::/32") if address.version == 6 else False
        if address.is_link_local or address.is_multicast or address.is_unspecified or metadata:
            return False
        return self._allow_private or address.is_global


def _names_no_bot(record: logging.LogRecord) -> bool:
    """Whether a line of httpx's log is free of Telegram's addresses, which hold the bot's token."""
    return "/bot" not in record.getMessage()


async def _send(call: _Call, server_name: str | None = None) -> dict[str, Any] | KeyReport:
    """The JSON object that came back, or a report of what went wrong."""
    return (await _exchange(call, server_name))[0]


async def _exchange(call: _Call, server_name: str | None = None) -> tuple[dict[str, Any] | KeyReport, int]:
    """Like `_send`, and the status of the answer, 0 without one."""
    extensions = {"sni_hostname": server_name} if server_name else {}
    try:
        async with httpx.AsyncClient(follow_redirects=False, trust_env=server_name is None) as client:
            answer = await fetch(client, call.method, call.url, headers=call.headers, seconds=TIMEOUT_SECONDS, extensions=extensions)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return _failed(f"{call.who} could not be reached from here, so the key is neither right nor wrong. Try later."), 0
    status = answer.status
    if status in REFUSED or (status in (400, 404) and call.who in ("Google", "Telegram")):
        return _failed(f"{call.who} refuses this key. Copy it once more."), status
    if status == 429:
        return _failed(f"{call.who} asks to wait: too many requests, or the credit is used up."), status
    if status != 200:
        return _failed(f"{call.who} answered with status {status}, so the key could not be tried."), status
    return foreign_object(answer.body) or {}, status


def _failed(message: str) -> KeyReport:
    return KeyReport(ok=False, message=message)


def _with_model(report: KeyReport, model: str | None, answer: Mapping[str, Any]) -> KeyReport:
    """`report`, with a word about a model that the provider does not list."""
    listed = answer.get("data", answer.get("models"))
    if model is None or not isinstance(listed, list):
        return report
    ids = {str(entry.get("id", entry.get("name", ""))).removeprefix("models/") for entry in listed if isinstance(entry, dict)}
    if model.removeprefix("models/") in ids or not ids:
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
