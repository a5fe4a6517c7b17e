"""Requests to an address that a user gives: the one guard in front of them all.

A name is resolved once, all numbers behind it are looked at, and the request goes to one of these very numbers: a name that leads
elsewhere a moment later leads nowhere. The certificate still has to be that of the name. Redirects are not followed, and no proxy is
asked, as it would resolve the name anew.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Protocol

import httpx
import psutil

from openclaw_hosted.adapters.fetching import Answer, fetch
from openclaw_hosted.domain.addresses import LocalModel, Zone, place_of, unmapped, zone_of

RESOLVE_SECONDS: Final = 5.0
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
    def port(self) -> int:
        """Of the server."""
        return self.url.port or (443 if self.url.scheme == "https" else 80)


class Way(Protocol):
    """From where a request is sent."""

    def as_seen(self, url: str) -> str:
        """The address as it is written there."""
        ...

    async def send(self, destination: Destination, headers: Mapping[str, str], seconds: float) -> Answer:
        """GET, to one of the numbers and nowhere else. Raises `httpx.HTTPError`."""
        ...


class FromHere:
    """The platform's own process sends it."""

    def as_seen(self, url: str) -> str:
        return url

    async def send(self, destination: Destination, headers: Mapping[str, str], seconds: float) -> Answer:
        url = destination.url
        problem: httpx.HTTPError = httpx.ConnectError("no number")
        named = {**headers, "Host": url.netloc.decode("ascii")}
        async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as client:
            for number in destination.numbers:
                try:
                    at = str(url.copy_with(host=number))
                    return await fetch(client, "GET", at, headers=named, seconds=seconds, extensions={"sni_hostname": url.host})
                except (httpx.ConnectError, httpx.ConnectTimeout) as failed:
                    problem = failed
        raise problem


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
        if url.scheme not in ("http", "https") or not url.host or url.userinfo:
            raise httpx.InvalidURL("not an address")
        if url.host.lower() in self.own.hosts:
            raise NotReached("the platform's own name")
        found = Destination(url, await _numbers(url))
        if not all(self._may_call(number, found.port, named=named) for number in found.numbers):
            raise NotReached("an address that is not called for users")
        return found

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


async def _numbers(url: httpx.URL) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await loop.getaddrinfo(url.host, url.port or 80, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UnknownName("the name service does not know it") from None
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
