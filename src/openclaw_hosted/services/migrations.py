"""How far each user of an older system has come, for operators. Who moves them is `migration`, with an operator's rights there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openclaw_hosted.domain.actor import Actor, require_admin
from openclaw_hosted.domain.migration import Migration
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.stores import MigrationStore


@dataclass(frozen=True, slots=True)
class MigrationsService:
    """Reads only: the platform has no rights on the older system."""

    _store: MigrationStore
    _clock: Clock

    @property
    def now(self) -> float:
        """The moment until which one can go back is counted from, in seconds since the epoch."""
        return self._clock.now()

    async def list(self, actor: Actor) -> Sequence[Migration]:
        """All whose move was begun, by their names. Raises `NotAllowed`."""
        require_admin(actor)
        return await self._store.all()
