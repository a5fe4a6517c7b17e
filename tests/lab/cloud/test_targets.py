"""What target groups do on AWS with their targets, and bare moto does not."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab.cloud.support import Site


def register(site: Site, group: str, *targets: tuple[str, int]) -> None:
    site.client("elbv2").register_targets(TargetGroupArn=group, Targets=[{"Id": each, "Port": port} for each, port in targets])


def health(site: Site, group: str) -> dict[int, str]:
    shown = site.client("elbv2").describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return {each["Target"]["Port"]: each["TargetHealth"]["State"] for each in shown}


def running(site: Site) -> str:
    (instance_id,) = site.launch()
    assert site.state(instance_id) == "running"
    return instance_id


class Health:
    """What the data plane says of every target."""

    def __init__(self, state: str) -> None:
        self.state = state
        self.asked: list[tuple[str, str]] = []

    def address(self, arn: str, port: int) -> tuple[str, int]:
        raise NotImplementedError(arn, port)

    def health(self, group_arn: str, target: str) -> str:
        self.asked.append((group_arn, target))
        return self.state

    def close(self) -> None:
        pass


def test_two_ports_of_a_machine_are_two_targets(site: Site) -> None:
    instance_id, group = running(site), site.target_group("one")
    register(site, group, (instance_id, 8080), (instance_id, 8081))
    assert health(site, group) == {8080: "unused", 8081: "unused"}


def test_a_group_that_no_rule_uses_is_unused_and_its_health_the_data_planes_otherwise(site: Site) -> None:
    plane = Health("initial")
    site.cloud.balancers = plane
    instance_id, group = running(site), site.target_group("one")
    register(site, group, (instance_id, 8080))
    assert health(site, group) == {8080: "unused"}
    rule = site.rule(10, group)
    assert health(site, group) == {8080: "initial"}
    plane.state = "healthy"
    assert health(site, group) == {8080: "healthy"}
    assert plane.asked[-1] == (group, f"{instance_id}:8080")
    site.client("elbv2").delete_rule(RuleArn=rule)
    assert health(site, group) == {8080: "unused"}


def test_a_deregistered_target_drains_for_its_groups_delay(site: Site) -> None:
    instance_id, group = running(site), site.target_group("one")
    register(site, group, (instance_id, 8080))
    site.client("elbv2").modify_target_group_attributes(
        TargetGroupArn=group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "30"}]
    )
    site.client("elbv2").deregister_targets(TargetGroupArn=group, Targets=[{"Id": instance_id}])
    assert health(site, group) == {8080: "draining"}
    site.pass_time(31)
    assert health(site, group) == {}


def test_a_terminated_machine_is_deregistered(site: Site) -> None:
    instance_id, group = running(site), site.target_group("one")
    register(site, group, (instance_id, 8080))
    site.client("ec2").terminate_instances(InstanceIds=[instance_id])
    site.cloud.settle()
    assert site.state(instance_id) == "terminated"
    assert health(site, group) == {8080: "draining"}


def test_a_machine_that_is_not_running_or_of_another_network_is_no_target(site: Site) -> None:
    group = site.target_group("one")
    with pytest.raises(ClientError, match="InvalidTarget"):
        register(site, group, ("i-0000000000000000f", 8080))
    instance_id = running(site)
    other: Any = site.client("ec2").create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    elsewhere = site.client("elbv2").create_target_group(Name="two", Protocol="HTTP", Port=8080, VpcId=other)["TargetGroups"][0]
    with pytest.raises(ClientError, match="InvalidTarget"):
        register(site, elsewhere["TargetGroupArn"], (instance_id, 8080))
    site.client("ec2").terminate_instances(InstanceIds=[instance_id])
    with pytest.raises(ClientError, match="InvalidTarget"):
        register(site, group, (instance_id, 8080))


def test_the_topology_has_rules_weights_targets_and_checks(site: Site) -> None:
    elbv2 = site.client("elbv2")
    instance_id = running(site)
    old, new = (
        site.target_group("old"),
        site.target_group("new", HealthCheckPath="/healthz", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2),
    )
    register(site, new, (instance_id, 8080))
    elbv2.create_rule(
        ListenerArn=site.listener_arn,
        Priority=7,
        Conditions=[
            {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a", "/a/*"]}},
            {"Field": "host-header", "Values": ["a.example.com"]},
        ],
        Actions=[
            {
                "Type": "forward",
                "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": old, "Weight": 0}, {"TargetGroupArn": new, "Weight": 1}]},
            }
        ],
    )
    (balancer,) = site.cloud.topology()
    (listener,) = balancer.listeners
    rule, default = listener.rules
    assert (rule.priority, rule.paths, rule.hosts, dict(rule.forward)) == (7, ("/a", "/a/*"), ("a.example.com",), {old: 0, new: 1})
    assert (default.priority, default.fixed) == (50_001, (404, "text/plain", ""))
    group = balancer.groups[new]
    target = group.targets[f"{instance_id}:8080"]
    assert (target.address, target.port, target.draining) == (site.machines.machines[instance_id].address, 8080, False)
    assert (group.check.path, group.check.interval_seconds, group.check.statuses) == ("/healthz", 5.0, frozenset({200}))
