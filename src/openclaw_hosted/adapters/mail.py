"""Mail, handed to a server by SMTP."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final

from openclaw_hosted.domain.errors import Denied, Unavailable
from openclaw_hosted.domain.letters import Letter

SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. With `implicit_tls` the connection is TLS from its first byte, otherwise where the server offers it; a
    password goes over TLS only, unless the server is this computer."""

    host: str
    port: int
    implicit_tls: bool
    user: str = ""
    password: str = field(default="", repr=False)
    is_here: bool = False
    authority: str | None = None
    """A file with the authority that its certificate is of, where the system does not trust that."""


class SmtpMailer:
    """`Mailer` by SMTP."""

    def __init__(self, server: MailServer, sender: str) -> None:
        self._server = server
        self._sender = sender

    async def send(self, letter: Letter) -> None:
        await self.hand_in([letter.to], letter.subject, letter.text, {"List-Unsubscribe": f"<{letter.unsubscribe}>"})

    async def hand_in(self, recipients: Sequence[str], subject: str, text: str, headers: Mapping[str, str] | None = None) -> None:
        """One message to all of them. Raises as `send` does."""
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = subject, self._sender, ", ".join(recipients)
        message["Date"], message["Message-ID"] = formatdate(), make_msgid("openclaw-hosted")
        message["Auto-Submitted"] = "auto-generated"
        for name, value in (headers or {}).items():
            message[name] = value
        message.set_content(text)
        try:
            await asyncio.to_thread(self._send, message, recipients)
        except smtplib.SMTPResponseException as error:
            kind = Unavailable if 400 <= error.smtp_code < 500 else Denied
            raise kind(f"The mail server refused with {error.smtp_code}.") from None
        except smtplib.SMTPRecipientsRefused:
            raise Denied("The mail server takes no mail for these recipients.") from None
        except (OSError, smtplib.SMTPException) as error:
            raise Unavailable(f"The mail server {self._server.host}:{self._server.port} can't be used: {type(error).__name__}.") from None

    def _send(self, message: EmailMessage, recipients: Sequence[str]) -> None:
        with self._connected() as server:
            server.send_message(message, self._sender, list(recipients))

    def _connected(self) -> smtplib.SMTP:
        own = self._server
        context = ssl.create_default_context(cafile=own.authority)
        if own.implicit_tls:
            server: smtplib.SMTP = smtplib.SMTP_SSL(own.host, own.port, timeout=SECONDS, context=context)
        else:
            server = smtplib.SMTP(own.host, own.port, timeout=SECONDS)
        try:
            self._prove(server, context)
        except BaseException:
            server.close()
            raise
        return server

    def _prove(self, server: smtplib.SMTP, context: ssl.SSLContext) -> None:
        """TLS where there is none yet, and the password where there is one."""
        own = self._server
        server.ehlo()
        if not own.implicit_tls and server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
        elif not own.implicit_tls and own.user and not own.is_here:
            raise Denied(f"The mail server {own.host} offers no TLS, so no password is sent. Use smtps://.")
        if own.user:
            server.login(own.user, own.password)
