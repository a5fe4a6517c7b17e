"""What an operator sees of costs."""

from __future__ import annotations

from dataclasses import dataclass

from openclaw_hosted.domain.actor import Actor, require_admin
from openclaw_hosted.domain.cost import Deployment, Estimate, Holdings, count_holdings, estimate, projection
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.ports.stores import InstanceStore, MachineStore, PlatformStore


@dataclass(frozen=True, slots=True)
class CostReport:
    """What exists, and what it costs."""

    holdings: Holdings
    spares: int
    """How many there should be."""
    now: Estimate | None
    """What exists, in a month; None where it costs nothing."""
    projection: Estimate
    """As many users with all the spares that there should be, on AWS."""


@dataclass(frozen=True, slots=True)
class CostService:
    """For admins only. `_deployment` is the one that runs, or with `billed` false one as it could be."""

    _machines: MachineStore
    _instances: InstanceStore
    _platform: PlatformStore
    _policy: PoolPolicy
    _deployment: Deployment
    billed: bool
    """Whether machines of this provider cost money."""

    async def report(self, actor: Actor) -> CostReport:
        """Now."""
        require_admin(actor)
        memory = await self._platform.pool_memory()
        spares = self._policy.wanted(memory.spares)
        holdings = count_holdings(await self._machines.list_live(), await self._instances.kept_phases())
        now = estimate(holdings, self._deployment) if self.billed else None
        return CostReport(holdings, spares, now, projection(holdings.instances, spares, self._deployment))
