"""`openclaw-hosted trust`: how other devices are told to trust a platform that is its own certificate authority."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from openclaw_hosted.choices import Tls
from openclaw_hosted.cli.client import AsJson, DataDir
from openclaw_hosted.cli.output import CommandError, Exit, out, print_json
from openclaw_hosted.logging import logging_to

if TYPE_CHECKING:
    from openclaw_hosted.settings import Settings


@logging_to("warning", None)
def trust(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """For TLS=internal: show the address to open, the root certificate to download, and how to make each kind of device trust it."""
    from openclaw_hosted import datadir
    from openclaw_hosted.bootstrap import root_certificate_of
    from openclaw_hosted.settings import load_settings
    from openclaw_hosted.web.trust import CERTIFICATE_PATH, STEPS, fingerprint

    settings = datadir.as_started(load_settings({"OPENCLAW_HOSTED_DATA_DIR": data_dir}))
    if settings.tls is not Tls.INTERNAL:
        raise CommandError(
            "There is nothing to trust: this is for TLS=internal. Set it, with PUBLIC_URL=https://NAME, and start.", Exit.CONFLICT
        )
    certificate = root_certificate_of(settings)
    if certificate is None:
        raise CommandError("There is no certificate yet: it is made when the platform first starts.", Exit.NOT_FOUND)
    base = _plain_address(settings)
    facts = {
        "address": settings.address,
        "page": f"{base}/trust",
        "certificate": f"{base}{CERTIFICATE_PATH}",
        "sha256": fingerprint(certificate),
    }
    if as_json:
        print_json({**facts, "pem": certificate.decode(), "steps": STEPS})
        return
    out.print(f"Open on the device:  {facts['page']}", markup=False)
    out.print(f"Its certificate:     {facts['certificate']}\nSHA-256:             {facts['sha256']}", markup=False)
    for device, lines in STEPS.items():
        out.print(f"\n{device}", style="bold", markup=False)
        for number, line in enumerate(lines, 1):
            out.print(f"  {number}. {line}", markup=False)
    out.print(f"\nThen open {settings.address}", markup=False)


def _plain_address(settings: Settings) -> str:
    """Where the steps are shown to a device that does not trust the certificate yet."""
    if not settings.http_port:
        return settings.address
    host = urlsplit(settings.address).netloc.rpartition("@")[2]
    name = host.rpartition(":")[0] if urlsplit(settings.address).port else host
    return f"http://{name}" if settings.http_port == 80 else f"http://{name}:{settings.http_port}"
