"""Serves forward-auth on its Unix socket.

Every request that passes the edge waits for it, so it is a bare protocol rather than a web server: measured, that halves what the companion
costs (docs/decisions/0020-lookup-protocol.md). Only the edge and the control plane reach the socket; the parser is httptools'.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, cast

import httptools

from openclaw_hosted.adapters.local.edge.forward_auth import Answer
from openclaw_hosted.bodies import BODY_LIMIT_BYTES

Answerer = Callable[[str, str, Mapping[bytes, bytes], bytes], Answer]
"""Method, path, headers and body, to an answer."""

BROKEN: Final[Answer] = (500, b"Forward-auth failed; the companion's log says why.\n", ())
TOO_LARGE: Final[Answer] = (413, b"This is too large.\n", ())
_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_BODILESS: Final = (204, 304)
log = logging.getLogger("lookup")


class ForwardAuthProtocol(asyncio.Protocol):
    """One connection: requests one after the other, each answered at once."""

    def __init__(self, answer: Answerer, connections: set[ForwardAuthProtocol]) -> None:
        self._answer = answer
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Called by the loop."""
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def close(self) -> None:
        """End the connection once what was answered is sent."""
        if self._transport is not None:
            self._transport.close()

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self._begin()

    def on_url(self, url: bytes) -> None:
        """Called by the parser."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._body += body[: BODY_LIMIT_BYTES + 1 - len(self._body)]

    def on_message_complete(self) -> None:
        """Called by the parser."""
        method, path = self._parser.get_method().decode("ascii"), self._url.partition(b"?")[0].decode("latin-1")
        self._send(TOO_LARGE if len(self._body) > BODY_LIMIT_BYTES else self._answered(method, path))
        if not self._parser.should_keep_alive():
            self.close()

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body = b""

    def _answered(self, method: str, path: str) -> Answer:
        try:
            return self._answer(method, path, self._headers, self._body)
        except Exception:
            log.exception("%s %s failed", method, path)
            return BROKEN

    def _send(self, answer: Answer) -> None:
        status, body, headers = answer
        parts = [_STATUS_LINES[status], *(b"%s: %s\r\n" % header for header in headers)]
        parts.append(b"\r\n" if status in _BODILESS else b"content-length: %d\r\n\r\n" % len(body))
        assert self._transport is not None
        self._transport.write(b"".join([*parts, body]))
