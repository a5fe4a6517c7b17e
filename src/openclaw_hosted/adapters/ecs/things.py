"""What the older system consists of, found by the tags that prove it, and taken away.

The proof is looked at twice: when a thing is listed, and again right before it is removed. What belongs to a proved cluster (its services)
needs no tag of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from collections.abc import Mapping as AnyMapping
from typing import Any, Final, TypeVar

from openclaw_hosted.adapters.aws.sdk import Sdk
from openclaw_hosted.adapters.ecs import prices
from openclaw_hosted.adapters.ecs.calls import OldCall
from openclaw_hosted.adapters.ecs.mapping import Mapping
from openclaw_hosted.domain.errors import Conflict, NotFound
from openclaw_hosted.domain.old_things import OldThing, ThingKind

Body = AnyMapping[str, Any]
Item = TypeVar("Item")
GIB: Final = 1 << 30
TAGS_AT_ONCE: Final = 20
SECRET_DAYS: Final = 30
"""For so long a secret can be brought back."""


class OldThings:
    """Lists and removes them."""

    def __init__(self, sdk: Sdk, mapping: Mapping) -> None:
        self._sdk = sdk
        self._mapping = mapping
        self._listings: AnyMapping[ThingKind, Callable[[], AsyncIterator[OldThing]]] = {
            ThingKind.CLUSTER: self._cluster,
            ThingKind.SERVICE: self._cluster,
            ThingKind.TASK_DEFINITION: self._task_definitions,
            ThingKind.GROUP: self._groups,
            ThingKind.AUTO_SCALING_GROUP: self._scaling_groups,
            ThingKind.CAPACITY_PROVIDER: self._capacity_providers,
            ThingKind.LAUNCH_TEMPLATE: self._templates,
            ThingKind.NAT_GATEWAY: self._nat_gateways,
            ThingKind.ADDRESS: self._addresses,
            ThingKind.FILE_SYSTEM: self._file_systems,
            ThingKind.SECRET: self._secrets,
            ThingKind.LOG_GROUP: self._log_groups,
        }

    async def all(self) -> list[OldThing]:
        """All that are proved."""
        return [thing for listing in dict.fromkeys(self._listings.values()) async for thing in listing()]

    async def remove(self, thing: OldThing) -> bool:
        """Take it away, if it still is what it was. Whether it is gone."""
        ways: dict[ThingKind, Callable[[str], Awaitable[bool]]] = {
            ThingKind.SERVICE: self._remove_service,
            ThingKind.TASK_DEFINITION: self._remove_task_definition,
            ThingKind.GROUP: self._remove_group,
            ThingKind.AUTO_SCALING_GROUP: self._remove_scaling_group,
            ThingKind.CAPACITY_PROVIDER: self._remove_capacity_provider,
            ThingKind.CLUSTER: self._remove_cluster,
            ThingKind.LAUNCH_TEMPLATE: self._remove_template,
            ThingKind.NAT_GATEWAY: self._remove_nat_gateway,
            ThingKind.ADDRESS: self._remove_address,
            ThingKind.FILE_SYSTEM: self._remove_file_system,
            ThingKind.SECRET: self._remove_secret,
            ThingKind.LOG_GROUP: self._remove_log_group,
        }
        if not await self._is_there(thing):
            return True
        try:
            return await ways[thing.kind](thing.ref)
        except NotFound:
            return True

    async def _is_there(self, thing: OldThing) -> bool:
        """Whether it is still listed with its proof. Doubt never deletes."""
        if thing.kind is ThingKind.TASK_DEFINITION:
            return await self._task_definition(thing.ref) is not None
        return any([(each.kind, each.ref) == (thing.kind, thing.ref) async for each in self._listings[thing.kind]()])

    def _is_proved(self, tags: Sequence[Body] | None) -> bool:
        held = {str(tag.get("Key", tag.get("key"))): str(tag.get("Value", tag.get("value", ""))) for tag in tags or ()}
        return all(held.get(key) == value for key, value in self._mapping.proof.items())

    # --- ECS ---

    async def _cluster(self) -> AsyncIterator[OldThing]:
        answer = await self._sdk.call(OldCall.DESCRIBE_CLUSTERS, clusters=[self._mapping.cluster], include=["TAGS"])
        for cluster in answer["clusters"]:
            if cluster.get("status") == "ACTIVE" and self._is_proved(cluster.get("tags")):
                yield OldThing(ThingKind.CLUSTER, str(cluster["clusterArn"]), str(cluster["clusterName"]))
                async for thing in self._services(str(cluster["clusterArn"])):
                    yield thing

    async def _services(self, cluster: str) -> AsyncIterator[OldThing]:
        arns = [arn async for page in self._sdk.pages(OldCall.LIST_SERVICES, cluster=cluster) for arn in page["serviceArns"]]
        for few in in_parts(sorted(arns), 10):
            for service in (await self._sdk.call(OldCall.DESCRIBE_SERVICES, cluster=cluster, services=few))["services"]:
                if service.get("status") == "ACTIVE":
                    usd, note = await self._price_of(service)
                    yield OldThing(ThingKind.SERVICE, str(service["serviceArn"]), str(service["serviceName"]), usd, note)

    async def _price_of(self, service: Body) -> tuple[float, str]:
        tasks = int(service.get("desiredCount", 0))
        if service.get("launchType") != "FARGATE":
            return 0.0, f"{tasks} tasks on the Auto Scaling group's machines"
        task = (await self._sdk.call(OldCall.DESCRIBE_TASK_DEFINITION, taskDefinition=service["taskDefinition"]))["taskDefinition"]
        cpu, memory = int(task.get("cpu") or 0), int(task.get("memory") or 0)
        return prices.fargate(cpu, memory, tasks), f"{tasks} Fargate tasks of {cpu / 1024:g} processors and {memory / 1024:g} GiB"

    async def _task_definitions(self) -> AsyncIterator[OldThing]:
        async for page in self._sdk.pages(OldCall.LIST_TASK_DEFINITIONS, status="ACTIVE"):
            for arn in page["taskDefinitionArns"]:
                if (thing := await self._task_definition(str(arn))) is not None:
                    yield thing

    async def _task_definition(self, arn: str) -> OldThing | None:
        answer = await self._sdk.call(OldCall.DESCRIBE_TASK_DEFINITION, taskDefinition=arn, include=["TAGS"])
        active = answer["taskDefinition"].get("status") == "ACTIVE"
        return OldThing(ThingKind.TASK_DEFINITION, arn, arn.rpartition("/")[2]) if active and self._is_proved(answer.get("tags")) else None

    async def _capacity_providers(self) -> AsyncIterator[OldThing]:
        async for page in self._sdk.pages(OldCall.DESCRIBE_CAPACITY_PROVIDERS, include=["TAGS"]):
            for each in page["capacityProviders"]:
                if each.get("status") == "ACTIVE" and self._is_proved(each.get("tags")):
                    yield OldThing(ThingKind.CAPACITY_PROVIDER, str(each["capacityProviderArn"]), str(each["name"]))

    async def _remove_service(self, arn: str) -> bool:
        cluster = self._mapping.cluster
        await self._sdk.call(OldCall.UPDATE_SERVICE, cluster=cluster, service=arn, desiredCount=0)
        await self._sdk.call(OldCall.DELETE_SERVICE, cluster=cluster, service=arn, force=True)
        return True

    async def _remove_task_definition(self, arn: str) -> bool:
        await self._sdk.call(OldCall.DEREGISTER_TASK_DEFINITION, taskDefinition=arn)
        return True

    async def _remove_capacity_provider(self, arn: str) -> bool:
        cluster = self._mapping.cluster
        for body in (await self._sdk.call(OldCall.DESCRIBE_CLUSTERS, clusters=[cluster]))["clusters"]:
            kept = [name for name in body.get("capacityProviders", ()) if name != arn.rpartition("/")[2]]
            if body.get("status") == "ACTIVE" and len(kept) < len(body.get("capacityProviders", ())):
                await self._sdk.call(
                    OldCall.PUT_CAPACITY_PROVIDERS, cluster=cluster, capacityProviders=kept, defaultCapacityProviderStrategy=[]
                )
        await self._sdk.call(OldCall.DELETE_CAPACITY_PROVIDER, capacityProvider=arn)
        return True

    async def _remove_cluster(self, arn: str) -> bool:
        await self._sdk.call(OldCall.DELETE_CLUSTER, cluster=arn)
        return True

    # --- the load balancer ---

    async def _groups(self) -> AsyncIterator[OldThing]:
        arns = [str(each["TargetGroupArn"]) async for page in self._sdk.pages(OldCall.DESCRIBE_GROUPS) for each in page["TargetGroups"]]
        for few in in_parts(arns, TAGS_AT_ONCE):
            for each in (await self._sdk.call(OldCall.DESCRIBE_BALANCER_TAGS, ResourceArns=few))["TagDescriptions"]:
                if self._is_proved(each.get("Tags")):
                    arn = str(each["ResourceArn"])
                    yield OldThing(ThingKind.GROUP, arn, arn.split("/")[-2])

    async def _remove_group(self, arn: str) -> bool:
        await self._sdk.call(OldCall.DELETE_GROUP, TargetGroupArn=arn)
        return True

    # --- machines and network ---

    async def _scaling_groups(self) -> AsyncIterator[OldThing]:
        async for page in self._sdk.pages(OldCall.DESCRIBE_SCALING_GROUPS):
            for each in page["AutoScalingGroups"]:
                if self._is_proved(each.get("Tags")):
                    machines = [str(machine.get("InstanceType", "")) for machine in each.get("Instances", ())]
                    unknown = sorted({kind for kind in machines if kind not in prices.MACHINES})
                    usd = sum(prices.MACHINES.get(kind, 0.0) for kind in machines) * prices.HOURS
                    note = f"{len(machines)} machines" + (f"; no price is known of {', '.join(unknown)}" if unknown else "")
                    yield OldThing(
                        ThingKind.AUTO_SCALING_GROUP, str(each["AutoScalingGroupName"]), str(each["AutoScalingGroupName"]), usd, note
                    )

    async def _templates(self) -> AsyncIterator[OldThing]:
        async for page in self._sdk.pages(OldCall.DESCRIBE_TEMPLATES):
            for each in page["LaunchTemplates"]:
                if self._is_proved(each.get("Tags")):
                    yield OldThing(ThingKind.LAUNCH_TEMPLATE, str(each["LaunchTemplateId"]), str(each["LaunchTemplateName"]))

    async def _nat_gateways(self) -> AsyncIterator[OldThing]:
        async for page in self._sdk.pages(OldCall.DESCRIBE_NAT_GATEWAYS):
            for each in page["NatGateways"]:
                if each.get("State") != "deleted" and self._is_proved(each.get("Tags")):
                    usd = prices.NAT_GATEWAY * prices.HOURS
                    yield OldThing(ThingKind.NAT_GATEWAY, str(each["NatGatewayId"]), str(each["NatGatewayId"]), usd, "traffic comes on top")

    async def _addresses(self) -> AsyncIterator[OldThing]:
        for each in (await self._sdk.call(OldCall.DESCRIBE_ADDRESSES))["Addresses"]:
            if self._is_proved(each.get("Tags")):
                yield OldThing(ThingKind.ADDRESS, str(each["AllocationId"]), str(each["PublicIp"]), prices.ADDRESS * prices.HOURS)

    async def _remove_scaling_group(self, name: str) -> bool:
        """Its machines end with it, and it is listed until they have."""
        groups = (await self._sdk.call(OldCall.DESCRIBE_SCALING_GROUPS, AutoScalingGroupNames=[name]))["AutoScalingGroups"]
        if any(group.get("Status") is None for group in groups):
            await self._sdk.call(OldCall.DELETE_SCALING_GROUP, AutoScalingGroupName=name, ForceDelete=True)
        return not (await self._sdk.call(OldCall.DESCRIBE_SCALING_GROUPS, AutoScalingGroupNames=[name]))["AutoScalingGroups"]

    async def _remove_template(self, template_id: str) -> bool:
        await self._sdk.call(OldCall.DELETE_TEMPLATE, LaunchTemplateId=template_id)
        return True

    async def _remove_nat_gateway(self, gateway_id: str) -> bool:
        """Its address can be released only once it has ended."""
        await self._sdk.call(OldCall.DELETE_NAT_GATEWAY, NatGatewayId=gateway_id)
        left = (await self._sdk.call(OldCall.DESCRIBE_NAT_GATEWAYS, NatGatewayIds=[gateway_id]))["NatGateways"]
        return all(each.get("State") == "deleted" for each in left)

    async def _remove_address(self, allocation_id: str) -> bool:
        await self._sdk.call(OldCall.RELEASE_ADDRESS, AllocationId=allocation_id)
        return True

    # --- what is kept ---

    async def _file_systems(self) -> AsyncIterator[OldThing]:
        async for page in self._sdk.pages(OldCall.DESCRIBE_FILE_SYSTEMS):
            for each in page["FileSystems"]:
                if each.get("LifeCycleState") != "deleting" and self._is_proved(each.get("Tags")):
                    gib = int(each.get("SizeInBytes", {}).get("Value", 0)) / GIB
                    note = f"{gib:.1f} GiB: the states that users can go back to"
                    yield OldThing(ThingKind.FILE_SYSTEM, str(each["FileSystemId"]), str(each["FileSystemId"]), gib * prices.EFS_GIB, note)

    async def _secrets(self) -> AsyncIterator[OldThing]:
        async for page in self._sdk.pages(OldCall.LIST_SECRETS):
            for each in page["SecretList"]:
                if each.get("DeletedDate") is None and self._is_proved(each.get("Tags")):
                    note = f"can be brought back for {SECRET_DAYS} days"
                    yield OldThing(ThingKind.SECRET, str(each["ARN"]), str(each["Name"]), prices.SECRET, note)

    async def _log_groups(self) -> AsyncIterator[OldThing]:
        async for page in self._sdk.pages(OldCall.DESCRIBE_LOG_GROUPS):
            for each in page["logGroups"]:
                arn = str(each["arn"]).removesuffix(":*")
                tags = (await self._sdk.call(OldCall.LOG_GROUP_TAGS, resourceArn=arn)).get("tags", {})
                if self._is_proved([{"Key": key, "Value": value} for key, value in tags.items()]):
                    usd = int(each.get("storedBytes", 0)) / GIB * prices.LOG_GIB
                    yield OldThing(ThingKind.LOG_GROUP, str(each["logGroupName"]), str(each["logGroupName"]), usd)

    async def _remove_file_system(self, system_id: str) -> bool:
        targets = (await self._sdk.call(OldCall.DESCRIBE_MOUNT_TARGETS, FileSystemId=system_id))["MountTargets"]
        for target in targets:
            if target.get("LifeCycleState") != "deleting":
                await self._sdk.call(OldCall.DELETE_MOUNT_TARGET, MountTargetId=target["MountTargetId"])
        if targets and (await self._sdk.call(OldCall.DESCRIBE_MOUNT_TARGETS, FileSystemId=system_id))["MountTargets"]:
            return False
        try:
            await self._sdk.call(OldCall.DELETE_FILE_SYSTEM, FileSystemId=system_id)
        except Conflict:
            return False
        return True

    async def _remove_secret(self, arn: str) -> bool:
        await self._sdk.call(OldCall.DELETE_SECRET, SecretId=arn, RecoveryWindowInDays=SECRET_DAYS)
        return True

    async def _remove_log_group(self, name: str) -> bool:
        await self._sdk.call(OldCall.DELETE_LOG_GROUP, logGroupName=name)
        return True


def in_parts(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    """So many at a time."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
