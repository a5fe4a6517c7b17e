"""Alarms by a Telegram bot of the operator's, to one chat."""

from __future__ import annotations

from typing import Final

import httpx

from openclaw_hosted.domain.alarms import AlarmNews
from openclaw_hosted.domain.errors import Denied, Unavailable

SECONDS: Final = 5.0
LONGEST: Final = 4096
"""Of a message, as the Bot API takes it."""
TOO_MANY: Final = 429
SERVERS_OWN: Final = 500


class TelegramChannel:
    """`AlarmChannel` by the Bot API. The token is part of each address, so no error tells an address."""

    name = "telegram"

    def __init__(self, token: str, chat: str, api: str = "https://api.telegram.org") -> None:
        self._address = f"{api.rstrip('/')}/bot{token}/sendMessage"
        self._chat = chat

    async def tell(self, news: AlarmNews) -> None:
        message = {"chat_id": self._chat, "text": f"{news.subject}\n\n{news.text}"[:LONGEST], "disable_web_page_preview": True}
        try:
            async with httpx.AsyncClient(timeout=SECONDS) as client:
                answer = await client.post(self._address, json=message)
        except httpx.HTTPError as error:
            raise Unavailable(f"Telegram does not answer: {type(error).__name__}.") from None
        if answer.status_code == TOO_MANY or answer.status_code >= SERVERS_OWN:
            raise Unavailable(f"Telegram answered with {answer.status_code}.")
        if answer.is_error:
            raise Denied(f"Telegram refused with {answer.status_code}: check ALARM_TELEGRAM_TOKEN and ALARM_TELEGRAM_CHAT.")
