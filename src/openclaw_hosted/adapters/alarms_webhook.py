"""Alarms by a signed POST to one address of the operator's, as users' webhooks are sent (standardwebhooks.com)."""

from __future__ import annotations

from typing import Final

from openclaw_hosted.domain.alarms import AlarmNews
from openclaw_hosted.domain.errors import Denied, Unavailable
from openclaw_hosted.domain.webhook import alarm_message, headers_of
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.webhooks import WebhookSender

TOO_MANY: Final = 429
SERVERS_OWN: Final = 500


class WebhookChannel:
    """`AlarmChannel` by a webhook. Its address may hold a token, so no error tells it."""

    name = "webhook"

    def __init__(self, url: str, secret: str, sender: WebhookSender, clock: Clock) -> None:
        self._url = url
        self._secret = secret
        self._sender = sender
        self._clock = clock

    async def tell(self, news: AlarmNews) -> None:
        now = self._clock.now()
        message = alarm_message(news, now)
        receipt = await self._sender.send(self._url, headers_of(message, self._secret, now), message.body)
        if receipt.ok:
            return
        status = receipt.status
        if status is None or status == TOO_MANY or status >= SERVERS_OWN:
            raise Unavailable(f"ALARM_WEBHOOK_URL can't be used: {receipt.problem}")
        raise Denied(f"The address in ALARM_WEBHOOK_URL refused with {status}: check it and ALARM_WEBHOOK_SECRET.")
