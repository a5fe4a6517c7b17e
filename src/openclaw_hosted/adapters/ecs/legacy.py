"""`Legacy` on ECS: services, their secrets, and the rules that lead to them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from openclaw_hosted.adapters.aws.sdk import Sdk
from openclaw_hosted.adapters.ecs.calls import OldCall
from openclaw_hosted.adapters.ecs.mapping import Mapping
from openclaw_hosted.adapters.ecs.reading import Described, read_service
from openclaw_hosted.adapters.ecs.routes import held_actions, leading_actions, leads_to, rule_actions
from openclaw_hosted.adapters.ecs.things import OldThings, in_parts
from openclaw_hosted.domain.errors import Conflict, NotFound
from openclaw_hosted.domain.foreign import foreign_object
from openclaw_hosted.domain.migration import OldService, OldSettings
from openclaw_hosted.domain.old_state import read_settings
from openclaw_hosted.domain.old_things import OldThing
from openclaw_hosted.ports.legacy import OldStatus

SERVICES_AT_ONCE: Final = 10
TASKS_AT_ONCE: Final = 100
ENDED: Final = "STOPPED"
DRAIN: Final = "deregistration_delay.timeout_seconds"
Body = dict[str, Any]


class EcsLegacy:
    """The older system as one mapping finds it, in one account and region."""

    def __init__(self, sdk: Sdk, mapping: Mapping) -> None:
        self._sdk = sdk
        self._mapping = mapping
        self._things = OldThings(sdk, mapping)
        self._described: dict[str, Described] = {}

    async def services(self) -> Sequence[OldService]:
        """All users' services. None where the cluster is gone."""
        rules, found = await self._rules(), []
        self._described.clear()
        async for service in self._each_service():
            task = await self._task(str(service["taskDefinition"]))
            described = Described(service, task, _rule_of(service, rules), await self._folders(task), await self._drain_seconds(service))
            read = read_service(described, self._mapping)
            if read is not None:
                self._described[read.ref] = described
                found.append(read)
        _check_unique(found)
        return found

    async def settings(self, service: OldService) -> OldSettings:
        """Variables become credentials by the names that OpenClaw knows them by."""
        described = self._known(service)
        variables = await self._secrets(service, described)
        name, tags, environment = str(described.service["serviceName"]), described.tags, described.environment
        words = [find.word(name, tags, environment) if find else None for find in (self._mapping.provider, self._mapping.model)]
        return read_settings(variables, *words)

    async def status(self, service: OldService) -> OldStatus:
        """A task that was told to end is listed among those to be stopped until it has ended."""
        body = await self._service(service)
        left = 0
        for wanted in ("RUNNING", ENDED):
            pages = self._sdk.pages(OldCall.LIST_TASKS, cluster=self._mapping.cluster, serviceName=service.ref, desiredStatus=wanted)
            async for page in pages:
                left += await self._not_ended(list(page["taskArns"]))
        running, pending = int(body.get("runningCount", 0)), int(body.get("pendingCount", 0))
        return OldStatus(int(body["desiredCount"]), running, max(left, running + pending))

    async def scale(self, service: OldService, desired: int) -> None:
        """Have it run so many tasks."""
        await self._sdk.call(OldCall.UPDATE_SERVICE, cluster=self._mapping.cluster, service=service.ref, desiredCount=desired)

    async def route(self, service: OldService) -> str:
        """The rule and its actions, as JSON: a rule that holds or leads elsewhere no longer says whose it is."""
        if service.route is None:
            raise NotFound(f"No rule leads to the service of {service.user}.")
        rule = (await self._sdk.call(OldCall.DESCRIBE_RULES, RuleArns=[service.route]))["Rules"][0]
        actions = rule_actions(rule)
        if not any(action["Type"] == "forward" for action in actions):
            raise Conflict("The rule of the old address does not lead to the old service now. Put it back by hand first.")
        return json.dumps({"rule": service.route, "actions": actions}, sort_keys=True)

    async def hold(self, route: str) -> None:
        """The load balancer itself answers with a page."""
        await self._modify(route, held_actions(self._mapping.title, self._mapping.page))

    async def lead(self, route: str, url: str) -> None:
        """The old address sends browsers to the new one."""
        await self._modify(route, leading_actions(url))

    async def restore_route(self, route: str) -> None:
        """The actions as they were."""
        await self._modify(route, json.loads(route)["actions"])

    async def things(self) -> Sequence[OldThing]:
        """What the tags of the mapping prove to be the older system's."""
        return await self._things.all()

    async def remove(self, thing: OldThing) -> bool:
        """Take one away."""
        return await self._things.remove(thing)

    async def _each_service(self) -> AsyncIterator[Body]:
        cluster = self._mapping.cluster
        try:
            arns = [arn async for page in self._sdk.pages(OldCall.LIST_SERVICES, cluster=cluster) for arn in page["serviceArns"]]
        except NotFound:
            return
        for few in in_parts(sorted(arns), SERVICES_AT_ONCE):
            answer = await self._sdk.call(OldCall.DESCRIBE_SERVICES, cluster=cluster, services=few, include=["TAGS"])
            for service in answer["services"]:
                if service.get("status") == "ACTIVE":
                    yield dict(service)

    async def _service(self, service: OldService) -> Body:
        answer = await self._sdk.call(OldCall.DESCRIBE_SERVICES, cluster=self._mapping.cluster, services=[service.ref])
        if not answer["services"]:
            raise NotFound(f"The service of {service.user} is gone from the cluster {self._mapping.cluster}.")
        return dict(answer["services"][0])

    async def _not_ended(self, arns: list[str]) -> int:
        left = 0
        for few in in_parts(arns, TASKS_AT_ONCE):
            answer = await self._sdk.call(OldCall.DESCRIBE_TASKS, cluster=self._mapping.cluster, tasks=few)
            left += sum(task.get("lastStatus") != ENDED for task in answer["tasks"])
        return left

    async def _task(self, arn: str) -> Body:
        return dict((await self._sdk.call(OldCall.DESCRIBE_TASK_DEFINITION, taskDefinition=arn))["taskDefinition"])

    async def _folders(self, task: Body) -> dict[str, str]:
        """The folder that each access point of the task begins at."""
        found = {}
        for volume in task.get("volumes", ()):
            point = volume.get("efsVolumeConfiguration", {}).get("authorizationConfig", {}).get("accessPointId")
            if point:
                answer = await self._sdk.call(OldCall.DESCRIBE_ACCESS_POINTS, AccessPointId=point)
                found[point] = str(answer["AccessPoints"][0].get("RootDirectory", {}).get("Path", "/"))
        return found

    async def _drain_seconds(self, service: Body) -> float:
        """The longest of its target groups."""
        found = 0.0
        for arn in sorted(_groups_of(service)):
            answer = await self._sdk.call(OldCall.DESCRIBE_GROUP_ATTRIBUTES, TargetGroupArn=arn)
            found = max([found, *(float(each["Value"]) for each in answer["Attributes"] if each["Key"] == DRAIN)])
        return found

    async def _rules(self) -> list[Body]:
        rules = []
        for listener in self._mapping.listeners:
            async for page in self._sdk.pages(OldCall.DESCRIBE_RULES, ListenerArn=listener):
                rules += [rule for rule in page["Rules"] if not rule.get("IsDefault")]
        return rules

    async def _modify(self, route: str, actions: list[Body]) -> None:
        await self._sdk.call(OldCall.MODIFY_RULE, RuleArn=json.loads(route)["rule"], Actions=actions)

    async def _secrets(self, service: OldService, described: Described) -> dict[str, str]:
        """What the task gets from Secrets Manager, by the variable's name."""
        if service.secret is not None:
            document = foreign_object(await self._secret(service.secret))
            if document is None:
                raise Conflict(f"The secret {service.secret} is no JSON document of names and values.")
            return {str(name): value for name, value in document.items() if isinstance(value, str)}
        wanted = {str(each["name"]): str(each["valueFrom"]) for body in described.containers for each in body.get("secrets", ())}
        found: dict[str, str] = {}
        read: dict[str, str] = {}
        for name, source in wanted.items():
            parts = source.split(":")
            if ":secretsmanager:" not in source or len(parts) < 7:
                continue
            arn, key = ":".join(parts[:7]), parts[7] if len(parts) > 7 else ""
            if arn not in read:
                read[arn] = await self._secret(arn)
            value = read[arn] if not key else (foreign_object(read[arn]) or {}).get(key)
            if isinstance(value, str):
                found[name] = value
        return found

    async def _secret(self, name: str) -> str:
        return str((await self._sdk.call(OldCall.GET_SECRET, SecretId=name)).get("SecretString", ""))

    def _known(self, service: OldService) -> Described:
        if service.ref not in self._described:
            raise NotFound(f"The service of {service.user} was not listed.")
        return self._described[service.ref]


def _rule_of(service: Body, rules: list[Body]) -> Body | None:
    """The rule that leads to the service."""
    return next((rule for rule in rules if leads_to(rule) & _groups_of(service)), None)


def _groups_of(service: Body) -> set[str]:
    return {str(each["targetGroupArn"]) for each in service.get("loadBalancers", ()) if each.get("targetGroupArn")}


def _check_unique(services: Sequence[OldService]) -> None:
    names = [service.user for service in services]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Conflict(f"The mapping finds two services of {twice}. Make `user` in it more exact.")
