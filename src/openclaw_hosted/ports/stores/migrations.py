"""Users on their way out of an older system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from openclaw_hosted.domain.migration import Migration
from openclaw_hosted.ports.stores.lease import Lease


class MigrationStore(Protocol):
    """One row a user. Whoever writes holds the named lease `migration`, so that one at a time does."""

    async def all(self) -> Sequence[Migration]:
        """All rows, by user."""
        ...

    async def get(self, user: str) -> Migration | None:
        """One user's."""
        ...

    async def put(self, migration: Migration, lease: Lease) -> None:
        """Write it as it is now. Raises `LeaseLost` where somebody else holds the lease."""
        ...
