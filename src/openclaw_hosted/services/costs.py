"""What an operator sees of costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from openclaw_hosted.domain.actor import Actor, require_admin
from openclaw_hosted.domain.cost import Deployment, Estimate, Holdings, count_holdings, estimate, projection
from openclaw_hosted.domain.machine_hours import Month, Use, month_of, used
from openclaw_hosted.domain.plans import Plan, compare
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.stores import InstanceStore, MachineStore, PlatformStore, RestorePointStore

MACHINES_COUNTED: Final = 100_000
SECONDS_PER_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class UsageReport:
    """How long machines ran in a month, by user, and what an hour of one costs: None where it costs nothing."""

    month: Month
    uses: Sequence[Use]
    usd_per_hour: float | None


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
class MachinePrice:
    """US dollars an hour, as the settings have it."""

    instance_type: str
    usd_per_hour: float


@dataclass(frozen=True, slots=True)
class CostService:
    """For admins only. `_deployment` is the one that runs, or with `billed` false one as it could be."""

    _machines: MachineStore
    _instances: InstanceStore
    _platform: PlatformStore
    _points: RestorePointStore
    _policy: PoolPolicy
    _deployment: Deployment
    _clock: Clock
    billed: bool
    """Whether machines of this provider cost money."""

    def price_of_machine(self, actor: Actor) -> MachinePrice | None:
        """What a machine is and costs; None where machines cost nothing."""
        require_admin(actor)
        deployed = self._deployment
        if not self.billed:
            return None
        return MachinePrice(deployed.instance_type, deployed.on_demand_price if deployed.on_demand else deployed.spot_price)

    async def report(self, actor: Actor) -> CostReport:
        """Now."""
        require_admin(actor)
        memory = await self._platform.pool_memory()
        spares = self._policy.wanted(memory.spares)
        holdings = count_holdings(await self._machines.list_live(), await self._instances.kept_phases(), await self._points.list_all())
        now = estimate(holdings, self._deployment) if self.billed else None
        return CostReport(holdings, spares, now, projection(holdings.instances, spares, self._deployment))

    async def usage(self, actor: Actor, month: str | None = None) -> UsageReport:
        """How long machines ran in a month such as `2026-11`, or in the present one until now, as far as their rows are kept. Raises
        `InvalidInput`."""
        require_admin(actor)
        now = self._clock.now()
        found = month_of(month, now)
        owners = {instance.id: instance.owner_id for instance in await self._instances.list_all()}
        uses = used(await self._machines.list_recent(MACHINES_COUNTED), owners, found, now)
        price = self._deployment.on_demand_price if self._deployment.on_demand else self._deployment.spot_price
        return UsageReport(found, uses, price if self.billed else None)

    async def plans(self, actor: Actor, users: int) -> Sequence[Plan]:
        """What so many users would cost with the spares that there should be, one change after the other."""
        require_admin(actor)
        spares = self._policy.wanted((await self._platform.pool_memory()).spares)
        return compare(users, spares, self._deployment)
