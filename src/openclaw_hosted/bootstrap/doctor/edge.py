"""What `doctor` looks at in an edge of the platform's own: its ports, its certificate, and whether its address leads here."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import httpx

from openclaw_hosted import datadir
from openclaw_hosted.adapters.fetching import fetch
from openclaw_hosted.adapters.local.edge.tls import certificate_lifetime
from openclaw_hosted.bootstrap.doctor.computer import Finding, Verdict, check_caddy
from openclaw_hosted.bootstrap.edge import check_port
from openclaw_hosted.domain.errors import PortError
from openclaw_hosted.settings import Settings, Tls

ASK_SECONDS: Final = 10.0
HTTPS_PORT: Final = 443
NAME_FIX: Final = "Give the name an A record with the address that `terraform output control_plane_address` prints."
WAY_FIX: Final = (
    "The name has to lead to the address that `terraform output control_plane_address` prints, and the control plane's security group has "
    "to let the world in on 80 and 443: terraform/control-plane.tf has both. `journalctl -u openclaw-hosted` says whether it got them."
)


async def examine_edge(settings: Settings) -> Sequence[Finding]:
    """Where the edge of this machine is all that users meet."""
    return [check_caddy(settings), check_ports(settings), check_certificate(settings, time.time()), await check_way_in(settings)]


def check_ports(settings: Settings) -> Finding:
    """The ports are free, or ours."""
    try:
        check_port(settings)
    except PortError as problem:
        return Finding("port", Verdict.PROBLEM, str(problem), "Choose another with --port, or stop what has it.")
    return Finding("port", Verdict.OK, f"{settings.host}:{settings.port} is free, or this platform's own")


def check_certificate(settings: Settings, now: float) -> Finding:
    """The certificate that browsers get; Caddy gets another when a third of its time is left."""
    if settings.tls is Tls.OFF:
        return Finding("certificate", Verdict.OK, "none is needed: TLS=off")
    lifetime = certificate_lifetime(settings.tls_dir, urlsplit(settings.address).hostname or "")
    if lifetime is None:
        return Finding("certificate", Verdict.WARNING, "there is none yet", "It is made, or fetched, when the platform starts.")
    begins, ends = lifetime
    until = datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%d %H:%M UTC")
    way_out = "Start the platform. With TLS=acme, the authority has to reach it on port 80 or 443; logs/caddy.log says what it answered."
    if ends <= now:
        return Finding("certificate", Verdict.PROBLEM, f"it was good until {until}", way_out)
    if ends - now < (ends - begins) / 6:
        return Finding("certificate", Verdict.WARNING, f"it is good until {until} only, and was not renewed", way_out)
    return Finding("certificate", Verdict.OK, f"it is good until {until}, and is renewed before")


async def check_way_in(settings: Settings) -> Finding:
    """A request goes out by the address that users open, and comes back in: that takes the name, the open ports and the platform."""
    host, address = settings.public_host, settings.address
    try:
        numbers = await _numbers(host)
    except OSError:
        return Finding("address", Verdict.PROBLEM, f"{host} can't be resolved", NAME_FIX)
    named = f"{host} is {', '.join(numbers)}"
    if datadir.holder(settings.data_dir, datadir.Role.WEB) is None:
        return Finding("address", Verdict.WARNING, f"{named}; nobody was asked there, as the platform does not run", "Start the platform.")
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await fetch(http, "GET", f"{address}/healthz", seconds=ASK_SECONDS)
    except httpx.HTTPError as problem:
        return Finding("address", Verdict.PROBLEM, f"{named}; {address} does not answer ({type(problem).__name__})", WAY_FIX)
    if answer.status != HTTPStatus.OK:
        return Finding("address", Verdict.PROBLEM, f"{named}; {address} answers {answer.status} in place of the platform", WAY_FIX)
    return Finding("address", Verdict.OK, f"{named}; the platform answers at {address}")


async def _numbers(host: str) -> Sequence[str]:
    """The addresses of a name, as this machine resolves it. Raises `OSError` where there are none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, HTTPS_PORT, type=socket.SOCK_STREAM)
    return sorted({str(each[4][0]) for each in found})
