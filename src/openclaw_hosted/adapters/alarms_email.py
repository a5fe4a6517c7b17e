"""Alarms by e-mail: one message to all."""

from __future__ import annotations

from collections.abc import Sequence

from openclaw_hosted.adapters.mail import SmtpMailer
from openclaw_hosted.domain.alarms import AlarmNews


class EmailChannel:
    """`AlarmChannel` by SMTP."""

    name = "email"

    def __init__(self, mail: SmtpMailer, recipients: Sequence[str]) -> None:
        self._mail = mail
        self._recipients = recipients

    async def tell(self, news: AlarmNews) -> None:
        await self._mail.hand_in(self._recipients, news.subject, news.text)
