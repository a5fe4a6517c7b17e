"""The edge as the settings want it, and what other programs may not have taken from it."""

from __future__ import annotations

import socket
from typing import Final
from urllib.parse import urlsplit

from openclaw_hosted import datadir
from openclaw_hosted.adapters.local.edge.own_numbers import is_own_number
from openclaw_hosted.adapters.local.edge.programs import LocalEdge
from openclaw_hosted.adapters.local.edge.tls import EdgeTls, check_bindable, root_certificate
from openclaw_hosted.adapters.local.processes.process import SupervisedProcess
from openclaw_hosted.domain.origins import OWN_NUMBER, Addresses, origin_of
from openclaw_hosted.settings import Settings, Tls, is_everywhere, is_loopback

LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")


def local_edge(settings: Settings, mark: str) -> LocalEdge:
    """This computer's edge, for the platform with this mark."""
    others = addresses(settings).others
    return LocalEdge(
        settings.data_dir, settings.host, settings.port, settings.address, edge_tls(settings), mark, settings.trusted_proxies, others
    )


def edge_tls(settings: Settings) -> EdgeTls | None:
    """HTTPS as the settings want it."""
    if settings.tls is Tls.OFF:
        return None
    return EdgeTls(
        settings.tls is Tls.INTERNAL,
        settings.public_host,
        settings.tls_dir,
        settings.http_port,
        settings.acme_email,
        settings.acme_ca,
        settings.acme_ca_root,
        tuple(host for url in settings.other_urls if (host := urlsplit(url).hostname)),
    )


def tls_notes(settings: Settings) -> tuple[str, ...]:
    """What its operator should know of certificates."""
    trust = "Other devices have to be told to trust this platform's certificate. How: openclaw-hosted trust"
    return (trust,) if settings.tls is Tls.INTERNAL else ()


def root_certificate_of(settings: Settings) -> bytes | None:
    """The certificate of the platform's own authority; None where there is none yet."""
    return root_certificate(settings.tls_dir)


def addresses(settings: Settings) -> Addresses:
    """Where users reach the edge: what the settings name, and the names and numbers of this computer that lead there as well."""
    found = (*settings.other_urls, *_of_this_computer(settings))
    others = tuple(other for other in dict.fromkeys(found) if other != settings.address)
    return Addresses(settings.address, others, bool(settings.public_url), is_own_number)


def _of_this_computer(settings: Settings) -> tuple[str, ...]:
    """None where a proxy in front ends HTTPS, or where the certificate is good for its one name alone."""
    scheme = "http" if settings.tls is Tls.OFF else "https"
    if settings.tls is Tls.ACME or urlsplit(settings.address).scheme != scheme:
        return ()
    written = (origin_of(f"{scheme}://{host}:{settings.port}") for host in _hosts(settings.host))
    return tuple(str(origin) for origin in written if origin is not None)


def _hosts(listening_on: str) -> tuple[str, ...]:
    """The names and numbers that lead to whoever listens there."""
    if is_everywhere(listening_on):
        name = socket.gethostname().partition(".")[0]
        return (*LOOPBACK, name, f"{name}.local", OWN_NUMBER)
    return LOOPBACK if is_loopback(listening_on) else (f"[{listening_on}]" if ":" in listening_on else listening_on,)


def check_port(settings: Settings) -> None:
    """Raise `Conflict` when another program has a port; the edge of this data directory may."""
    known = datadir.as_started(Settings.model_construct(data_dir=settings.data_dir))
    alive = SupervisedProcess(settings.data_dir / "edge" / "caddy").is_alive()
    ours = {(known.host, port) for port in _ports(known)} if alive else set()
    for port in _ports(settings):
        if (settings.host, port) not in ours:
            check_bindable(settings.host, port)


def _ports(settings: Settings) -> tuple[int, ...]:
    """What the edge listens on."""
    return (settings.port,) if settings.tls is Tls.OFF or not settings.http_port else (settings.port, settings.http_port)
