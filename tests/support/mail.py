"""A stand-in for a mail server: as much of SMTP as a client needs that hands in a message, with or without TLS, and with a password."""

from __future__ import annotations

import base64
import socketserver
import ssl
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path


@dataclass(frozen=True)
class Received:
    """One message, and how it came."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    over_tls: bool
    password: str | None


class MailServer(socketserver.ThreadingTCPServer):
    """Takes all mail, unless told to `refuse`, and keeps it."""

    daemon_threads = True

    def __init__(self, certificate: Path | None = None, *, implicit_tls: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.received: list[Received] = []
        self.refuse: str | None = None
        """The reply to a sender that is not taken, such as `451 4.3.0 later`."""
        self.puts_off: str | None = None
        """Whose messages are read, and then put off: a recipient's address."""
        self.tls: ssl.SSLContext | None = None
        self.implicit_tls = implicit_tls
        if certificate is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate)

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self.server_address[1])


class _Conversation(socketserver.StreamRequestHandler):
    server: MailServer

    def setup(self) -> None:
        super().setup()
        self.over_tls, self.sender = False, ""
        self.password: str | None = None
        self.recipients: list[str] = []
        if self.server.implicit_tls:
            self._begin_tls()

    def _begin_tls(self) -> None:
        assert self.server.tls is not None
        self.request = self.connection = self.server.tls.wrap_socket(self.request, server_side=True)
        self.over_tls = True
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)

    def handle(self) -> None:
        self._say("220 stand-in")
        while line := self.rfile.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            if verb.upper() == "QUIT":
                return self._say("221 bye")
            self._answer(verb.upper(), rest)
        return None

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

    def _answer(self, verb: str, rest: str) -> None:
        if verb == "EHLO":
            offered = [] if self.over_tls or self.server.tls is None else ["250-STARTTLS"]
            self._say("250-stand-in", *offered, "250 AUTH PLAIN")
        elif verb == "STARTTLS":
            self._say("220 go on")
            self._begin_tls()
        elif verb == "AUTH":
            self.password = base64.b64decode(rest.partition(" ")[2]).split(b"\0")[2].decode()
            self._say("235 welcome")
        elif verb == "MAIL" and self.server.refuse is not None:
            self._say(self.server.refuse)
        elif verb == "MAIL":
            self.sender = _address(rest)
            self._say("250 ok")
        elif verb == "RCPT":
            self.recipients.append(_address(rest))
            self._say("250 ok")
        elif verb == "DATA":
            self._take()
        else:
            self._say("250 ok")

    def _take(self) -> None:
        self._say("354 go on")
        body = b""
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            body += line.removeprefix(b".") if line.startswith(b"..") else line
        message = message_from_bytes(body, policy=policy.default)
        assert isinstance(message, EmailMessage)
        if self.server.puts_off in self.recipients:
            return self._say("451 4.7.1 later")
        self.server.received.append(Received(self.sender, tuple(self.recipients), message, self.over_tls, self.password))
        return self._say("250 taken")


def _address(rest: str) -> str:
    return rest.partition("<")[2].partition(">")[0]
