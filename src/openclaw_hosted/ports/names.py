"""Host names, as the internet knows them."""

from __future__ import annotations

from typing import Protocol


class Names(Protocol):
    """Asks for the addresses of a name."""

    async def resolves(self, host: str) -> bool:
        """Whether it has one. Raises `Unavailable` where nobody answers who would know."""
        ...
