"""The cost model: what a deployment on AWS costs in a month, from what its rows say exists, or from a number of users.

Amounts are US dollars for a month of 730 hours in us-west-2. `domain/prices.py` says of each price where it comes from; none is from an
invoice. Traffic, taxes and free tiers are not in it (docs/cost.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from openclaw_hosted.domain.alarms import ALARMS
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import LIVE_STATES, Machine, MachineState, Warmth
from openclaw_hosted.domain.metering import Metric
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.domain.prices import PRICED_TYPE, PRICES, Component, Kind, Per, Price
from openclaw_hosted.domain.restore_point import RestorePoint

HOURS_PER_MONTH: Final = 730.0

GIB: Final = 1 << 30
CHANGED_SHARE: Final = 0.1
NOTICE_LOOK_SECONDS: Final = 10.0
"""How often the queue of notices is asked: a call waits for 8 s, and the loop rests."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What exists, counted by kind."""

    machines: int
    """Until they are seen to be gone."""
    volumes: int
    """Of users' data: of spares, of instances, and of deleted ones that can be brought back."""
    secrets: int
    routes: int
    """Billed by nothing but a load balancer's use."""
    instances: int
    """Those that are not deleted, and had a machine once: the users among whom the sum is divided."""
    snapshot_gib: float = 0.0
    """Of restore points. A plan counts none: nobody knows how much users will keep."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is there once, how large things are, and the prices that an operator sets. By default as Terraform makes it."""

    instance_type: str = PRICED_TYPE
    spot_price: float = PRICES[Kind.SPOT_MACHINE].usd
    """US dollars an hour, as `on_demand_price`."""
    on_demand_price: float = PRICES[Kind.ON_DEMAND_MACHINE].usd
    on_demand: bool = False
    """Whether machines are launched on demand always. Where that is a fallback only, all count as Spot."""
    data_gib: int = 8
    root_gib: int = 10
    zones: int = 3
    """In each of them a load balancer has an address."""
    load_balancers: int = 1
    """0: the control plane's own machine is what users reach, however many there are."""
    shard_capacity: int = 80
    """How many routes a load balancer is planned for."""
    capacity_units: float = 1.0
    """Of each load balancer, over the month."""
    secret_calls: float = 1.0
    """Of each user, in 10,000."""
    log_gib: float = 6.0
    image_gib: float = 10.0
    postgres: bool = True
    """RDS; else SQLite on a volume of 4 GiB."""
    prices: Mapping[Kind, float] = field(default_factory=dict)
    """Those that are known better than `PRICES`, in US dollars."""
    machine_addresses: bool = True
    """Whether each machine has a public IPv4 address."""
    running_share: float = 1.0
    """Of a month, for which users' machines run."""


@dataclass(frozen=True, slots=True)
class Line:
    """A component's share."""

    component: Component
    detail: str
    """What is counted, and at which price."""
    usd: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """US dollars for a month."""

    users: int
    lines: tuple[Line, ...]
    total_usd: float
    per_user_usd: float | None
    """None where there is no user."""
    note: str | None
    """What is known to be wrong with it."""


Amounts = Mapping[Kind, float]


def count_holdings(machines: Sequence[Machine], kept: Mapping[InstanceId, Phase], points: Iterable[RestorePoint] = ()) -> Holdings:
    """What exists by the rows: of machines all that live, of instances those that had a machine once and are not purged.

    Each machine comes with a volume of its own, a hot one with a secret and a route as well, under the id that is reserved for it. The
    instance that it is assigned to may have that id; where it has another, the route is given back, and volume and secret are kept until
    the machine ends.
    """
    live = [machine for machine in machines if machine.state in LIVE_STATES]
    reserved = {machine.reserved_instance_id for machine in live}
    hot = {machine.reserved_instance_id for machine in live if machine.warmth is Warmth.HOT}
    spare = {machine.reserved_instance_id for machine in live if machine.warmth is Warmth.HOT and machine.state is MachineState.AVAILABLE}
    reachable = {instance_id for instance_id, phase in kept.items() if phase is not Phase.DELETED}
    return Holdings(
        machines=len(live),
        volumes=len(reserved | kept.keys()),
        secrets=len(hot | kept.keys()),
        routes=len(spare | reachable),
        instances=len(reachable),
        snapshot_gib=snapshot_gib(points),
    )


def snapshot_gib(points: Iterable[RestorePoint]) -> float:
    """What restore points are billed for, in GiB: of each instance the largest in full, and of each other what differs from the one before,
    which is taken to be a tenth."""
    sizes: dict[InstanceId, list[int]] = {}
    for point in points:
        sizes.setdefault(point.instance_id, []).append(point.size_bytes or 0)
    return sum(max(each) + CHANGED_SHARE * (sum(each) - max(each)) for each in sizes.values()) / GIB


def planned_holdings(users: int, spares: int) -> Holdings:
    """What so many users have, with so many hot spares and nothing that was deleted."""
    machines = users + spares
    return Holdings(machines, machines, machines, machines, users)


def planned_deployment(users: int, spares: int, deployment: Deployment) -> Deployment:
    """The deployment with as many load balancers as so many users and spares need, no fewer than it has; without any where it has none."""
    if not deployment.load_balancers:
        return deployment
    needed = math.ceil((users + spares) / deployment.shard_capacity)
    return replace(deployment, load_balancers=max(needed, deployment.load_balancers))


def billed(holdings: Holdings, deployment: Deployment) -> Amounts:
    """How much of each kind a month has."""
    machine = Kind.ON_DEMAND_MACHINE if deployment.on_demand else Kind.SPOT_MACHINE
    has_volume = not deployment.postgres or not deployment.load_balancers
    running = round(holdings.machines - holdings.instances * (1 - deployment.running_share), 2)
    return {
        machine: running,
        Kind.ADDRESS: 1 + running * deployment.machine_addresses + deployment.zones * deployment.load_balancers,
        Kind.LOAD_BALANCER: deployment.load_balancers,
        Kind.CAPACITY_UNIT: deployment.load_balancers * deployment.capacity_units,
        Kind.DATA_GIB: holdings.volumes * deployment.data_gib,
        Kind.ROOT_GIB: running * deployment.root_gib,
        Kind.SNAPSHOT_GIB: holdings.snapshot_gib,
        Kind.SECRET: holdings.secrets + 1 + deployment.postgres,
        Kind.SECRET_CALLS: holdings.instances * deployment.secret_calls,
        Kind.CONTROL_PLANE_MACHINE: 1,
        Kind.CONTROL_PLANE_GIB: 14 if has_volume else 10,
        Kind.DATABASE_INSTANCE: 1 if deployment.postgres else 0,
        Kind.DATABASE_GIB: 20 if deployment.postgres else 0,
        Kind.METRIC: len(Metric),
        Kind.ALARM: sum(alarm.metric is not None for alarm in ALARMS),
        Kind.QUEUE_CALLS: round(HOURS_PER_MONTH * 3600 / NOTICE_LOOK_SECONDS / 1e6, 2),
        Kind.LOG_GIB: deployment.log_gib,
        Kind.IMAGE_GIB: deployment.image_gib,
    }


SOURCE_DOCUMENT: Final[Amounts] = {
    Kind.SPOT_MACHINE: 12,
    Kind.LOAD_BALANCER: 1,
    Kind.CAPACITY_UNIT: 0.9546,
    Kind.SECRET: 10,
    Kind.SECRET_CALLS: 10,
    Kind.LOG_GIB: 6,
    Kind.IMAGE_GIB: 10,
}
"""What the source document's breakdown for 10 users and 2 spares has to mean, at the prices above. It gives the machines, their price, and
sums for the rest: the capacity units are what is left of its $22.00, secrets and calls give its $4.50, logs its $3.00, images its $1.00."""


def estimate(holdings: Holdings, deployment: Deployment) -> Estimate:
    """What this costs in a month, by component."""
    own = {**deployment.prices, Kind.SPOT_MACHINE: deployment.spot_price, Kind.ON_DEMAND_MACHINE: deployment.on_demand_price}
    return total(billed(holdings, deployment), holdings.instances, own, _note(deployment))


def projection(users: int, spares: int, deployment: Deployment) -> Estimate:
    """What so many users with so many spares would cost in a month."""
    return estimate(planned_holdings(users, spares), planned_deployment(users, spares, deployment))


def total(amounts: Amounts, users: int, own_prices: Mapping[Kind, float] | None = None, note: str | None = None) -> Estimate:
    """The sum of amounts; `own_prices` win over those of the list."""
    prices = {kind: replace(price, usd=(own_prices or {}).get(kind, price.usd)) for kind, price in PRICES.items()}
    lines = tuple(_line(component, amounts, prices) for component in Component if _has(component, amounts))
    usd = sum(line.usd for line in lines)
    return Estimate(users, lines, usd, usd / users if users else None, note)


def _has(component: Component, amounts: Amounts) -> bool:
    return any(amount > 0 and PRICES[kind].component is component for kind, amount in amounts.items())


def _line(component: Component, amounts: Amounts, prices: Mapping[Kind, Price]) -> Line:
    of_it = {kind: amount for kind, amount in amounts.items() if prices[kind].component is component and amount > 0}
    usd = sum(amount * prices[kind].usd * (HOURS_PER_MONTH if prices[kind].per is Per.HOUR else 1) for kind, amount in of_it.items())
    return Line(component, "; ".join(_detail(kind, amount, prices[kind]) for kind, amount in of_it.items()), usd)


def _detail(kind: Kind, amount: float, price: Price) -> str:
    cents, mills = f"{price.usd:.4f}"[:-2], f"{price.usd:.4f}"[-2:].rstrip("0")
    return f"{kind}: {f'{amount:,.10g} {price.unit}'.strip()} × ${cents}{mills} {price.per}"


def _note(deployment: Deployment) -> str | None:
    kind, price, variable = (
        (Kind.ON_DEMAND_MACHINE, deployment.on_demand_price, "ON_DEMAND_PRICE_PER_HOUR")
        if deployment.on_demand
        else (Kind.SPOT_MACHINE, deployment.spot_price, "SPOT_PRICE_PER_HOUR")
    )
    if deployment.instance_type == PRICED_TYPE or price != PRICES[kind].usd:
        return None
    return f"Machines are {deployment.instance_type}, at the price of {PRICED_TYPE}: set {variable}."
