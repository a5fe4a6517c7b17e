"""CreateFleet of type `instant`: machines spread over overrides by the capacity that is there, answered at once.

What can't be launched from a template is an error in the answer, as AWS has it. AWS's own tools keep subnets and market options out of
the templates that fleets use (aws-parallelcluster, pull request 4521; EKS managed node groups; mixed Auto Scaling groups). So the lab
refuses a subnet in a template's network interface under one of an override, and machines on demand from a template for Spot.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lab.cloud import launch as launching
from lab.cloud import market as buying
from lab.cloud.calls import Call
from lab.cloud.idempotency import dry, once
from lab.cloud.launch import Launch
from lab.cloud.operations import moto, operation
from lab.cloud.refused import Refused

if TYPE_CHECKING:
    from lab.cloud.account import Account

BY_PRIORITY = frozenset({"prioritized", "capacity-optimized-prioritized"})


@dataclass
class Choice:
    """One override of a fleet's request: where and as what machines may be launched."""

    launch: Launch | Refused
    """Or why there can't be any."""
    template: Mapping[str, Any]
    override: Mapping[str, Any]
    count: int = 0
    problem: Refused | None = None
    """Why there were no more."""

    def give_back(self, account: Account) -> None:
        """Launch none of them."""
        if isinstance(self.launch, Launch):
            buying.give_back(account, self.launch, self.count)
        self.count = 0

    def shown(self) -> dict[str, Any]:
        """As the answer names it."""
        return {"LaunchTemplateSpecification": dict(self.template), "Overrides": dict(self.override)}


@dataclass
class Purchase:
    """What one part of the target capacity brought."""

    choices: list[Choice] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many machines there is capacity for."""
        return sum(choice.count for choice in self.choices)


@operation("ec2", "CreateFleet", locked=False)
def create_fleet(account: Account, call: Call) -> Any:
    """Launch an instant fleet; other types are moto's."""
    if call.params.get("Type", "maintain") != "instant":
        return moto(call)
    dry(call)
    return once(account, call, lambda: _create(account, call.params))


def _create(account: Account, params: Mapping[str, Any]) -> dict[str, Any]:
    fleet_id = f"fleet-{uuid.uuid4()}"
    target = params["TargetCapacitySpecification"]
    total = int(target["TotalTargetCapacity"])
    default = target.get("DefaultTargetCapacityType") or "on-demand"
    spot, on_demand = int(target.get("SpotTargetCapacity") or 0), int(target.get("OnDemandTargetCapacity") or 0)
    if default == "spot":
        spot = max(spot, total - on_demand)
    else:
        on_demand = max(on_demand, total - spot)
    bought = []
    for count, market, options in ((on_demand, "on-demand", "OnDemandOptions"), (spot, "spot", "SpotOptions")):
        if count:
            bought.append((market, _buy(account, params, fleet_id, market, count, params.get(options) or {})))
    instances, errors = [], []
    for market, purchase in bought:
        for choice in purchase.choices:
            if choice.problem is not None:
                errors.append(_error(choice, choice.problem, market))
            if choice.count:
                instances.append(_launched(account, choice, market))
    return {"FleetId": fleet_id, "Instances": instances, "Errors": errors}


def _buy(account: Account, params: Mapping[str, Any], fleet_id: str, market: str, count: int, options: Mapping[str, Any]) -> Purchase:
    with account.lock:
        choices = list(_choices(account, params, fleet_id, market))
    if options.get("AllocationStrategy") in BY_PRIORITY:
        choices.sort(key=lambda choice: float(choice.override.get("Priority", 1e9)))
    purchase = Purchase(choices)
    if options.get("AllocationStrategy") == "diversified":
        _spread(account, choices, count)
    else:
        for choice in choices:
            while purchase.count < count and _take(account, choice):
                choice.count += 1
    if purchase.count < int(options.get("MinTargetCapacity") or 0):
        for choice in choices:
            choice.give_back(account)
    return purchase


def _spread(account: Account, choices: list[Choice], count: int) -> None:
    while count and any(choice.problem is None for choice in choices):
        for choice in choices:
            if count and choice.problem is None and _take(account, choice):
                choice.count += 1
                count -= 1


def _take(account: Account, choice: Choice) -> bool:
    launch = choice.launch
    if isinstance(launch, Refused):
        choice.problem = launch
    else:
        choice.problem = buying.take(account, launch)
    return choice.problem is None


def _choices(account: Account, params: Mapping[str, Any], fleet_id: str, market: str) -> Iterator[Choice]:
    for config in params["LaunchTemplateConfigs"]:
        reference = config["LaunchTemplateSpecification"]
        template, tags = launching.template_data(account, reference)
        for override in config.get("Overrides") or [{}]:
            yield Choice(_planned(account, params, override, template, {**tags, "aws:ec2:fleet-id": fleet_id}, market), reference, override)


def _planned(
    account: Account,
    params: Mapping[str, Any],
    override: Mapping[str, Any],
    template: Mapping[str, Any],
    tags: Mapping[str, str],
    market: str,
) -> Launch | Refused:
    try:
        _check(override, template, market)
        return replace(launching.resolve(account, _request(params, override, template), template, tags), spot=market == "spot")
    except Refused as problem:
        return problem


def _check(override: Mapping[str, Any], template: Mapping[str, Any], market: str) -> None:
    if override.get("SubnetId") and any(each.get("SubnetId") for each in template.get("NetworkInterfaces") or ()):
        raise Refused(
            "InvalidParameterCombination", "Network interfaces and an instance-level subnet ID may not be specified on the same request"
        )
    if market == "on-demand" and (template.get("InstanceMarketOptions") or {}).get("MarketType") == "spot":
        raise Refused("InvalidFleetConfiguration", "The launch template asks for the Spot market, and the fleet for On-Demand capacity")


def _request(params: Mapping[str, Any], override: Mapping[str, Any], template: Mapping[str, Any]) -> dict[str, Any]:
    """An override as if it were a request to launch: its subnet goes to the template's network interface, where there is one."""
    request: dict[str, Any] = {key: override[key] for key in ("InstanceType", "ImageId") if override.get(key)}
    if subnet_id := override.get("SubnetId"):
        if "," in subnet_id:
            raise Refused("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
        interfaces = [dict(each) for each in template.get("NetworkInterfaces") or []]
        if interfaces:
            interfaces[0]["SubnetId"] = subnet_id
            request["NetworkInterfaces"] = interfaces
        else:
            request["SubnetId"] = subnet_id
    elif zone := override.get("AvailabilityZone"):
        request["Placement"] = {"AvailabilityZone": zone}
    request["TagSpecifications"] = [spec for spec in params.get("TagSpecifications") or [] if spec["ResourceType"] != "fleet"]
    return request


def _launched(account: Account, choice: Choice, market: str) -> dict[str, Any]:
    launch = choice.launch
    assert not isinstance(launch, Refused)
    rows = launching.start(account, launch, choice.count)
    return {
        "LaunchTemplateAndOverrides": choice.shown(),
        "Lifecycle": market,
        "InstanceIds": [row.id for row in rows],
        "InstanceType": launch.instance_type,
    }


def _error(choice: Choice, problem: Refused, market: str) -> dict[str, Any]:
    return {"LaunchTemplateAndOverrides": choice.shown(), "Lifecycle": market, "ErrorCode": problem.code, "ErrorMessage": problem.message}
