"""Sending messages to addresses that users name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.webhook import Receipt

Describe = Callable[[Event, Mapping[str, str]], Mapping[str, Any]]
"""An event as the API tells it, given e-mail addresses by the ids of users."""


class WebhookSender(Protocol):
    """Sends messages, as far as they may go."""

    async def check(self, url: str) -> None:
        """Raises `InvalidInput` for an address that no message goes to, with the way out. Sends nothing."""
        ...

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Receipt:
        """POST, without following redirects. Whatever goes wrong is in the receipt; nothing that was answered but its status is."""
        ...


@dataclass(frozen=True, slots=True)
class Telling:
    """What it takes to tell webhooks of events."""

    sender: WebhookSender
    describe: Describe
