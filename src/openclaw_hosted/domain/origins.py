"""Browser origins: scheme, host and port, compared as browsers compare them rather than as text."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import urlsplit

DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """An origin. `host` is in lower case and ASCII, without brackets, and without the dot of a complete name."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """As a browser writes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}")


def origin_of(url: str) -> Origin | None:
    """The origin of an address over HTTP or HTTPS; None for anything else, such as the origin `null`."""
    try:
        parts = urlsplit(url.strip())
        host, port = _plain_host(parts.hostname or ""), parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not host or "@" in parts.netloc:
        return None
    return Origin(parts.scheme, host, DEFAULT_PORTS[parts.scheme] if port is None else port)


def is_from_here(origin: str, address: str, host: str) -> bool:
    """Whether a request with this `Origin` and `Host` comes from a page of the platform that users open at `address`.

    A proxy in front may put another `Host`, so `address` counts; and somebody may come by another name of this computer, such as
    127.0.0.1, or by a port that leads here, so the host that they asked for counts as well. Not over HTTP where the address says HTTPS.
    """
    sender, public = origin_of(origin), origin_of(address)
    if sender is None:
        return False
    if sender == public:
        return True
    is_weaker = public is not None and sender.host == public.host and sender.scheme != public.scheme
    return sender == origin_of(f"{sender.scheme}://{host}") and not is_weaker


def _plain_host(host: str) -> str:
    """Raises `ValueError` for what is not a host."""
    if ":" in host:
        return IPv6Address(host).compressed
    labels = host.removesuffix(".").split(".")
    return ".".join(label.lower() if label.isascii() else _ascii_label(label) for label in labels)


def _ascii_label(label: str) -> str:
    """As browsers write a label of an internationalised name."""
    return "xn--" + unicodedata.normalize("NFKC", label).lower().encode("punycode").decode("ascii")
