"""What `doctor` looks at in an AWS account: each setting against what is really there, and permissions by dry run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from openclaw_hosted.adapters.aws.account import find_image, find_network, find_place, find_shards
from openclaw_hosted.adapters.aws.bucket import Bucket
from openclaw_hosted.adapters.aws.errors import code_of
from openclaw_hosted.adapters.aws.names import MACHINE_NAME, Tag, as_tags, filters, from_tags
from openclaw_hosted.adapters.aws.sdk import Call, Sdk
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.bootstrap.aws import aws_sdk
from openclaw_hosted.bootstrap.doctor.capacity import QUOTAS_FIX, TYPES_FIX, Demand, check_types
from openclaw_hosted.bootstrap.doctor.computer import Doubtful, Finding, Verdict
from openclaw_hosted.bootstrap.doctor.edge import examine_edge
from openclaw_hosted.domain.errors import Denied, PortError
from openclaw_hosted.settings import Settings, SettingsError
from openclaw_hosted.settings_aws import AwsSettings, load_aws_settings

ALLOWED: Final = "DryRunOperation"
Check = Callable[[Sdk, AwsSettings], Awaitable[str]]
"""Returns what was found; raises `PortError` for what is wrong, `Doubtful` for what works and should be seen to."""


async def examine_aws(settings: Settings) -> Sequence[Finding]:
    """All checks. Without good settings there is nothing to look at."""
    try:
        aws = load_aws_settings()
    except SettingsError as problem:
        return [Finding("aws settings", Verdict.PROBLEM, str(problem), "Set the variables that are named; docs/aws.md lists them all.")]
    checks = {**CHECKS, "aws quotas": (Demand(settings.spares, settings.fleet_cap).check, QUOTAS_FIX)}
    async with aws_sdk(aws, SystemClock()) as sdk:
        findings = [await _finding(name, check, fix, sdk, aws) for name, (check, fix) in checks.items()]
    return findings if aws.has_balancers else [*findings, *await examine_edge(settings)]


async def _finding(name: str, check: Check, fix: str, sdk: Sdk, aws: AwsSettings) -> Finding:
    try:
        return Finding(name, Verdict.OK, await check(sdk, aws))
    except Doubtful as warning:
        return Finding(name, Verdict.WARNING, str(warning), fix)
    except PortError as problem:
        return Finding(name, Verdict.PROBLEM, str(problem), fix)


async def _account(sdk: Sdk, aws: AwsSettings) -> str:
    place = await find_place(sdk, aws.region)
    return f"account {place.account}, region {place.region}"


async def _subnets(sdk: Sdk, aws: AwsSettings) -> str:
    network = await find_network(sdk, aws.vpc, aws.subnets)
    if len(network.subnets) < 2:
        raise PortError(
            f"All subnets are in zone {next(iter(network.subnets))}: when Spot capacity ends there, no machine can be launched."
        )
    return f"{len(aws.subnets)} subnets in {', '.join(sorted(network.subnets))}"


async def _addresses(sdk: Sdk, aws: AwsSettings) -> str:
    """Whether machines find a way out, by what the template of fleets gives them."""
    answer = await sdk.call(Call.DESCRIBE_TEMPLATE_VERSIONS, LaunchTemplateId=aws.fleet_template, Versions=["$Latest"])
    interfaces = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"].get("NetworkInterfaces", ())
    has_ipv6 = any(each.get("Ipv6AddressCount") for each in interfaces)
    if aws.addresses == "ipv4":
        if has_ipv6 and not any(each.get("AssociatePublicIpAddress") for each in interfaces):
            raise PortError(f"{aws.fleet_template} gives machines IPv6 only, and MACHINE_ADDRESSES is ipv4: estimates are wrong.")
        return "a public IPv4 address for each machine"
    if not has_ipv6:
        raise PortError(f"MACHINE_ADDRESSES is ipv6, and {aws.fleet_template} gives machines no IPv6 address: they would reach nothing.")
    if ".dkr-ecr." not in aws.repository:
        raise PortError(f"ECR_REPOSITORY_URL: {aws.repository} has no IPv6 address: give ACCOUNT.dkr-ecr.REGION.on.aws/REPOSITORY.")
    subnets = (await sdk.call(Call.DESCRIBE_SUBNETS, SubnetIds=list(aws.subnets)))["Subnets"]
    without = [subnet["SubnetId"] for subnet in subnets if not subnet.get("Ipv6CidrBlockAssociationSet")]
    if without:
        raise PortError(f"MACHINE_ADDRESSES is ipv6, and these subnets have no IPv6 addresses: {', '.join(sorted(without))}.")
    return "IPv6 only"


async def _security_group(sdk: Sdk, aws: AwsSettings) -> str:
    (group,) = (await sdk.call(Call.DESCRIBE_SECURITY_GROUPS, GroupIds=[aws.security_group]))["SecurityGroups"]
    if group["VpcId"] != aws.vpc:
        raise PortError(f"{aws.security_group} belongs to {group['VpcId']}, not to VPC_ID={aws.vpc}.")
    return f"{aws.security_group} is in the VPC"


async def _template(sdk: Sdk, aws: AwsSettings) -> str:
    found = []
    for template in dict.fromkeys((aws.launch_template, aws.fleet_template)):
        answer = await sdk.call(Call.DESCRIBE_TEMPLATE_VERSIONS, LaunchTemplateId=template, Versions=["$Latest"])
        version = answer["LaunchTemplateVersions"][0]
        data = version["LaunchTemplateData"]
        problems = [*_template_problems(data, aws), *(_fleet_problems(data) if template == aws.fleet_template else ())]
        if problems:
            raise PortError(f"{template}: {'; '.join(problems)}")
        found.append(f"{template}, version {version['VersionNumber']}")
    return "; ".join(found)


def _fleet_problems(data: dict[str, Any]) -> Sequence[str]:
    """What CreateFleet may not take from a template, as it is given it with each call."""
    checks = {
        "a template for fleets has no market options (give another one as FLEET_TEMPLATE_ID)": "InstanceMarketOptions" not in data,
        "a template for fleets has no subnet (give another one as FLEET_TEMPLATE_ID)": not any(
            interface.get("SubnetId") for interface in data.get("NetworkInterfaces", ())
        ),
    }
    return [problem for problem, holds in checks.items() if not holds]


def _template_problems(data: dict[str, Any], aws: AwsSettings) -> Sequence[str]:
    metadata = data.get("MetadataOptions", {})
    disks = [mapping.get("Ebs", {}) for mapping in data.get("BlockDeviceMappings", ())]
    tags = {each["ResourceType"]: from_tags(each.get("Tags")) for each in data.get("TagSpecifications", ())}
    wanted = {Tag.NAME: MACHINE_NAME, Tag.DEPLOYMENT: aws.deployment}
    checks = {
        "metadata has to require tokens (HttpTokens=required)": metadata.get("HttpTokens") == "required",
        "the metadata hop limit has to be 1, or tenants' containers reach the machine's role": metadata.get("HttpPutResponseHopLimit") == 1,
        "tags have to be allowed in metadata (InstanceMetadataTags=enabled)": metadata.get("InstanceMetadataTags") == "enabled",
        "a data volume that outlives its machine is missing (DeleteOnTermination=false)": any(
            disk.get("DeleteOnTermination") is False for disk in disks
        ),
        f"instances and volumes need the tags {wanted}": all(
            wanted.items() <= tags.get(kind, {}).items() for kind in ("instance", "volume")
        ),
    }
    return [problem for problem, holds in checks.items() if not holds]


async def _listeners(sdk: Sdk, aws: AwsSettings) -> str:
    if not aws.has_balancers:
        return "none: users reach the edge of this machine"
    shards = await find_shards(sdk, aws.listeners, aws.shard_urls)
    answer = await sdk.call(Call.DESCRIBE_BALANCERS, LoadBalancerArns=list(dict.fromkeys(shard.balancer for shard in shards)))
    down = [each["LoadBalancerName"] for each in answer["LoadBalancers"] if each.get("State", {}).get("Code", "active") != "active"]
    if down:
        raise PortError(f"Not active: {', '.join(down)}.")
    return f"{len(shards)} of them, planned for {aws.shard_capacity} routes each"


async def _image(sdk: Sdk, aws: AwsSettings) -> str:
    return await find_image(sdk, aws.repository, aws.image_tag)


async def _log_group(sdk: Sdk, aws: AwsSettings) -> str:
    if aws.log_group is None:
        return "none: what gateways print stays on their machines"
    pages = sdk.pages(Call.DESCRIBE_LOG_GROUPS, logGroupNamePrefix=aws.log_group)
    found = [group async for page in pages for group in page["logGroups"] if group["logGroupName"] == aws.log_group]
    if not found:
        raise PortError(f"GATEWAY_LOG_GROUP: there is no log group {aws.log_group} in {aws.region}, so that what gateways print gets lost.")
    days = found[0].get("retentionInDays")
    if days is None:
        raise Doubtful(f"{aws.log_group} keeps its lines forever.")
    return f"{aws.log_group}, kept for {days} days"


async def _notices(sdk: Sdk, aws: AwsSettings) -> str:
    """A message that is there stays for the platform: it is hidden from nobody."""
    if aws.notices_queue is None:
        raise Doubtful("NOTICES_QUEUE_URL is not set: instances move only once their machine is gone, not when EC2 says that it will be.")
    await sdk.call(Call.RECEIVE_MESSAGES, QueueUrl=aws.notices_queue, MaxNumberOfMessages=1, WaitTimeSeconds=0, VisibilityTimeout=0)
    return aws.notices_queue.rpartition("/")[2]


async def _archives(_: Sdk, aws: AwsSettings) -> str:
    if aws.archives_bucket is None:
        return "none: users can't download their instances, or import one"
    bucket, key = Bucket(aws.archives_bucket, aws.region, aws.endpoint_url), f"{aws.deployment}/doctor"
    await bucket.put(key, b"", 0)
    await bucket.list(f"{aws.deployment}/brought/")
    await bucket.delete(key)
    return aws.archives_bucket


async def _permissions(sdk: Sdk, aws: AwsSettings) -> str:
    network = await find_network(sdk, aws.vpc, aws.subnets)
    zone = next(iter(network.subnets))
    override = {"InstanceType": aws.instance_type, "SubnetId": aws.subnets[0]}
    template = {"LaunchTemplateId": aws.fleet_template, "Version": "$Latest"}
    tags = as_tags({Tag.NAME: MACHINE_NAME, Tag.DEPLOYMENT: aws.deployment})
    dry: list[tuple[Call, dict[str, Any]]] = [
        (
            Call.CREATE_FLEET,
            {
                "Type": "instant",
                "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": template, "Overrides": [override]}],
                "TargetCapacitySpecification": {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
                "TagSpecifications": [{"ResourceType": "instance", "Tags": tags}],
            },
        ),
        (
            Call.CREATE_VOLUME,
            {
                "AvailabilityZone": zone,
                "Size": aws.volume_gib,
                "VolumeType": "gp3",
                "Encrypted": True,
                "TagSpecifications": [{"ResourceType": "volume", "Tags": tags}],
            },
        ),
        (Call.DESCRIBE_INSTANCES, {"Filters": filters(tag_Deployment=aws.deployment)}),
    ]
    for call, parameters in dry:
        await _may(sdk, call, {**parameters, "DryRun": True})
    asked: list[tuple[Call, dict[str, Any]]] = [
        (Call.DESCRIBE_AGENTS, {"MaxResults": 5}),
        (Call.LIST_SECRETS, {"MaxResults": 1}),
        *((Call.DESCRIBE_RULES, {"ListenerArn": listener}) for listener in aws.listeners[:1]),
        *([(Call.DESCRIBE_GROUPS, {"PageSize": 1})] if aws.has_balancers else ()),
        (Call.DESCRIBE_VOLUMES, {"MaxResults": 5}),
    ]
    for call, parameters in asked:
        await sdk.call(call, **parameters)
    return f"{len(dry)} calls by dry run, {len(asked)} by asking; the others show when they are made"


async def _may(sdk: Sdk, call: Call, parameters: dict[str, Any]) -> None:
    try:
        await sdk.call(call, **parameters)
    except Denied:
        raise
    except PortError as answer:
        if code_of(answer) != ALLOWED:
            raise


CHECKS: Final[dict[str, tuple[Check, str]]] = {
    "aws account": (_account, "Give the machine a role, or set AWS_PROFILE; check AWS_REGION."),
    "aws subnets": (_subnets, "Correct SUBNET_IDS and VPC_ID: public subnets of one VPC, in two zones at least."),
    "aws security group": (_security_group, "Correct SECURITY_GROUP_ID."),
    "aws launch template": (
        _template,
        "Correct LAUNCH_TEMPLATE_ID and FLEET_TEMPLATE_ID, or the templates: terraform/ec2-per-user.tf has them as they should be.",
    ),
    "aws machines' addresses": (_addresses, "Correct MACHINE_ADDRESSES, or the network: terraform/network.tf makes it for IPv6."),
    "aws instance types": (check_types, TYPES_FIX),
    "aws load balancers": (_listeners, "Correct ALB_LISTENER_ARN."),
    "aws image": (_image, "Push an image to ECR_REPOSITORY_URL; docs/aws.md says how."),
    "aws log group": (_log_group, "Make the group with a retention, or correct GATEWAY_LOG_GROUP: terraform/monitoring.tf has it."),
    "aws notices": (
        _notices,
        "Correct NOTICES_QUEUE_URL, as `terraform output notices_queue_url` prints it: terraform/events.tf has the queue.",
    ),
    "aws archives": (_archives, "Correct ARCHIVES_BUCKET, or what the control plane may do in it: docs/archives.md says what it needs."),
    "aws permissions": (_permissions, "Add to the role of the control plane what is named."),
}
