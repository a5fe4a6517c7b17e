"""What a listener rule says: which instance it leads to, over which target group, and for whom.

A rule carries all that the platform has to know of a route, so that one call writes it and one listing reads it. A spare's rule leads to
its machine already: the gateway there keeps closed until it has an owner. A marked rule has one path value more, below the instance's own
prefix and so without effect: generation and owner.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from openclaw_hosted.adapters.aws.names import machine_of_group, name_of_group
from openclaw_hosted.domain.naming import INSTANCE_ID_PATTERN, InstanceId, UserId, base_path
from openclaw_hosted.ports.router import Route

BOUND: Final = re.compile(rf"/{INSTANCE_ID_PATTERN}/\.bound/(\d+)/([\w-]+)")
BASE: Final = re.compile(rf"/({INSTANCE_ID_PATTERN})")
FIRST_PRIORITY: Final = 100
"""Below are the platform's own rules."""
LAST_PRIORITY: Final = 49_999
ALL_TO: Final = 100


@dataclass(frozen=True, slots=True)
class Rule:
    """A route's rule as a listener has it."""

    arn: str
    instance_id: InstanceId
    groups: Mapping[str, int]
    """Target group ARN to weight."""
    generation: int = 0
    owner_id: UserId | None = None
    """None: not marked yet."""

    def leads_to(self, deployment: str, group_name: str) -> bool:
        """Whether requests go to the target group of this name. A held route gives it no weight, nor do a spare's rules of
        an earlier version."""
        group = self.group(deployment)
        return group is not None and name_of_group(group) == group_name and self.groups[group] > 0

    def group(self, deployment: str) -> str | None:
        """The target group of the machine that it leads to, or will."""
        return next((arn for arn in self.groups if machine_of_group(deployment, name_of_group(arn)) is not None), None)

    def route(self, deployment: str) -> Route | None:
        """As the port has it; None where it leads to no machine."""
        group = self.group(deployment)
        machine_id = machine_of_group(deployment, name_of_group(group)) if group else None
        return Route(self.instance_id, machine_id, self.owner_id, self.generation) if machine_id else None


def actions_to(group: str) -> list[dict[str, Any]]:
    """All to the machine."""
    return [{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": group, "Weight": ALL_TO}]}}]


def held_actions(group: str, platform_group: str) -> list[dict[str, Any]]:
    """All to the platform; the machine's target group stays named."""
    groups = [{"TargetGroupArn": group, "Weight": 0}, {"TargetGroupArn": platform_group, "Weight": ALL_TO}]
    return [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]


def conditions(instance_id: InstanceId, host: str | None, bound: tuple[int, UserId] | None = None) -> list[dict[str, Any]]:
    """When a rule holds: `/{id}` itself, which OpenClaw's page opens its WebSocket at, and all below it; on `host` only, if given."""
    base = base_path(instance_id)
    values = [base, f"{base}/*", *([f"{base}/.bound/{bound[0]}/{bound[1]}"] if bound else [])]
    paths: list[dict[str, Any]] = [{"Field": "path-pattern", "PathPatternConfig": {"Values": values}}]
    return [*paths, *([{"Field": "host-header", "HostHeaderConfig": {"Values": [host]}}] if host else [])]


def read_rule(body: Mapping[str, Any]) -> Rule | None:
    """A rule in the API's shape; None for one that is no route of ours."""
    paths = rule_paths(body)
    instance_id = next((found[1] for path in paths if (found := BASE.fullmatch(path))), None)
    if instance_id is None:
        return None
    bound = next((found for path in paths if (found := BOUND.fullmatch(path))), None)
    generation, owner_id = (int(bound[1]), UserId(bound[2])) if bound else (0, None)
    return Rule(str(body["RuleArn"]), InstanceId(instance_id), _groups(body.get("Actions", ())), generation, owner_id)


def rule_paths(body: Mapping[str, Any]) -> list[str]:
    """The path values of a rule in the API's shape."""
    found = [condition for condition in body.get("Conditions", ()) if condition.get("Field") == "path-pattern"]
    return [value for each in found for value in each.get("PathPatternConfig", {}).get("Values") or each.get("Values", ())]


def first_priority(instance_id: InstanceId) -> int:
    """Where a rule is tried first: spread, so that two rules seldom want the same, and the same for the same id."""
    return FIRST_PRIORITY + zlib.crc32(instance_id.encode()) % (LAST_PRIORITY - FIRST_PRIORITY)


def next_priority(priority: int) -> int:
    """Where it is tried next."""
    return priority + 1 if priority < LAST_PRIORITY else FIRST_PRIORITY


def _groups(actions: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    for action in actions:
        if action.get("Type") == "forward":
            groups = action.get("ForwardConfig", {}).get("TargetGroups") or [{"TargetGroupArn": action["TargetGroupArn"], "Weight": ALL_TO}]
            return {str(group["TargetGroupArn"]): int(group.get("Weight", ALL_TO)) for group in groups}
    return {}
