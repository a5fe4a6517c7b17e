"""What some settings may be, and the error of a wrong one; apart from the settings, as the command line names them before it reads any."""

from __future__ import annotations

from enum import StrEnum

from openclaw_hosted.domain.errors import OpenClawHostedError


class Provider(StrEnum):
    """Where machines come from."""

    LOCAL = "local"
    AWS = "aws"
    """EC2, as settings_aws.py says."""
    FAKE = "fake"
    """Memory; for benchmarks and demonstrations."""


class Tls(StrEnum):
    """Who ends HTTPS."""

    OFF = "off"
    """Nobody here; a proxy in front may."""
    INTERNAL = "internal"
    """The edge, with an authority of its own, which each device has to be told to trust."""
    ACME = "acme"
    """The edge, with certificates that every browser trusts."""


class MachineKind(StrEnum):
    """What the machines of one computer are."""

    AUTO = "auto"
    """Containers where a Docker engine answers, else processes."""
    DOCKER = "docker"
    PROCESS = "process"


class SettingsError(OpenClawHostedError):
    """A setting is wrong."""
