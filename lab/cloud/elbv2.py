"""Target groups and listener rules with AWS's limits, weights and transforms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lab.cloud.calls import Call
from lab.cloud.describe import page
from lab.cloud.operations import moto, operation
from lab.cloud.refused import Refused
from lab.cloud.targets import forwards, users

if TYPE_CHECKING:
    from lab.cloud.account import Account

MOST_RULES = 100
"""Per load balancer, the default rules not counted; adjustable."""
MOST_GROUPS = 100
"""Per load balancer, each counted once; not adjustable."""
MOST_VALUES = 5
MOST_WILDCARDS = 5
PAGE = 400
DEFAULTS: Mapping[str, Any] = {
    "HealthCheckIntervalSeconds": 30,
    "HealthCheckTimeoutSeconds": 5,
    "HealthyThresholdCount": 5,
    "UnhealthyThresholdCount": 2,
    "HealthCheckPath": "/",
    "HealthCheckEnabled": True,
    "TargetType": "instance",
}


@operation("elbv2", "CreateTargetGroup")
def create_target_group(account: Account, call: Call) -> Any:
    """Make a group; again with the same settings is the same group, with others `DuplicateTargetGroupName`."""
    params = call.params
    known = next((each for each in account.elbv2.target_groups.values() if each.name == params["Name"]), None)
    if known is not None:
        if getattr(known, "lab_settings", None) != _settings(params):
            raise Refused(
                "DuplicateTargetGroupName", f"A target group with the same name '{params['Name']}' exists, but with different settings"
            )
        return {"TargetGroups": [known]}
    call.response.params = {**_with_defaults(params)}
    answer = moto(call)
    answer.result["TargetGroups"][0].lab_settings = _settings(params)
    return answer


def _with_defaults(params: Mapping[str, Any]) -> dict[str, Any]:
    if params.get("Protocol") not in {"HTTP", "HTTPS"}:
        return dict(params)
    return {**DEFAULTS, **params}


def _settings(params: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in _with_defaults(params).items() if key != "Tags"}


@operation("elbv2", "DeleteTargetGroup")
def delete_target_group(account: Account, call: Call) -> Any:
    """Remove a group that no rule uses; one that is not there is no error."""
    arn = call.params["TargetGroupArn"]
    if any(users(account, arn)):
        raise Refused("ResourceInUse", f"Target group '{arn}' is currently in use by a listener or a rule")
    account.elbv2.target_groups.pop(arn, None)
    account.targets.groups.pop(arn, None)
    return {}


@operation("elbv2", "DescribeTargetGroups")
def describe_target_groups(account: Account, call: Call) -> Any:
    """List groups, with the load balancers that use them now."""
    params = call.params
    groups = account.elbv2.describe_target_groups(None, params.get("TargetGroupArns") or [], params.get("Names") or [])
    for group in groups:
        group.load_balancer_arns = sorted({listener.load_balancer_arn for listener in users(account, group.arn)})
    if wanted := params.get("LoadBalancerArn"):
        groups = [group for group in groups if wanted in group.load_balancer_arns]
    shown, marker = page(groups, params, key=lambda group: group.arn, most=PAGE, size="PageSize", token="Marker")
    return {"TargetGroups": shown, "NextMarker": marker}


@operation("elbv2", "CreateRule")
def create_rule(account: Account, call: Call) -> Any:
    """Make a rule within the limits of its load balancer; `Transforms` are kept."""
    params = call.params
    listener = _listener(account, params["ListenerArn"])
    priority = int(params["Priority"])
    if any(str(rule.priority) == str(priority) for rule in listener.rules.values()):
        raise Refused("PriorityInUse", f"Priority '{priority}' is currently in use")
    _check_conditions(params["Conditions"])
    _check_limits(account, listener, params["Actions"], new_rules=1)
    answer = moto(call)
    rule = answer.result["Rules"][0]
    rule.transforms = params.get("Transforms") or []
    return answer


@operation("elbv2", "ModifyRule")
def modify_rule(account: Account, call: Call) -> Any:
    """Change a rule in one step, within the limits."""
    params = call.params
    listener, rule = _rule(account, params["RuleArn"])
    if params.get("Conditions"):
        _check_conditions(params["Conditions"])
    if params.get("Actions"):
        _check_limits(account, listener, params["Actions"], without=rule)
    answer = moto(call) if params.get("Conditions") or params.get("Actions") else {"Rules": [rule]}
    if params.get("ResetTransforms"):
        rule.transforms = []
    elif params.get("Transforms"):
        rule.transforms = params["Transforms"]
    return answer


@operation("elbv2", "DeleteRule")
def delete_rule(account: Account, call: Call) -> Any:
    """Remove a rule. Source: API reference, DeleteRule: one that is not there is an error, and a default one stays."""
    _, rule = _rule(account, call.params["RuleArn"])
    if rule.priority == "default":
        raise Refused("OperationNotPermitted", f"Default rule '{rule.arn}' cannot be deleted")
    return moto(call)


@operation("elbv2", "DescribeRules")
def describe_rules(account: Account, call: Call) -> Any:
    """List rules in the order of their priority, the default one last."""
    params = call.params
    if wanted := params.get("RuleArns"):
        rules = [_rule(account, arn)[1] for arn in wanted]
    elif params.get("ListenerArn"):
        rules = list(_listener(account, params["ListenerArn"]).rules.values())
        rules.sort(key=lambda rule: (rule.priority == "default", 0 if rule.priority == "default" else int(rule.priority)))
    else:
        raise Refused("ValidationError", "You must specify either listener rule ARNs or a listener ARN")
    shown, marker = page(rules, params, key=lambda rule: str(rule.arn), most=PAGE, size="PageSize", token="Marker")
    return {"Rules": shown, "NextMarker": marker}


def _listener(account: Account, arn: str) -> Any:
    for balancer in account.elbv2.load_balancers.values():
        if arn in balancer.listeners:
            return balancer.listeners[arn]
    raise Refused("ListenerNotFound", f"One or more listeners not found: '{arn}'")


def _rule(account: Account, arn: str) -> tuple[Any, Any]:
    for balancer in account.elbv2.load_balancers.values():
        for listener in balancer.listeners.values():
            for rule in listener.rules.values():
                if rule.arn == arn:
                    return listener, rule
    raise Refused("RuleNotFound", "One or more rules not found")


def _check_conditions(conditions: Any) -> None:
    values: list[str] = []
    for condition in conditions:
        of_field = condition.get("Values") or []
        for key, config in condition.items():
            if key.endswith("Config"):
                of_field = [*of_field, *(config.get("Values") or [])]
        values += [each if isinstance(each, str) else str(each.get("Value", "")) for each in of_field]
    if len(values) > MOST_VALUES:
        raise Refused("ValidationError", f"A rule can only have '{MOST_VALUES}' condition values")
    if sum(value.count("*") + value.count("?") for value in values) > MOST_WILDCARDS:
        raise Refused("ValidationError", f"A rule can only have '{MOST_WILDCARDS}' wildcards")


def _check_limits(account: Account, listener: Any, actions: Any, *, new_rules: int = 0, without: Any = None) -> None:
    balancer = account.elbv2.load_balancers[listener.load_balancer_arn]
    rules = [rule for each in balancer.listeners.values() for rule in each.rules.values()]
    if new_rules and sum(rule.priority != "default" for rule in rules) + new_rules > MOST_RULES:
        raise Refused("TooManyRules", "The maximum number of rules has been reached")
    groups = {arn for rule in rules if rule is not without for arn in forwards(rule.actions)}
    if len(groups | set(forwards(actions))) > MOST_GROUPS:
        raise Refused(
            "TooManyUniqueTargetGroupsPerLoadBalancer", "You've reached the limit on the number of unique target groups per load balancer"
        )
