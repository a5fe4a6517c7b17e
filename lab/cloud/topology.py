"""The load balancers as the data plane wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.cloud.propagation import Propagation
from lab.cloud.targets import forwards
from lab.plane.base import Balancer, Group, HealthCheck, Listener, Rule, Target

if TYPE_CHECKING:
    from lab.cloud.account import Account

DEFAULT_PRIORITY = 50_001
PORTS = {"HTTP": 80, "HTTPS": 443}


def topology(account: Account) -> tuple[Balancer, ...]:
    """All load balancers of the account."""
    with account.lock:
        return tuple(_balancer(account, each) for each in account.elbv2.load_balancers.values())


def _balancer(account: Account, found: Any) -> Balancer:
    listeners = tuple(_listener(account, each) for each in found.listeners.values())
    used = {arn for listener in listeners for rule in listener.rules for arn in rule.forward}
    groups = {arn: _group(account, arn) for arn in used if arn in account.elbv2.target_groups}
    idle = float(found.attrs.get("idle_timeout.timeout_seconds", 60))
    return Balancer(found.arn, found.dns_name, listeners, groups, idle)


def _group(account: Account, arn: str) -> Group:
    group = account.elbv2.target_groups[arn]
    targets = {
        row.key: Target(row.address, row.port, draining=row.draining_since is not None) for row in account.targets.of(account, arn).values()
    }
    return Group(arn, targets, _check(group))


def _check(group: Any) -> HealthCheck:
    port = group.health_check_port
    return HealthCheck(
        path=group.health_check_path or "/",
        port=None if port in {None, "traffic-port"} else int(port),
        interval_seconds=float(group.health_check_interval_seconds),
        timeout_seconds=float(group.health_check_timeout_seconds),
        healthy_threshold=int(group.healthy_threshold_count),
        unhealthy_threshold=int(group.unhealthy_threshold_count),
        statuses=statuses((group.matcher or {}).get("HttpCode", "200")),
    )


def statuses(codes: str) -> frozenset[int]:
    """Of a matcher such as `200,300-302`."""
    found: set[int] = set()
    for part in codes.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def _listener(account: Account, found: Any) -> Listener:
    """With the rules that are in force; its default rule always is."""
    default = [_rule(each) for each in found.rules.values() if each.priority == "default"]
    wanted = {each.arn: _rule(each) for each in found.rules.values() if each.priority != "default"}
    propagation = account.rules.setdefault(found.arn, Propagation())
    rules = sorted([*default, *propagation.follow(account, wanted)], key=lambda rule: rule.priority)
    return Listener(found.arn, int(found.port), tuple(rules))


def _rule(found: Any) -> Rule:
    paths: list[str] = []
    hosts: list[str] = []
    for condition in found.conditions:
        values = list(condition.get("Values") or [])
        if condition.get("Field") == "path-pattern":
            paths += values or condition["PathPatternConfig"]["Values"]
        elif condition.get("Field") == "host-header":
            hosts += values or condition["HostHeaderConfig"]["Values"]
    actions = [action.data if hasattr(action, "data") else action for action in found.actions]
    fixed = next((each["FixedResponseConfig"] for each in actions if each["Type"] == "fixed-response"), None)
    redirect = next((each["RedirectConfig"] for each in actions if each["Type"] == "redirect"), None)
    return Rule(
        priority=DEFAULT_PRIORITY if found.priority == "default" else int(found.priority),
        paths=tuple(paths),
        hosts=tuple(hosts),
        forward=forwards(actions),
        fixed=(int(fixed["StatusCode"]), fixed.get("ContentType", "text/plain"), fixed.get("MessageBody", "")) if fixed else None,
        redirect=(int(redirect["StatusCode"].removeprefix("HTTP_")), _location(redirect)) if redirect else None,
    )


def _location(redirect: Any) -> str:
    """With `#{protocol}` and the like left in, for what the request decides."""
    protocol = redirect.get("Protocol", "#{protocol}").lower()
    host, port = redirect.get("Host", "#{host}"), redirect.get("Port", "#{port}")
    path, query = redirect.get("Path", "/#{path}"), redirect.get("Query", "#{query}")
    return f"{protocol}://{host}:{port}{path}" + (f"?{query}" if query else "")
