"""A service as an operator installs it, and what its unit says."""

from __future__ import annotations

from pathlib import Path

from openclaw_hosted.systemd import Service

SYSTEM = Service(
    Path("/usr/bin/python3"), Path("/var/lib/openclaw-hosted"), Path("/etc/openclaw-hosted/environment"), user="openclaw-hosted"
)


def lines_of(unit: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in unit.splitlines() if line and line[0] not in "#[")
    return {name: value for name, _, value in pairs}
