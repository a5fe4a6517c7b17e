"""What a gateway takes over from the platform's environment: language, proxies, registries and certificates, and no secret of the platform.

Whoever runs the platform has set these for the network that the computer is in, and what a user installs comes over the same network.
Keys to a registry are not among them: a tenant can read the environment of the own gateway.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

LANGUAGE: Final = ("LANG", "TZ")
PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
NPM_SETTINGS: Final = ("registry", "proxy", "https_proxy", "noproxy", "strict_ssl")
REGISTRIES: Final = (
    *(f"npm_config_{name}" for name in NPM_SETTINGS), *(f"NPM_CONFIG_{name.upper()}" for name in NPM_SETTINGS), "PIP_INDEX_URL",
)  # fmt: skip
CERTIFICATES: Final = (
    "NODE_EXTRA_CA_CERTS", "npm_config_cafile", "NPM_CONFIG_CAFILE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
)  # fmt: skip
"""Each names a file of certificates."""
NO_PROXIES: Final = ("NO_PROXY", "no_proxy")
TAKEN_OVER: Final = (*LANGUAGE, *PROXIES, *NO_PROXIES, *REGISTRIES, *CERTIFICATES)
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
"""Never reached by a proxy, whatever the environment says."""


def passed_on() -> dict[str, str]:
    """What a gateway gets as it is."""
    known = {name: os.environ[name] for name in (*LANGUAGE, *PROXIES, *REGISTRIES) if name in os.environ}
    told = ",".join(os.environ[name] for name in NO_PROXIES if name in os.environ)
    direct = ",".join(dict.fromkeys([*LOOPBACK, *(host.strip() for host in told.split(",") if host.strip())]))
    return {**known, **dict.fromkeys(NO_PROXIES, direct)}


def certificate_files() -> dict[str, Path]:
    """The files of certificates by variable; those that can't be read are nobody's."""
    named = {name: Path(os.environ[name]) for name in CERTIFICATES if os.environ.get(name)}
    return {name: path.absolute() for name, path in named.items() if os.access(path, os.R_OK) and path.is_file()}
