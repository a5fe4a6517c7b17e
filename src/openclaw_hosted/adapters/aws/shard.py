"""One load balancer: its rules and target groups, as far as they are the platform's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from openclaw_hosted.adapters.aws.errors import code_of
from openclaw_hosted.adapters.aws.names import PORT, Tag, as_tags, group_of
from openclaw_hosted.adapters.aws.rules import Rule, actions_to, conditions, first_priority, next_priority, read_rule, rule_paths
from openclaw_hosted.adapters.aws.sdk import Call, Sdk
from openclaw_hosted.domain.errors import Conflict, NoCapacity, NotFound
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.ports.router import Target

PRIORITY_TRIES: Final = 20
DEREGISTRATION_SECONDS: Final = 5
HEALTH_INTERVAL_SECONDS: Final = 5
HEALTH_TIMEOUT_SECONDS: Final = 3
PAGE: Final = 400
NOT_FOUND: Final = {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "Not found."}
BOOTSTRAP: Final = "/oc-*/.well-known/openclaw/browser-bootstrap"
ROOT_APIS: Final = (("/oc-*/api/v1/*", "/oc-*/v1/*"), ("/oc-*/tools/*", "/oc-*/hooks/*"))
"""What belongs to a gateway's owner and to the platform. Under an instance's prefix OpenClaw has none of it; should a version
ever have, it is not reachable. A rule takes five wildcards at most."""


Actions = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Shard:
    """Where a load balancer is, as it was found when the platform started."""

    listener: str
    balancer: str
    platform_group: str
    """The target group of its default action: the platform's own pages."""
    address: str
    """What users open, without a trailing slash."""


class ShardRules:
    """The calls about one shard's rules and target groups."""

    def __init__(self, sdk: Sdk, shard: Shard, deployment: str, vpc: str) -> None:
        self._sdk = sdk
        self._deployment = deployment
        self._vpc = vpc
        self.shard = shard

    async def ensure_own_rules(self) -> None:
        """Have the platform's own rules there: the way in for OpenClaw's page, and what nobody may reach."""
        platform: Actions = [{"Type": "forward", "TargetGroupArn": self.shard.platform_group}]
        nothing: Actions = [{"Type": "fixed-response", "FixedResponseConfig": NOT_FOUND}]
        wanted = [((BOOTSTRAP,), platform), *((paths, nothing) for paths in ROOT_APIS)]
        present = {tuple(rule_paths(body)) for body in await self._bodies()}
        for priority, (paths, actions) in enumerate(wanted, start=1):
            if paths not in present:
                condition = {"Field": "path-pattern", "PathPatternConfig": {"Values": list(paths)}}
                await self._create_rule([condition], actions, priority)

    async def rules(self) -> Sequence[Rule]:
        """The rules of all routes."""
        return [rule for body in await self._bodies() if (rule := read_rule(body)) is not None]

    async def ensure_group(self, target: Target) -> str:
        """The target group of a machine, with the machine in it; returns its ARN."""
        answer = await self._sdk.call(
            Call.CREATE_GROUP,
            Name=group_of(self._deployment, target.machine_id), Protocol="HTTP", Port=PORT, VpcId=self._vpc, TargetType="instance",
            HealthCheckProtocol="HTTP", HealthCheckPath="/healthz", HealthCheckPort="traffic-port", Matcher={"HttpCode": "200"},
            HealthCheckIntervalSeconds=HEALTH_INTERVAL_SECONDS, HealthCheckTimeoutSeconds=HEALTH_TIMEOUT_SECONDS,
            HealthyThresholdCount=2, UnhealthyThresholdCount=2,
            Tags=as_tags({Tag.DEPLOYMENT: self._deployment, Tag.MACHINE: target.machine_id}),
        )  # fmt: skip
        arn = str(answer["TargetGroups"][0]["TargetGroupArn"])
        drain = {"Key": "deregistration_delay.timeout_seconds", "Value": str(DEREGISTRATION_SECONDS)}
        await self._sdk.call(Call.MODIFY_GROUP, TargetGroupArn=arn, Attributes=[drain])
        await self._sdk.call(Call.REGISTER_TARGETS, TargetGroupArn=arn, Targets=[_registered(target)])
        return arn

    async def create(self, instance_id: InstanceId, group: str, host: str | None) -> Rule | None:
        """The rule of a route that is not marked yet; None where another control plane made it meanwhile."""
        made = await self._create_rule(conditions(instance_id, host), actions_to(group), first_priority(instance_id))
        return None if made is None else read_rule(made)

    async def modify(self, rule: Rule, wanted: Sequence[Mapping[str, Any]], actions: Sequence[Mapping[str, Any]]) -> None:
        """Change conditions and actions in one call. Raises `NotFound` where the rule is gone."""
        await self._sdk.call(Call.MODIFY_RULE, RuleArn=rule.arn, Conditions=list(wanted), Actions=list(actions))

    async def delete(self, rule: Rule) -> None:
        """Deregister what it leads to, delete the rule, then the target group of the machine."""
        group = rule.group(self._deployment)
        if group is not None:
            await self.deregister(group)
        with suppress(NotFound):
            await self._sdk.call(Call.DELETE_RULE, RuleArn=rule.arn)
        if group is not None:
            await self.delete_group(group)

    async def deregister(self, group: str) -> None:
        """Take the machine out of its target group."""
        with suppress(NotFound):
            ref = await self._registered_ref(group)
            if ref is not None:
                await self._sdk.call(Call.DEREGISTER_TARGETS, TargetGroupArn=group, Targets=[{"Id": ref, "Port": PORT}])

    async def delete_group(self, group: str) -> None:
        """Delete a target group. Raises `Conflict` while a rule uses it; does nothing where it is gone."""
        with suppress(NotFound):
            await self._sdk.call(Call.DELETE_GROUP, TargetGroupArn=group)

    async def _registered_ref(self, group: str) -> str | None:
        health = await self._sdk.call(Call.DESCRIBE_HEALTH, TargetGroupArn=group)
        return next((str(each["Target"]["Id"]) for each in health["TargetHealthDescriptions"]), None)

    async def _bodies(self) -> list[Mapping[str, Any]]:
        pages = self._sdk.pages(Call.DESCRIBE_RULES, ListenerArn=self.shard.listener, PageSize=PAGE)
        return [body async for page in pages for body in page["Rules"]]

    async def _create_rule(self, wanted: list[dict[str, Any]], actions: Actions, priority: int) -> Mapping[str, Any] | None:
        """Another rule may have any priority, and another control plane may take it at the same moment: then the next is tried."""
        paths = tuple(rule_paths({"Conditions": wanted}))
        for _ in range(PRIORITY_TRIES):
            try:
                answer = await self._sdk.call(
                    Call.CREATE_RULE, ListenerArn=self.shard.listener, Priority=priority, Conditions=wanted, Actions=actions,
                    Tags=as_tags({Tag.DEPLOYMENT: self._deployment}),
                )  # fmt: skip
            except Conflict as problem:
                if code_of(problem) != "PriorityInUse":
                    raise
                if any(tuple(rule_paths(body)) == paths for body in await self._bodies()):
                    return None
                priority = next_priority(priority)
            else:
                return next(iter(answer["Rules"]), None)
        raise NoCapacity(f"No free priority was found for a rule of listener {self.shard.listener}.")


def _registered(target: Target) -> dict[str, Any]:
    return {"Id": target.provider_ref, "Port": PORT}
