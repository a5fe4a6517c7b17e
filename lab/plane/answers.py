"""What a load balancer answers by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

SERVER: Final = "awselb/2.0"

Headers = Sequence[tuple[bytes, bytes]]


@dataclass
class Answer(Exception):
    """A whole answer. Raised where a request can't be passed on, and sent as it is."""

    status: int
    content_type: str = "text/html"
    body: bytes = b""
    location: str | None = None

    @property
    def headers(self) -> list[tuple[str, str]]:
        """As they are sent."""
        told = [("Server", SERVER), ("Content-Type", self.content_type), ("Content-Length", str(len(self.body)))]
        return [*told, *([("Location", self.location)] if self.location is not None else [])]


def failure(status: int) -> Answer:
    """The page for an error of the load balancer itself, such as 502, 503 or 504."""
    title = f"{status} {HTTPStatus(status).phrase}"
    page = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>\r\n"
    return Answer(status, body=page.encode())


def redirect(status: int, location: str, *, host: str, target: str, scheme: str, port: int) -> Answer:
    """A redirect action: `#{protocol}`, `#{host}`, `#{port}`, `#{path}` (without its first slash), `#{query}` stand for the request's."""
    parts = urlsplit(target)
    values = {"protocol": scheme, "host": host, "port": str(port), "path": parts.path.removeprefix("/"), "query": parts.query}
    return Answer(status, location=re.sub(r"#\{(\w+)\}", lambda found: values.get(found[1], found[0]), location))


def header(headers: Headers, name: bytes) -> str:
    """The first value of a header, empty where there is none."""
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), "")
