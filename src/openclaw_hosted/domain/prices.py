"""What AWS charges, with the source of each price and when it was gathered: the one place where prices stand.

US dollars in us-west-2. `cost refresh` reads newer ones of an account; those win, and are kept beside the platform's data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

GATHERED: Final = "2026-09"
"""When those without another date were written down."""


class Component(StrEnum):
    """What an operator sees a sum of, by the name that it is shown under."""

    MACHINES = "Machines"
    ADDRESSES = "Public IPv4 addresses"
    LOAD_BALANCERS = "Load balancers"
    VOLUMES = "Volumes"
    SNAPSHOTS = "Snapshots"
    SECRETS = "Secrets"
    CONTROL_PLANE = "Control plane"
    DATABASE = "Database"
    CLOUDWATCH = "CloudWatch"
    QUEUES = "Queue of notices"
    REPOSITORIES = "ECR"


class Kind(StrEnum):
    """What AWS bills, by what its amount is called."""

    SPOT_MACHINE = "on Spot"
    ON_DEMAND_MACHINE = "on demand"
    ADDRESS = "addresses"
    LOAD_BALANCER = "load balancers"
    CAPACITY_UNIT = "capacity units"
    """LCU: the load balancer's measure of its use."""
    DATA_GIB = "users' data"
    ROOT_GIB = "systems"
    SNAPSHOT_GIB = "snapshots"
    SECRET = "secrets"
    SECRET_CALLS = "10,000 calls"
    CONTROL_PLANE_MACHINE = "machine"
    CONTROL_PLANE_GIB = "disks"
    DATABASE_INSTANCE = "db.t4g.micro"
    DATABASE_GIB = "storage"
    METRIC = "metrics"
    ALARM = "alarms"
    LOG_GIB = "logs"
    QUEUE_CALLS = "million calls"
    IMAGE_GIB = "images"


class Per(StrEnum):
    """The time that a price is for."""

    HOUR = "an hour"
    MONTH = "a month"


class Source(StrEnum):
    """Where a price comes from."""

    LISTED = "AWS's public prices for us-west-2, as gathered when this was written"
    REMEMBERED = "common knowledge, without a source at hand"
    SOURCE_DOCUMENT = "the source document's cost breakdown"


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for one of a kind."""

    component: Component
    usd: float
    per: Per
    source: Source
    unit: str = ""
    """What the amount is in, where it is no count."""


PRICES: Final[Mapping[Kind, Price]] = {
    Kind.SPOT_MACHINE: Price(Component.MACHINES, 0.006, Per.HOUR, Source.SOURCE_DOCUMENT),
    Kind.ON_DEMAND_MACHINE: Price(Component.MACHINES, 0.0208, Per.HOUR, Source.LISTED),
    Kind.ADDRESS: Price(Component.ADDRESSES, 0.005, Per.HOUR, Source.LISTED),
    Kind.LOAD_BALANCER: Price(Component.LOAD_BALANCERS, 0.0225, Per.HOUR, Source.LISTED),
    Kind.CAPACITY_UNIT: Price(Component.LOAD_BALANCERS, 0.008, Per.HOUR, Source.REMEMBERED),
    Kind.DATA_GIB: Price(Component.VOLUMES, 0.08, Per.MONTH, Source.REMEMBERED, "GiB"),
    Kind.ROOT_GIB: Price(Component.VOLUMES, 0.08, Per.MONTH, Source.REMEMBERED, "GiB"),
    Kind.SNAPSHOT_GIB: Price(Component.SNAPSHOTS, 0.05, Per.MONTH, Source.REMEMBERED, "GiB"),
    Kind.SECRET: Price(Component.SECRETS, 0.40, Per.MONTH, Source.LISTED),
    Kind.SECRET_CALLS: Price(Component.SECRETS, 0.05, Per.MONTH, Source.LISTED),
    Kind.CONTROL_PLANE_MACHINE: Price(Component.CONTROL_PLANE, 0.0208, Per.HOUR, Source.LISTED),
    Kind.CONTROL_PLANE_GIB: Price(Component.CONTROL_PLANE, 0.08, Per.MONTH, Source.REMEMBERED, "GiB"),
    Kind.DATABASE_INSTANCE: Price(Component.DATABASE, 0.016, Per.HOUR, Source.REMEMBERED),
    Kind.DATABASE_GIB: Price(Component.DATABASE, 0.115, Per.MONTH, Source.REMEMBERED, "GiB"),
    Kind.METRIC: Price(Component.CLOUDWATCH, 0.30, Per.MONTH, Source.LISTED),
    Kind.ALARM: Price(Component.CLOUDWATCH, 0.10, Per.MONTH, Source.LISTED),
    Kind.LOG_GIB: Price(Component.CLOUDWATCH, 0.50, Per.MONTH, Source.REMEMBERED, "GiB"),
    Kind.QUEUE_CALLS: Price(Component.QUEUES, 0.40, Per.MONTH, Source.REMEMBERED),
    Kind.IMAGE_GIB: Price(Component.REPOSITORIES, 0.10, Per.MONTH, Source.REMEMBERED, "GiB"),
}
PRICED_TYPE: Final = "t3.small"
"""Whose prices those of the machines are."""
