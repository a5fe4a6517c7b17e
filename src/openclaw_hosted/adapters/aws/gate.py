"""The gate of a load balancer that knows nobody's session: behind a route, OpenClaw itself asks who it is."""

from __future__ import annotations

from collections.abc import Mapping

from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.naming import UserId


class OpenGate:
    """`Gate` that has nothing to tell."""

    async def allow(self, session: Session) -> None:
        """Nothing at the load balancer depends on it."""

    async def revoke(self, session_hash: str) -> None:
        """The platform's own pages ask the database."""

    async def sessions(self) -> Mapping[str, UserId]:
        """None are known there."""
        return {}
