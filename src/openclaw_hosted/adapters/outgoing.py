"""Requests to an address that a user gives: the one guard in front of them all.

A name is resolved once, all numbers behind it are looked at, and the request goes to one of these very numbers: a name that leads
elsewhere a moment later leads nowhere. The certificate still has to be that of the name. Redirects are not followed, and no proxy is
asked, as it would resolve the name anew.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, Protocol

import httpx
import psutil

from openclaw_hosted.adapters.fetching import TRICKLE_SECONDS, Answer, fetch
from openclaw_hosted.domain.addresses import LocalModel, Zone, place_of, unmapped, zone_of
from openclaw_hosted.domain.foreign import FOREIGN_BYTES
from openclaw_hosted.domain.origins import DEFAULT_PORTS

RESOLVE_SECONDS: Final = 5.0
NUMBERS_TRIED: Final = 4
"""Of those behind a name."""
INTERNET_ONLY: Final = frozenset({Zone.INTERNET})
FROM_MACHINES: Final = frozenset({Zone.INTERNET, Zone.NETWORK})
FROM_PROCESSES: Final = frozenset(Zone) - {Zone.NOWHERE}


class NotReached(httpx.RequestError):
    """No request for a user goes to this address."""


class UnknownName(httpx.RequestError):
    """The name service does not know it, or does not answer."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request goes: `url` names it, `numbers` are where it leads, to be tried in their order."""

    url: httpx.URL
    numbers: Sequence[str]

    @property
    def host(self) -> str:
        """Of the server, as the name service and certificates write it."""
        return self.url.raw_host.decode("ascii")

    @property
    def port(self) -> int:
        """Of the server."""
        return self.url.port or DEFAULT_PORTS[self.url.scheme]


class Way(Protocol):
    """From where a request is sent."""

    def as_seen(self, url: str) -> str:
        """The address as it is written there."""
        ...

    async def send(self, destination: Destination, headers: Mapping[str, str], seconds: float) -> Answer:
        """GET, to one of the numbers and nowhere else, within a little more than `seconds` in all. Raises `httpx.HTTPError`."""
        ...


class FromHere:
    """The platform's own process sends it."""

    def as_seen(self, url: str) -> str:
        return url

    async def send(self, destination: Destination, headers: Mapping[str, str], seconds: float) -> Answer:
        return await self._send("GET", destination, headers, seconds)

    async def post(
        self, destination: Destination, headers: Mapping[str, str], body: bytes, seconds: float, limit_bytes: int = FOREIGN_BYTES
    ) -> Answer:
        """POST, as `send` reads; of the answer no more than `limit_bytes`."""
        return await self._send("POST", destination, headers, seconds, content=body, limit_bytes=limit_bytes)

    async def _send(self, method: str, destination: Destination, headers: Mapping[str, str], seconds: float, **request: Any) -> Answer:
        url = destination.url
        named, tls = {**headers, "Host": url.netloc.decode("ascii")}, {"sni_hostname": destination.host}
        try:
            async with asyncio.timeout(seconds + TRICKLE_SECONDS), httpx.AsyncClient(follow_redirects=False, trust_env=False) as client:
                for number in destination.numbers:
                    at = str(url.copy_with(host=number))
                    with suppress(httpx.ConnectError):
                        return await fetch(client, method, at, headers=named, seconds=seconds, extensions=tls, **request)
        except TimeoutError:
            raise httpx.ConnectTimeout("all of it took too long") from None
        raise httpx.ConnectError("nothing takes the connection")


@dataclass(frozen=True, slots=True)
class Own:
    """What is the platform's own, and no model: never called for a user."""

    hosts: Collection[str] = ()
    """Names under which it is reached."""
    ports: Callable[[], Iterable[int]] = tuple
    """Of this computer."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Sends requests for users, as far as they may go."""

    way: Way = field(default_factory=FromHere)
    zones: Collection[Zone] = INTERNET_ONLY
    named: Collection[LocalModel] = ()
    """Servers that the operator lets users call wherever they are."""
    own: Own = field(default_factory=Own)

    async def destination(self, address: str) -> Destination:
        """Where an address leads, if users may call it. Raises `NotReached`, `UnknownName`, or `httpx.InvalidURL`."""
        named = place_of(address) in self.named
        url = httpx.URL(self.way.as_seen(address))
        if url.scheme not in DEFAULT_PORTS or not url.host or url.userinfo:
            raise httpx.InvalidURL("not an address")
        place = Destination(url, ())
        if place.host.rstrip(".") in self.own.hosts:
            raise NotReached("the platform's own name")
        numbers = await _numbers(place)
        if not all(self._may_call(number, place.port, named=named) for number in numbers):
            raise NotReached("an address that is not called for users")
        return Destination(url, numbers[:NUMBERS_TRIED])

    async def get(self, destination: Destination, headers: Mapping[str, str], seconds: float) -> Answer:
        """What is answered there. Raises `httpx.HTTPError`."""
        return await self.way.send(destination, headers, seconds)

    def _may_call(self, number: str, port: int, *, named: bool) -> bool:
        zone = zone_of(number)
        if zone is Zone.NOWHERE or named:
            return zone is not Zone.NOWHERE
        if unmapped(number) in own_numbers():
            zone = Zone.COMPUTER
        return zone in self.zones and not (zone is Zone.COMPUTER and port in set(self.own.ports()))


def own_numbers() -> frozenset[IPv4Address | IPv6Address]:
    """The addresses of this computer."""
    families = (socket.AF_INET, socket.AF_INET6)
    return frozenset(unmapped(each.address) for card in psutil.net_if_addrs().values() for each in card if each.family in families)


async def _numbers(place: Destination) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await loop.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UnknownName("the name service does not know it") from None
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
