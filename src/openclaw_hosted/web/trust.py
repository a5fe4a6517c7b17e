"""How each kind of device is told to trust the platform's own certificate authority."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping, Sequence
from typing import Final

CERTIFICATE_PATH: Final = "/trust/root.crt"
STEPS: Final[Mapping[str, Sequence[str]]] = {
    "iPhone and iPad": (
        "Open the certificate in Safari and allow the download.",
        "Settings › General › VPN & Device Management › OpenClaw Hosted › Install.",
        "Settings › General › About › Certificate Trust Settings: switch OpenClaw Hosted on.",
    ),
    "Android": (
        "Download the certificate.",
        "Settings › Security › More › Encryption & credentials › Install a certificate › CA certificate, and choose the file.",
    ),
    "macOS": (
        "Open the downloaded certificate; Keychain Access adds it.",
        "Double-click it there › Trust › When using this certificate: Always Trust.",
    ),
    "Windows": (
        "Open the downloaded certificate › Install Certificate › Local Machine.",
        "Place it in: Trusted Root Certification Authorities.",
    ),
    "Linux": (
        "sudo cp root.crt /usr/local/share/ca-certificates/openclaw-hosted.crt && sudo update-ca-certificates",
        "Browsers keep lists of their own: Settings › Certificates › Authorities › Import.",
    ),
    "Firefox": ("Settings › Privacy & Security › Certificates › View Certificates › Authorities › Import, for websites.",),
}


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a PEM certificate, as devices show it."""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.decode())).hexdigest().upper()
    return ":".join(digest[start : start + 2] for start in range(0, len(digest), 2))
