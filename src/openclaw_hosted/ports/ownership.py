"""Whose what exists at the provider is."""

from __future__ import annotations

from typing import Protocol


class Ownership(Protocol):
    """Remembers, at the provider and beside what it holds, which platform it belongs to: the mark of its database."""

    async def owner(self) -> str | None:
        """The mark; None where nobody has claimed it yet."""
        ...

    async def claim(self, mark: str) -> None:
        """It belongs to the platform with this mark from now on."""
        ...
