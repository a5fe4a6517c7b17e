"""What a deployment would cost if it were made otherwise: one change after the other, the cheapest regret first, with what each gives up.

Changes that Terraform makes today come first; what would need software that is not there is said to be so, and is no offer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from openclaw_hosted.domain.cost import Deployment, projection
from openclaw_hosted.domain.prices import PRICES, Kind

ARM_ON_DEMAND: Final = 0.0168
"""A t4g.small, as AWS lists it for us-west-2 (common knowledge, without a source at hand)."""
ARM_SPOT: Final = round(PRICES[Kind.SPOT_MACHINE].usd * ARM_ON_DEMAND / PRICES[Kind.ON_DEMAND_MACHINE].usd, 5)
"""Derived: the same discount as the source document's for a t3.small."""
SMALL_CONTROL_PLANE: Final = 0.0104
"""A t3.micro, on demand (common knowledge, without a source at hand)."""
IDLE_SHARE: Final = 0.6
"""Of a month, in which a user's machine would be suspended: a guess, eight hours of each weekday and a bit more are used."""


@dataclass(frozen=True, slots=True)
class Change:
    """One way to save. `how` is what to set in Terraform, or None where nothing does it today."""

    name: str
    how: str | None
    gives_up: str
    spares: int | None = None
    changes: Mapping[str, Any] | None = None
    """Of `Deployment`."""


CHANGES: Final[Sequence[Change]] = (
    Change(
        "Arm machines", 'architecture = "arm64", user_instance_type = "t4g.small", extra_instance_types = ["t4g.medium"]',
        "programs that exist for x86-64 only; the image has to be built for arm64",
        changes={"spot_price": ARM_SPOT, "on_demand_price": ARM_ON_DEMAND, "instance_type": "t4g.small"},
    ),
    Change(
        "SQLite on the control plane's disk", 'database = "sqlite"',
        "a second control plane, and a database that survives the loss of its zone", changes={"postgres": False},
    ),
    Change(
        "a smaller control plane", 'control_plane_instance_type = "t3.micro"', "speed with many users; not measured",
        changes={"prices": {Kind.CONTROL_PLANE_MACHINE: SMALL_CONTROL_PLANE}},
    ),
Change(
        "smaller disks", "data_volume_gib = 4, root_volume_gib = 8", "half of the room for files; not measured",
        changes={"data_gib": 4, "root_gib": 8},
    ),
    Change(
        "two zones", 'availability_zones = ["us-west-2a", "us-west-2b"]', "a third of the chances to get Spot machines",
        changes={"zones": 2},
    ),
    Change("one spare", "pool_spare_count = 1", "seconds for the second of two users who come within the same minutes", spares=1),
    Change(
        "machines with IPv6 only", 'machine_addresses = "ipv6"', "what has no IPv6 address, such as GitHub",
        changes={"machine_addresses": False},
    ),
    Change(
        "no load balancer", "load_balancer_count = 0",
        "pages of all users, while the control plane's one machine restarts, hangs or is replaced, or its zone is gone",
        changes={"load_balancers": 0},
    ),
    Change(
        "machines that are suspended when idle", None, "an answer within seconds after a pause; channels are deaf meanwhile",
        changes={"running_share": 1 - IDLE_SHARE},
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """A deployment with all changes up to this one."""

    name: str
    usd: float
    saves_usd: float
    """Compared with the one before."""
    how: str | None
    gives_up: str
    is_possible: bool
    """Whether Terraform makes it today, with all changes before it."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """What the source document says of so many users, in US dollars a month."""

    users: int
    ecs_usd: float
    own_machines_usd: float


SOURCE_COMPARISON: Final = (SourceRow(10, 122, 83), SourceRow(25, 180, 140), SourceRow(50, 280, 230))


def compare(users: int, spares: int, deployment: Deployment) -> Sequence[Plan]:
    """The deployment as it is, and with each change on top of those before it."""
    usd = projection(users, spares, deployment).total_usd
    plans = [Plan("as it is", usd, 0.0, None, "", is_possible=True)]
    for change in CHANGES:
        spares = spares if change.spares is None else min(spares, change.spares)
        deployment = replace(deployment, **(change.changes or {}))
        now = projection(users, spares, deployment).total_usd
        plans.append(Plan(change.name, now, usd - now, change.how, change.gives_up, plans[-1].is_possible and change.how is not None))
        usd = now
    return plans


def cheapest(plans: Sequence[Plan]) -> Plan:
    """The cheapest that Terraform makes today."""
    return min((plan for plan in plans if plan.is_possible), key=lambda plan: plan.usd)
