"""An adoption: rows made of what was found at the provider, in a database that has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.lifecycle import Changed
from openclaw_hosted.domain.orphan import Orphan


class AdoptionStore(Protocol):
    """Every write does nothing where its rows are there already, so that an adoption that was interrupted is repeated from its start."""

    async def check_empty(self, mark: str) -> None:
        """Raise `StateConflict` where the database has instances or machines, unless they are of an unfinished adoption of the platform
        with this mark."""
        ...

    async def begin(self, mark: str) -> None:
        """Note that the platform with this mark is adopted; until `finish`, no control plane starts on this database. Raises as
        `check_empty` does."""
        ...

    async def add(self, changed: Changed, owner: User | None = None) -> None:
        """Add the rows of `changed`, and its owner, in one transaction. An account that has the owner's id stays as it is; where another
        has the e-mail address, the owner gets a stand-in."""
        ...

    async def hold_back(self, orphans: Sequence[Orphan], event: Event) -> None:
        """Remember these orphans, which only an operator removes."""
        ...

    async def finish(self, mark: str) -> None:
        """The database belongs to the platform with this mark from now on."""
        ...
