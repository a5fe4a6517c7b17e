"""Targets of target groups: by machine and port, healthy when the data plane says so, draining for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.cloud.calls import Call
from lab.cloud.fleet import refresh
from lab.cloud.operations import operation
from lab.cloud.refused import Refused

if TYPE_CHECKING:
    from lab.cloud.account import Account

MOST_TARGETS = 1000
"""Per load balancer."""
REASONS: Mapping[str, tuple[str, str]] = {
    "initial": ("Elb.InitialHealthChecking", "Initial health checks in progress"),
    "unhealthy": ("Target.FailedHealthChecks", "Health checks failed"),
    "unused": ("Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"),
    "draining": ("Target.DeregistrationInProgress", "Target deregistration is in progress"),
}


@dataclass
class TargetRow:
    """One target of a group."""

    target_id: str
    port: int
    address: str
    draining_since: float | None = None

    @property
    def key(self) -> str:
        """As the data plane names it."""
        return f"{self.target_id}:{self.port}"


@dataclass
class Targets:
    """Every group's targets, by the group's ARN and then by `id:port`."""

    groups: dict[str, dict[str, TargetRow]] = field(default_factory=dict)

    def of(self, account: Account, arn: str) -> dict[str, TargetRow]:
        """Those of a group, drained ones left out. Raises `TargetGroupNotFound`."""
        group = account.elbv2.target_groups.get(arn)
        if group is None:
            raise Refused("TargetGroupNotFound", "One or more target groups not found")
        delay = float(group.attributes.get("deregistration_delay.timeout_seconds", 300))
        rows = self.groups.setdefault(arn, {})
        for key, row in list(rows.items()):
            if row.draining_since is not None and account.clock() >= row.draining_since + delay:
                del rows[key]
        return rows

    def forget_machine(self, account: Account, instance_id: str) -> None:
        """A machine that is terminated is deregistered."""
        for rows in self.groups.values():
            for row in rows.values():
                if row.target_id == instance_id and row.draining_since is None:
                    row.draining_since = account.clock()


def users(account: Account, group_arn: str) -> Iterator[Any]:
    """The listeners that have a rule or a default action with this group."""
    for balancer in account.elbv2.load_balancers.values():
        for listener in balancer.listeners.values():
            if any(group_arn in forwards(rule.actions) for rule in listener.rules.values()):
                yield listener


def forwards(actions: Any) -> dict[str, int]:
    """The target groups of a rule's actions, with their weights."""
    weights: dict[str, int] = {}
    for action in actions:
        data = action.data if hasattr(action, "data") else action
        if data.get("Type") != "forward":
            continue
        config = (data.get("ForwardConfig") or {}).get("TargetGroups")
        if config:
            weights.update({each["TargetGroupArn"]: int(each.get("Weight", 1)) for each in config})
        elif data.get("TargetGroupArn"):
            weights[data["TargetGroupArn"]] = 1
    return weights


def _port(account: Account, arn: str, target: Mapping[str, Any]) -> int:
    return int(target.get("Port") or account.elbv2.target_groups[arn].port)


@operation("elbv2", "RegisterTargets")
def register_targets(account: Account, call: Call) -> Any:
    """Add running machines of the group's VPC; a second port of a machine is a second target."""
    arn = call.params["TargetGroupArn"]
    rows = account.targets.of(account, arn)
    wanted = [_checked(account, arn, each) for each in call.params.get("Targets") or []]
    fresh = [row for row in wanted if row.key not in rows]
    if len(rows) + len(fresh) > MOST_TARGETS:
        raise Refused("TooManyTargets", "The maximum number of targets has been reached on the load balancer")
    rows.update({row.key: row for row in wanted})
    return {}


def _checked(account: Account, arn: str, target: Mapping[str, Any]) -> TargetRow:
    group = account.elbv2.target_groups[arn]
    port = _port(account, arn, target)
    if group.target_type == "ip":
        return TargetRow(target["Id"], port, target["Id"])
    row = account.fleet.rows.get(target["Id"])
    if row is None:
        raise Refused("InvalidTarget", f"The following targets are not in the target group VPC '{group.vpc_id}': '{target['Id']}'")
    if refresh(account, row) != "running":
        raise Refused("InvalidTarget", f"The following targets are not in a running state and cannot be registered: '{row.id}'")
    if row.instance.vpc_id != group.vpc_id:
        raise Refused("InvalidTarget", f"The following targets are not in the target group VPC '{group.vpc_id}': '{row.id}'")
    return TargetRow(row.id, port, row.instance.private_ip)


@operation("elbv2", "DeregisterTargets")
def deregister_targets(account: Account, call: Call) -> Any:
    """Take targets out; they drain for the group's deregistration delay. Without a port, a machine's every port is taken out."""
    arn = call.params["TargetGroupArn"]
    rows = account.targets.of(account, arn)
    for target in call.params.get("Targets") or []:
        found = [row for row in rows.values() if row.target_id == target["Id"] and target.get("Port") in {None, row.port, str(row.port)}]
        for row in found:
            if row.draining_since is None:
                row.draining_since = account.clock()
    return {}


@operation("elbv2", "DescribeTargetHealth", locked=False)
def describe_target_health(account: Account, call: Call) -> Any:
    """How a group's targets are, or those that are asked for."""
    arn = call.params["TargetGroupArn"]
    with account.lock:
        rows = dict(account.targets.of(account, arn))
        group = account.elbv2.target_groups[arn]
        wanted = [(each["Id"], _port(account, arn, each)) for each in call.params.get("Targets") or []]
        wanted = wanted or [(row.target_id, row.port) for row in rows.values()]
    shown = [_health(account, arn, group, target_id, port, rows.get(f"{target_id}:{port}")) for target_id, port in wanted]
    return {"TargetHealthDescriptions": shown}


def _health(account: Account, arn: str, group: Any, target_id: str, port: int, row: TargetRow | None) -> dict[str, Any]:
    if row is None:
        health = {"State": "unused", "Reason": "Target.NotRegistered", "Description": "Target is not registered to the target group"}
    else:
        health = {"State": state_of(account, arn, row)}
        if why := REASONS.get(health["State"]):
            health |= {"Reason": why[0], "Description": why[1]}
    check_port = group.health_check_port if group.health_check_port not in {None, "traffic-port"} else str(port)
    return {"Target": {"Id": target_id, "Port": port}, "HealthCheckPort": str(check_port), "TargetHealth": health}


def state_of(account: Account, group_arn: str, row: TargetRow) -> str:
    """Of one target. Without a data plane, a machine that runs is healthy as soon as a rule uses its group. Call without the lock."""
    with account.lock:
        if row.draining_since is not None:
            return "draining"
        if not any(users(account, group_arn)):
            return "unused"
        machine = account.fleet.rows.get(row.target_id)
        runs = machine is None or refresh(account, machine) == "running"
    if account.balancers is not None:
        return account.balancers.health(group_arn, row.key)
    return "healthy" if runs else "unhealthy"
