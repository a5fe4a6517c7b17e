"""Addresses that users give: what they may look like, and how far away a number is that one of them leads to."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

from openclaw_hosted.domain.origins import origin_of

THIS_COMPUTER: Final = "127.0.0.1"
MACHINE_PORTS: Final = range(20_000, 60_080)
"""Of this computer, for the gateways of its machines."""
ADDRESS_MAX_LENGTH: Final = 2048
_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|$))[\w.~:@+-]+)*/?", re.ASCII)
_HOST_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", re.ASCII)
_ODD_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_METADATA: Final = frozenset(map(ip_address, ("100.100.100.200", "168.63.129.16", "fd20:ce::254")))
"""Of clouds that keep it elsewhere than at a link-local address."""
_METADATA_NETWORK: Final = IPv6Network("fd00:ec2::/32")
_PROTOCOL_ASSIGNMENTS: Final = IPv4Network("192.0.0.0/24")
"""Not for servers, but for one cloud's metadata; Python's versions differ about it."""
_PRIVATE: Final = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_SHARED: Final = IPv4Network("100.64.0.0/10")
"""Between a provider and its customers, and Tailscale's."""
_UNIQUE_LOCAL: Final = IPv6Network("fc00::/7")
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
"""An IPv4 address as a network without IPv4 writes it (RFC 6052)."""
_TUNNELS: Final = (IPv6Network("2001::/32"), IPv6Network("2002::/16"))
"""Teredo and 6to4: each holds an IPv4 address that packets end at."""
_ISATAP: Final = 0x5EFE


class Zone(StrEnum):
    """How far away an address is."""

    NOWHERE = "nowhere"
    """Never called for a user: a cloud's metadata, link-local, multicast, unspecified, reserved, or another address in disguise."""
    COMPUTER = "computer"
    """This computer."""
    NETWORK = "network"
    """A private network."""
    INTERNET = "internet"


@dataclass(frozen=True, slots=True, order=True)
class LocalModel:
    """A server of models outside of the internet, as its operator names it. `host` is `THIS_COMPUTER` however the loopback is written."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`, the host of IPv6 in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_on_this_computer(self) -> bool:
        """Whether it is reached over the loopback."""
        return self.host == THIS_COMPUTER


@dataclass(frozen=True, slots=True)
class LocalModels:
    """Servers of models on this computer that its machines reach, at another address than here."""

    at: str = THIS_COMPUTER
    """This computer, as a machine sees it."""
    models: Collection[LocalModel] = ()

    @property
    def ports(self) -> list[int]:
        """Theirs, in order."""
        return sorted(model.port for model in self.models)

    def as_seen(self, url: str) -> str:
        """An address as it has to be written inside a machine."""
        place = place_of(url)
        return urlsplit(url)._replace(netloc=f"{self.at}:{place.port}").geturl() if place in self.models and place is not None else url


def zone_of(number: str) -> Zone:
    """How far away the address with this number is. Raises `ValueError` for what is no number."""
    address = unmapped(number)
    if address in _METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        return Zone.NOWHERE
    if address.is_loopback:
        return Zone.COMPUTER
    return _zone_of_4(address) if isinstance(address, IPv4Address) else _zone_of_6(address)


def unmapped(number: str) -> IPv4Address | IPv6Address:
    """The address with this number, which is IPv4 where IPv6 only wraps it. Raises `ValueError` for what is no number."""
    address = ip_address(number.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def is_model_address(text: str) -> bool:
    """Whether `text` can be the address of a model provider's API: scheme, host, port and a plain path, and nothing that would make
    the path of a request another than the user's with `/models` below it."""
    origin = origin_of(text)
    if origin is None or len(text) > ADDRESS_MAX_LENGTH or any(not "!" <= char <= "~" for char in text) or "?" in text or "#" in text:
        return False
    return origin.port > 0 and _is_host(origin.host) and _PATH.fullmatch(urlsplit(text).path) is not None


def place_of(url: str) -> LocalModel | None:
    """Host and port of an address over HTTP or HTTPS, as an operator would name them; None for anything else."""
    origin = origin_of(url)
    return LocalModel(_plain(origin.host), origin.port) if origin is not None else None


def parse_local_models(text: str | Iterable[object]) -> tuple[LocalModel, ...]:
    """Servers of models, apart by commas or blanks. Raises `ValueError`, as `parse_local_model` does."""
    words = re.split(r"[,\s]+", text) if isinstance(text, str) else map(str, text)
    return tuple(dict.fromkeys(parse_local_model(word) for word in words if word))


def parse_local_model(word: str) -> LocalModel:
    """What `host:port` names. Raises `ValueError` for anything else, and for what no request may lead to."""
    origin = origin_of(f"http://{word}") if _ends_with_port(word) else None
    if origin is None or origin.port == 0 or not _is_host(origin.host):
        raise ValueError(f"{word[:60]!r} is no server; write HOST:PORT, such as 127.0.0.1:11434, apart by commas")
    if _is_number(origin.host) and zone_of(origin.host) is Zone.NOWHERE:
        raise ValueError(f"{word[:60]!r} is an address that no request may lead to, such as a cloud's metadata; name a server of models")
    return LocalModel(_plain(origin.host), origin.port)


def _zone_of_4(address: IPv4Address) -> Zone:
    if address in _SHARED or any(address in network for network in _PRIVATE):
        return Zone.NETWORK
    return Zone.INTERNET if address.is_global and address not in _PROTOCOL_ASSIGNMENTS else Zone.NOWHERE


def _zone_of_6(address: IPv6Address) -> Zone:
    if address in _TRANSLATED:
        inside = zone_of(str(IPv4Address(int(address) & 0xFFFFFFFF)))
        return inside if inside is Zone.INTERNET else Zone.NOWHERE
    is_isatap = (int(address) >> 32) & 0xFDFFFFFF == _ISATAP
    if address in _METADATA_NETWORK or is_isatap or any(address in network for network in _TUNNELS):
        return Zone.NOWHERE
    if address in _UNIQUE_LOCAL:
        return Zone.NETWORK
    return Zone.INTERNET if address.is_global and not address.is_reserved else Zone.NOWHERE


def _plain(host: str) -> str:
    is_loopback = host == "localhost" or (_is_number(host) and zone_of(host) is Zone.COMPUTER)
    return THIS_COMPUTER if is_loopback else host


def _is_host(host: str) -> bool:
    """A name, or a number as it is usually written: `127.1`, `0x7f000001` and `2130706433` are numbers to some programs only."""
    return _is_number(host) or (_HOST_NAME.fullmatch(host) is not None and _ODD_NUMBER.fullmatch(host.rpartition(".")[2]) is None)


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _ends_with_port(word: str) -> bool:
    return re.fullmatch(r"[^/]+:\d{1,5}", word) is not None
