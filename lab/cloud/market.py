"""Whether a machine can be had: the capacity of its zone, and the account's quota of vCPUs.

Sources: EC2's user guide, *Amazon EC2 instance type quotas* (vCPUs that run, on demand, of the standard families: A, C, D, H, I, M, R,
T, Z) and *Spot Instance quotas* (the same for Spot); both start at 5 in a new account. AWS's list of error codes: `VcpuLimitExceeded`,
`MaxSpotInstanceCountExceeded`, `InsufficientInstanceCapacity`. Service Quotas' API reference: GetServiceQuota.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

from lab.cloud.calls import Call
from lab.cloud.operations import operation
from lab.cloud.refused import Refused

if TYPE_CHECKING:
    from lab.cloud.account import Account
    from lab.cloud.launch import Launch

STANDARD = frozenset("acdhimrtz")
"""First letters of the families that share a quota."""
CODES: Mapping[str, str] = {"L-34B43A08": "spot", "L-1216C47A": "on-demand"}
NAMES: Mapping[str, str] = {
    "spot": "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests",
    "on-demand": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
}
NEW_ACCOUNT = 5
"""vCPUs of each kind that a new account may run."""
PLENTY = 10_000
RUNNING = frozenset({"pending", "running"})


@dataclass
class Quotas:
    """How many vCPUs may run, by market. More than a test needs, unless it sets them."""

    vcpus: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CODES.values(), PLENTY))
    promised: Counter[str] = field(default_factory=Counter)
    """To launches that are under way."""


def take(account: Account, launch: Launch) -> Refused | None:
    """Have one machine promised; else why there is none."""
    market, vcpus = launch.market(), _counted(launch.instance_type)
    with account.lock:
        if used(account, market) + account.quotas.promised[market] + vcpus > account.quotas.vcpus[market]:
            return _over(market, account.quotas.vcpus[market])
        if account.clock() < account.shortages.get((launch.zone, market), 0.0):
            return insufficient(launch)
        if not account.faults.take_capacity(launch.instance_type, launch.zone, market):
            return insufficient(launch)
        account.quotas.promised[market] += vcpus
    return None


def give_back(account: Account, launch: Launch, count: int) -> None:
    """So many of a promise are not needed any more: the machines are there, or will not be."""
    with account.lock:
        account.quotas.promised[launch.market()] -= count * _counted(launch.instance_type)


def used(account: Account, market: str) -> int:
    """How many vCPUs run."""
    rows = [row for row in account.fleet.rows.values() if row.state in RUNNING and row.spot == (market == "spot")]
    return sum(_counted(row.instance.instance_type) for row in rows)


def insufficient(launch: Launch) -> Refused:
    """That there is no capacity, as EC2 says it."""
    return Refused(
        "InsufficientInstanceCapacity",
        f"We currently do not have sufficient {launch.instance_type} capacity in the Availability Zone you requested ({launch.zone}).",
    )


def _over(market: str, quota: int) -> Refused:
    if market == "spot":
        return Refused("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
    return Refused(
        "VcpuLimitExceeded",
        f"You have requested more vCPU capacity than your current vCPU limit of {quota} allows for the instance bucket that the specified "
        "instance type belongs to.",
    )


@cache
def _counted(instance_type: str) -> int:
    if instance_type[0] not in STANDARD or instance_type not in INSTANCE_TYPES:
        return 0
    return int(INSTANCE_TYPES[instance_type]["VCpuInfo"]["DefaultVCpus"])


@operation("service-quotas", "GetServiceQuota")
def get_service_quota(account: Account, call: Call) -> Any:
    """What the account may have of something."""
    code = call.params["QuotaCode"]
    if call.params["ServiceCode"] != "ec2" or code not in CODES:
        raise Refused("NoSuchResourceException", "The request failed because the specified service does not exist.")
    market = CODES[code]
    quota = {
        "ServiceCode": "ec2",
        "QuotaCode": code,
        "QuotaName": NAMES[market],
        "Value": float(account.quotas.vcpus[market]),
        "Adjustable": True,
        "GlobalQuota": False,
    }
    return {"Quota": quota}
