"""What listeners and target groups do on AWS, and bare moto does not."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab.cloud.support import Site

REWRITE = [{"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/a/(.*)$", "Replace": "/$1"}]}}]


def fixed() -> list[dict[str, Any]]:
    return [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain"}}]


def create_rule(site: Site, priority: int, values: list[str] | None = None, actions: Any = None, **asked: Any) -> Any:
    made = site.client("elbv2").create_rule(
        ListenerArn=site.listener_arn,
        Priority=priority,
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": values or ["/x"]}}],
        Actions=actions or fixed(),
        **asked,
    )
    return made["Rules"][0]


def rules(site: Site) -> list[Any]:
    return list(site.client("elbv2").describe_rules(ListenerArn=site.listener_arn)["Rules"])


def test_a_rule_keeps_its_transforms(site: Site) -> None:
    made = create_rule(site, 5, Transforms=REWRITE)
    assert made["Transforms"] == REWRITE
    assert rules(site)[0]["Transforms"] == REWRITE
    site.client("elbv2").modify_rule(RuleArn=made["RuleArn"], ResetTransforms=True)
    assert not rules(site)[0].get("Transforms")


def test_weights_are_kept_nought_included_and_changed_in_one_call(site: Site) -> None:
    old, new = site.target_group("old"), site.target_group("new")

    def forward(*weights: int) -> list[dict[str, Any]]:
        groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in zip((old, new), weights, strict=True)]
        return [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]

    made = create_rule(site, 5, actions=forward(1, 0))
    site.client("elbv2").modify_rule(RuleArn=made["RuleArn"], Actions=forward(0, 1))
    shown = rules(site)[0]["Actions"][0]["ForwardConfig"]["TargetGroups"]
    assert {each["TargetGroupArn"]: each["Weight"] for each in shown} == {old: 0, new: 1}


def test_rules_come_in_the_order_of_their_priority_in_pages_the_default_last(site: Site) -> None:
    for priority in (30, 10, 20):
        create_rule(site, priority)
    assert [rule["Priority"] for rule in rules(site)] == ["10", "20", "30", "default"]
    pages = site.client("elbv2").get_paginator("describe_rules").paginate(ListenerArn=site.listener_arn, PaginationConfig={"PageSize": 3})
    assert [[rule["Priority"] for rule in page["Rules"]] for page in pages] == [["10", "20", "30"], ["default"]]


def test_a_priority_is_used_once(site: Site) -> None:
    create_rule(site, 5)
    with pytest.raises(ClientError, match="PriorityInUse"):
        create_rule(site, 5)


def test_a_load_balancer_has_a_hundred_rules_at_most(site: Site) -> None:
    for priority in range(1, 101):
        create_rule(site, priority)
    with pytest.raises(ClientError, match="TooManyRules"):
        create_rule(site, 101)


def test_a_load_balancer_uses_a_hundred_target_groups_at_most(site: Site) -> None:
    groups = [site.target_group(f"group-{number}") for number in range(101)]
    for number in range(20):
        five = [{"TargetGroupArn": arn} for arn in groups[number * 5 : number * 5 + 5]]
        create_rule(site, number + 1, actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": five}}])
    with pytest.raises(ClientError, match="TooManyUniqueTargetGroupsPerLoadBalancer"):
        site.rule(50, groups[100])
    site.rule(51, groups[0])


def test_a_rule_has_five_values_and_five_wildcards_at_most(site: Site) -> None:
    create_rule(site, 1, ["/a", "/b", "/c", "/d", "/e"])
    with pytest.raises(ClientError, match="condition values"):
        create_rule(site, 2, ["/a", "/b", "/c", "/d", "/e", "/f"])
    create_rule(site, 3, ["/*/*/*/*/*"])
    with pytest.raises(ClientError, match="wildcards"):
        create_rule(site, 4, ["/*/*/*/*/*/?"])


def test_a_target_group_that_a_rule_uses_is_not_deleted(site: Site) -> None:
    group = site.target_group("one")
    rule = site.rule(5, group)
    with pytest.raises(ClientError, match="ResourceInUse"):
        site.client("elbv2").delete_target_group(TargetGroupArn=group)
    site.client("elbv2").delete_rule(RuleArn=rule)
    site.client("elbv2").delete_target_group(TargetGroupArn=group)
    site.client("elbv2").delete_target_group(TargetGroupArn=group)
    assert site.cloud.inventory()["target_groups"] == 0


def test_a_rule_that_is_gone_is_not_deleted_again_and_the_default_one_never(site: Site) -> None:
    elbv2 = site.client("elbv2")
    rule = site.rule(5, site.target_group("one"))
    elbv2.delete_rule(RuleArn=rule)
    with pytest.raises(ClientError, match="RuleNotFound"):
        elbv2.delete_rule(RuleArn=rule)
    (default,) = elbv2.describe_rules(ListenerArn=site.listener_arn)["Rules"]
    with pytest.raises(ClientError, match="OperationNotPermitted"):
        elbv2.delete_rule(RuleArn=default["RuleArn"])


def test_the_same_target_group_again_is_the_same_and_with_other_settings_a_duplicate(site: Site) -> None:
    group = site.target_group("one", HealthCheckPath="/healthz")
    assert site.target_group("one", HealthCheckPath="/healthz") == group
    with pytest.raises(ClientError, match="DuplicateTargetGroupName"):
        site.target_group("one", HealthCheckPath="/other")


def test_a_group_names_the_load_balancers_that_use_it_now(site: Site) -> None:
    group = site.target_group("one")

    def used_by() -> Any:
        return site.client("elbv2").describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]["LoadBalancerArns"]

    assert used_by() == []
    rule = site.rule(5, group)
    assert used_by() == [site.balancer_arn]
    site.client("elbv2").delete_rule(RuleArn=rule)
    assert used_by() == []


def test_target_groups_come_in_pages(site: Site) -> None:
    made = {site.target_group(f"group-{number}") for number in range(7)}
    pages = site.client("elbv2").get_paginator("describe_target_groups").paginate(PaginationConfig={"PageSize": 3})
    listed = [[each["TargetGroupArn"] for each in page["TargetGroups"]] for page in pages]
    assert [len(page) for page in listed] == [3, 3, 1]
    assert {arn for page in listed for arn in page} == made


def test_a_rule_is_in_force_a_while_after_it_was_made_changed_or_deleted(site: Site) -> None:
    site.cloud.delays.rule_seconds = (1.0, 20.0)

    def in_force() -> list[tuple[str, ...]]:
        (balancer,) = site.cloud.topology()
        return [rule.paths for listener in balancer.listeners for rule in listener.rules if rule.paths]

    made = create_rule(site, 5, ["/x"])
    assert in_force() == []
    site.now[0] += 20
    assert in_force() == [("/x",)]
    path = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/y"]}}
    site.client("elbv2").modify_rule(RuleArn=made["RuleArn"], Conditions=[path])
    assert in_force() == [("/x",)]
    site.now[0] += 20
    assert in_force() == [("/y",)]
    site.client("elbv2").delete_rule(RuleArn=made["RuleArn"])
    assert in_force() == [("/y",)]
    site.now[0] += 20
    assert in_force() == []
