"""How many spares the pool aims at, where that is more than a number."""

from __future__ import annotations

from typing import Protocol

from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.ports.stores.platform import PoolMemory


class PoolTarget(Protocol):
    """Says how many spares there should be now."""

    async def wanted(self, by_operator: int | None) -> int:
        """From the number that an operator set, or None for that of the settings. Never more than the fleet's cap."""
        ...


async def wanted_spares(policy: PoolPolicy, memory: PoolMemory, target: PoolTarget | None) -> int:
    """How many spares there should be now; without a target as many as an operator or the settings say."""
    return policy.wanted(memory.spares) if target is None else await target.wanted(memory.spares)
