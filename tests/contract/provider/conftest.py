"""The real OpenClaw, for the providers that run it."""

from __future__ import annotations

from tests.support.openclaw import echo, release

__all__ = ["echo", "release"]
