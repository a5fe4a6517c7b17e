"""Browser origins: scheme, host and port, compared as browsers compare them rather than as text; and which are the platform's own."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import urlsplit

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
OWN_NUMBER: Final = "*"


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


def knows_no_number(host: str) -> bool:  # noqa: ARG001
    """Where it is not known which numbers are the computer's own."""
    return False


@dataclass(frozen=True, slots=True)
class Addresses:
    """All addresses under which users open the platform, each of scheme, host and port.

    What browsers name as a request's `Origin` is compared with them. `Host` proves nothing: a proxy in front may put another one, and
    any name of the world can be made to lead here.
    """

    public: str
    """The one that stands in links."""
    others: tuple[str, ...] = ()
    """In the same scheme. The host `OWN_NUMBER` stands for each number (IP address) of this computer."""
    is_chosen: bool = True
    """Whether the operator chose `public`. Else links name the address by which they are asked for, if it is one of these."""
    is_own: Callable[[str], bool] = knows_no_number
    """Whether a host is a number of this computer."""

    def know(self, origin: str) -> bool:
        """Whether a page of this origin is the platform's own."""
        sender = origin_of(origin)
        if sender is None or sender.host == OWN_NUMBER:
            return False
        known = {origin_of(address) for address in (self.public, *self.others)}
        return sender in known or (replace(sender, host=OWN_NUMBER) in known and self.is_own(sender.host))

    def for_links(self, host: str) -> str:
        """What a link starts with that is asked for by this `Host`; an unknown one never stands in it."""
        asked = self._at(host)
        return self.public if self.is_chosen or asked is None else asked

    def know_host(self, host: str) -> bool:
        """Whether a request with this `Host` came by one of the addresses, as far as that tells."""
        return self._at(host) is not None

    def _at(self, host: str) -> str | None:
        origin = origin_of(f"{urlsplit(self.public).scheme}://{host}")
        return str(origin) if origin is not None and self.know(str(origin)) else None


def _plain_host(host: str) -> str:
    """Raises `ValueError` for what is not a host."""
    if ":" in host:
        return IPv6Address(host).compressed
    labels = host.removesuffix(".").split(".")
    return ".".join(label.lower() if label.isascii() else _ascii_label(label) for label in labels)


def _ascii_label(label: str) -> str:
    """As browsers write a label of an internationalised name."""
    return "xn--" + unicodedata.normalize("NFKC", label).lower().encode("punycode").decode("ascii")
