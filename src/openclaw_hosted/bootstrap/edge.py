"""The edge as the settings want it, and what other programs may not have taken from it."""

from __future__ import annotations

from openclaw_hosted import datadir
from openclaw_hosted.adapters.local.processes import SupervisedProcess
from openclaw_hosted.adapters.local.tls import EdgeTls, check_bindable, root_certificate
from openclaw_hosted.settings import Settings, Tls


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
    )


def tls_notes(settings: Settings) -> tuple[str, ...]:
    """What its operator should know of certificates."""
    trust = "Other devices have to be told to trust this platform's certificate. How: openclaw-hosted trust"
    return (trust,) if settings.tls is Tls.INTERNAL else ()


def root_certificate_of(settings: Settings) -> bytes | None:
    """The certificate of the platform's own authority; None where there is none yet."""
    return root_certificate(settings.tls_dir)


def origins(settings: Settings) -> tuple[str, ...]:
    """The origins from which OpenClaw's page may be used; on localhost also by number."""
    local = f"http://localhost:{settings.port}"
    return (local, f"http://127.0.0.1:{settings.port}") if settings.address == local else (settings.address,)


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
