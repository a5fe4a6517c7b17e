"""The roles of terraform/iam.tf against the calls that are made: every call is granted, and nothing is granted that is not called."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from lab.cloud.calls import Done
from lab.cloud.iam import INLINE_CHARACTERS, MANAGED_CHARACTERS, length
from lab.plain import PlainLab, plain_lab
from lab.site import AMI, LOG_GROUP, ROLE
from openclaw_hosted.adapters.aws.sdk import Call
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.bootstrap.doctor.aws import examine_aws
from openclaw_hosted.bootstrap.doctor.computer import Verdict
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.domain.errors import Denied
from openclaw_hosted.domain.gateway import Credential, GatewaySpec
from openclaw_hosted.domain.key_refusal import MAYBE_REFUSED
from openclaw_hosted.domain.metering import Metric, Reading
from openclaw_hosted.domain.naming import RestorePointId, UserId, VolumeId, aside_of
from openclaw_hosted.ports.gateways import Seat
from openclaw_hosted.ports.machines import LaunchSpec, MachineHealth
from openclaw_hosted.ports.restore_points import Stage
from openclaw_hosted.ports.router import Target
from openclaw_hosted.settings import load_settings
from tests.support.aws import aws_environment, provided_on
from tests.support.seats import seat
from tests.support.waiting import until
from tests.terraform.iam_reference import problems
from tests.terraform.support import ALLOCATION, Found, Terraform, planned

pytestmark = [pytest.mark.terraform, pytest.mark.slow, pytest.mark.xdist_group("roles")]
PLATFORM: Final = "openclaw-control-plane"
SETTINGS_SECRET: Final = "arn:aws:secretsmanager:us-west-2:123456789012:secret:settings-AbCdEf"
GATEWAYS_LOG: Final = "/openclaw-hosted/openclaw/gateways"
IDS: Final = SystemIds()
IMPLIED: Final = {
    "ec2:RunInstances": "CreateFleet launches with it",
    "iam:PassRole": "CreateFleet hands the machines their role",
    "iam:CreateServiceLinkedRole": "EC2 makes the roles of Spot and Fleet at the first launch of an account's life",
    "elasticloadbalancing:AddTags": "CreateTargetGroup and CreateRule tag what they make",
    "ssm:UpdateInstanceInformation": "the SSM agent of the control plane's machine, for operators",
    "ssmmessages:CreateControlChannel": "the same",
    "ssmmessages:CreateDataChannel": "the same",
    "ssmmessages:OpenControlChannel": "the same",
    "ssmmessages:OpenDataChannel": "the same",
    "ec2messages:AcknowledgeMessage": "the same",
    "ec2messages:DeleteMessage": "the same",
    "ec2messages:FailMessage": "the same",
    "ec2messages:GetEndpoint": "the same",
    "ec2messages:GetMessages": "the same",
    "ec2messages:SendReply": "the same",
    "ecr:GetAuthorizationToken": "control-plane.sh logs Docker in",
    "ecr:BatchGetImage": "Docker pulls the control plane's image",
    "ecr:GetDownloadUrlForLayer": "the same",
    "logs:CreateLogStream": "Docker writes the control plane's log",
    "logs:PutLogEvents": "the same",
}
"""What is granted to the control plane and not called by its code, and who calls it instead."""
OURS: Final = [{"Key": "Deployment", "Value": "openclaw"}]
UNGRANTED: Final = {"sts:GetCallerIdentity": "needs no permission"}


@dataclass(frozen=True)
class Policies:
    """As Terraform would make them for one account."""

    machine: dict[str, Any]
    platform: dict[str, dict[str, Any]]
    """By duty."""

    def granted(self) -> frozenset[str]:
        """What the platform may call."""
        found: set[str] = set()
        for statement in chain.from_iterable(policy["Statement"] for policy in self.platform.values()):
            actions = statement["Action"]
            found |= {actions} if isinstance(actions, str) else set(actions)
        return frozenset(found)


@pytest.fixture(scope="module")
def lab() -> Iterator[PlainLab]:
    with plain_lab() as made:
        yield made


@pytest.fixture(scope="module")
def policies(lab: PlainLab, terraform: Terraform) -> Policies:
    """For the lab's own account, and put there."""
    site = lab.site
    found = Found(
        lab.cloud.account_id, AMI, site.vpc, tuple(site.subnets.values()), site.security_group, site.fleet_template, site.listeners[0],
        site.repository,
    )  # fmt: skip
    plan = planned(terraform, found)
    made = policies_of(plan)
    site.client("logs").create_log_group(logGroupName=GATEWAYS_LOG)
    site.client("logs").put_retention_policy(logGroupName=GATEWAYS_LOG, retentionInDays=30)
    iam = site.client("iam")
    iam.put_role_policy(RoleName=ROLE, PolicyName="machine", PolicyDocument=json.dumps(made.machine))
    iam.create_role(RoleName=PLATFORM, AssumeRolePolicyDocument=plan["aws_iam_role.control_plane"]["assume_role_policy"])
    for name, document in made.platform.items():
        policy = iam.create_policy(PolicyName=f"platform-{name}", PolicyDocument=json.dumps(document))["Policy"]
        iam.attach_role_policy(RoleName=PLATFORM, PolicyArn=policy["Arn"])
    return made


def policies_of(plan: dict[str, dict[str, Any]]) -> Policies:
    """The documents of a plan."""
    address = re.compile(r'aws_iam_policy\.control_plane\["(.+)"\]')
    platform = {found[1]: json.loads(plan[each]["policy"]) for each in plan if (found := address.fullmatch(each))}
    return Policies(json.loads(plan["aws_iam_role_policy.machine"]["policy"]), platform)


def keys(lab: PlainLab) -> dict[str, str]:
    """Credentials of the platform's role, as variables."""
    arn = lab.site.client("iam").get_role(RoleName=PLATFORM)["Role"]["Arn"]
    given = lab.site.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    names = {"AccessKeyId": "AWS_ACCESS_KEY_ID", "SecretAccessKey": "AWS_SECRET_ACCESS_KEY", "SessionToken": "AWS_SESSION_TOKEN"}
    return {name: given[key] for key, name in names.items()}


def settings(lab: PlainLab) -> dict[str, str]:
    role = lab.site.client("iam").get_role(RoleName=ROLE)["Role"]["Arn"]
    return {**keys(lab), "MACHINE_ROLE_ARN": role, "ON_DEMAND_SPARES": "true", "GATEWAY_LOG_GROUP": GATEWAYS_LOG}


@asynccontextmanager
async def platform(lab: PlainLab) -> AsyncIterator[Provided]:
    async with provided_on(lab.site, **settings(lab)) as provided:
        yield provided


def called(lab: PlainLab) -> list[Done]:
    return [call for call in lab.cloud.calls if call.caller == PLATFORM]


def client(lab: PlainLab, service: str) -> Any:
    given = keys(lab)
    return lab.site.client(
        service,
        {
            "AccessKeyId": given["AWS_ACCESS_KEY_ID"],
            "SecretAccessKey": given["AWS_SECRET_ACCESS_KEY"],
            "Token": given["AWS_SESSION_TOKEN"],
        },
    )


async def up(provided: Provided, ref: str) -> str:
    """Wait for a machine; returns where its gateway answers."""

    async def is_up() -> str | None:
        seen = [m for m in await provided.machines.observe() if m.provider_ref == ref and m.health is MachineHealth.UP]
        return seen[0].address if seen else None

    await until(is_up)
    address = await is_up()
    assert address is not None
    return address


async def live(lab: PlainLab, provided: Provided) -> None:
    """Everything that the platform ever does in an account, once."""
    spec = LaunchSpec(IDS.machine_id(), IDS.volume_id(), IDS.instance_id(), "lab")
    instance_id, owner = spec.reserved_instance_id, UserId("u1")
    ref = await provided.machines.launch(spec)
    target = Target(spec.machine_id, ref, await up(provided, ref))
    await serve(provided, spec, ref)
    await provided.router.prepare(instance_id, target)
    await provided.router.bind(instance_id, target, owner, 1)
    await provided.router.mark(instance_id, target, owner, 1)
    await provided.router.hold(instance_id, spec.machine_id)
    await provided.machines.label(ref, {"Status": "assigned", "UserId": owner, "InstanceId": instance_id})
    assert await provided.machines.economize([ref])
    await provided.vault.put(instance_id, {Credential.GATEWAY_TOKEN: "a-token", Credential.MODEL_API_KEY: "key"}, 1)
    await asyncio.to_thread(lab.site.client("ec2").stop_instances, InstanceIds=[ref])
    await until(lambda: stopped(provided, ref), 20)
    await provided.machines.start(ref)
    await up(provided, ref)
    await provided.meter.publish([Reading(Metric.AVAILABLE, (1.0,))])
    assert await provided.gateways.find_lines([], MAYBE_REFUSED, 0.0) == {}
    await provided.router.release(instance_id)
    await provided.router.list()
    await provided.router.machines()
    await provided.router.forget(spec.machine_id)
    assert provided.notices is not None
    heard = await provided.notices.receive()
    await provided.notices.confirm([delivery.receipt for delivery in heard])
    assert heard, "the states of a machine that was launched were said"
    await adopted(lab, provided)
    await end(provided, spec, ref)


async def serve(provided: Provided, spec: LaunchSpec, ref: str) -> None:
    """Have a gateway run, first on the machine's own volume, then on another one."""
    instance_id = spec.reserved_instance_id
    await provided.vault.put(instance_id, {Credential.GATEWAY_TOKEN: "a-token"}, 0)
    await provided.vault.grant(instance_id, ref)
    second = IDS.volume_id()
    for volume_id in (spec.volume_id, second):
        await provided.volumes.create(volume_id, ref)
    gateway = GatewaySpec(instance_id, 0, spec.volume_id, "lab")
    await provided.gateways.start(seat(ref, gateway), gateway)
    await until(lambda: is_ready(provided, seat(ref, gateway)), 20)
    await provided.gateways.stop(seat(ref, gateway))
    await provided.volumes.attach(second, spec.machine_id)
    await provided.volumes.detach(second, spec.machine_id)
    point_id = IDS.restore_point_id()
    await until(lambda: is_captured(provided, point_id, second))
    await provided.points.restore(point_id, second, instance_id, "a-mark", ref)
    await provided.volumes.purge(aside_of(instance_id, "a-mark"), instance_id)
    await provided.points.remove(point_id)
    await provided.volumes.purge(second, instance_id)


async def is_captured(provided: Provided, point_id: RestorePointId, volume_id: VolumeId) -> bool:
    return (await provided.points.make(point_id, volume_id)).stage is Stage.READY


async def is_ready(provided: Provided, there: Seat) -> bool:
    return (await provided.gateways.status(there)).ready


async def stopped(provided: Provided, ref: str) -> bool:
    return any(m.provider_ref == ref and m.health is MachineHealth.STOPPED for m in await provided.machines.observe())


async def adopted(lab: PlainLab, provided: Provided) -> None:
    """A machine that an operator started from the launch template."""
    template = {"LaunchTemplateId": lab.site.template}
    made = await asyncio.to_thread(lab.site.client("ec2").run_instances, LaunchTemplate=template, MinCount=1, MaxCount=1)
    ref = made["Instances"][0]["InstanceId"]
    await up(provided, ref)
    await provided.machines.adopt(ref, LaunchSpec(IDS.machine_id(), IDS.volume_id(), IDS.instance_id(), "lab"))
    await provided.machines.terminate(ref)


async def end(provided: Provided, spec: LaunchSpec, ref: str) -> None:
    await provided.vault.retire(spec.reserved_instance_id)
    await provided.vault.restore(spec.reserved_instance_id)
    assert list(await provided.vault.list()) == [spec.reserved_instance_id]
    await provided.machines.terminate(ref)
    await provided.vault.purge(spec.reserved_instance_id)


def test_policies_are_no_longer_than_iam_takes_whatever_the_size_of_the_deployment(terraform: Terraform) -> None:
    largest = planned(
        terraform,
        replace(Found(), subnets=tuple(f"subnet-0123456789abcde{number:02}" for number in range(16))),
        load_balancer_count=10,
        deployment_name="a-name-of-eighteen",
        aws_region="ap-southeast-2",
        database="sqlite",
        archives_bucket="a" * 63,
        settings_secret=SETTINGS_SECRET + "s" * 60,
    )
    found = policies_of(largest)
    lengths = {name: length(json.dumps(document)) for name, document in found.platform.items()}
    assert max(lengths.values()) <= MANAGED_CHARACTERS, lengths
    assert length(json.dumps(found.machine)) <= INLINE_CHARACTERS


def test_aws_knows_each_action_resource_and_condition_key(policies: Policies) -> None:
    assert [problem for document in (policies.machine, *policies.platform.values()) for problem in problems(document)] == []


def test_the_control_plane_reads_the_secret_with_settings_and_no_other_of_the_operators(terraform: Terraform) -> None:
    found = policies_of(planned(terraform, Found(), settings_secret=SETTINGS_SECRET))
    (statement,) = (each for document in found.platform.values() for each in document["Statement"] if each.get("Sid") == "SecretSettings")
    assert (statement["Action"], statement["Resource"]) == ("secretsmanager:GetSecretValue", SETTINGS_SECRET)
    assert SETTINGS_SECRET not in json.dumps(found.machine)


def test_without_a_load_balancer_the_control_plane_has_no_right_on_any_and_takes_its_own_address_alone(terraform: Terraform) -> None:
    found = policies_of(planned(terraform, Found(), load_balancer_count=0, database="sqlite"))
    assert not [action for action in found.granted() if action.startswith("elasticloadbalancing:")]
    (statement,) = (each for document in found.platform.values() for each in document["Statement"] if each["Sid"] == "OwnAddress")
    assert (statement["Action"], statement["Resource"][0]) == (
        "ec2:AssociateAddress", f"arn:aws:ec2:us-west-2:123456789012:elastic-ip/{ALLOCATION}"
    )  # fmt: skip
    assert statement["Condition"] == {"StringEquals": {"aws:ResourceTag/Name": "openclaw-control-plane"}}
    assert [problem for document in (found.machine, *found.platform.values()) for problem in problems(document)] == []


def test_with_a_bucket_for_archives_the_control_plane_gets_at_its_own_part_of_it_and_machines_at_nothing(terraform: Terraform) -> None:
    found = policies_of(planned(terraform, Found(), archives_bucket="archives-of-ours"))
    documents = (found.machine, *found.platform.values())
    statement, listing = (each for document in documents for each in document["Statement"] if "archives-of-ours" in json.dumps(each))
    assert statement["Action"] == ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]
    assert statement["Resource"] == "arn:aws:s3:::archives-of-ours/openclaw/*"
    assert (listing["Action"], listing["Resource"]) == ("s3:ListBucket", "arn:aws:s3:::archives-of-ours")
    assert listing["Condition"] == {"StringLike": {"s3:prefix": "openclaw/brought/*"}}
    assert statement in found.platform["users"]["Statement"]
    assert listing in found.platform["users"]["Statement"]
    assert [problem for document in documents for problem in problems(document)] == []


def test_the_reference_notices_what_aws_would_not_heed() -> None:
    statement = {
        "Sid": "Wrong", "Effect": "Allow", "Action": ["ec2:TerminateInstance", "ec2:DeleteVolume"],
        "Resource": ["arn:aws:ec2:us-west-2:123456789012:volume/*", "arn:aws:ec2:us-west-2:123456789012:instance/*"],
        "Condition": {"StringEquals": {"ec2:CreateAction": "RunInstances"}},
    }  # fmt: skip
    assert list(problems({"Statement": [statement]})) == [
        "Wrong: there is no action ec2:TerminateInstance",
        "Wrong: ec2:TerminateInstance has no condition key ec2:createaction",
        "Wrong: ec2:DeleteVolume has no condition key ec2:createaction",
        "Wrong: none of its actions is about arn:aws:ec2:us-west-2:123456789012:instance/*",
    ]


async def test_every_call_is_granted_and_nothing_is_that_is_not_called(lab: PlainLab, policies: Policies) -> None:
    lab.cloud.calls.clear()
    async with platform(lab) as provided:
        await live(lab, provided)
    with aws_environment(lab.site, **settings(lab)):
        assert [finding for finding in await examine_aws(load_settings()) if finding.verdict is not Verdict.OK] == []
    refused = [call for call in called(lab) if call.error and ("Denied" in call.error or "Unauthorized" in call.error)]
    assert refused == []
    made = {call.action for call in called(lab)}
    assert {iam_name(call) for call in Call} - made == set(), "the test has to make every call that the code can make"
    assert made - UNGRANTED.keys() - policies.granted() == set()
    assert policies.granted() - made == IMPLIED.keys()


def iam_name(call: Call) -> str:
    return call.value.replace("elbv2:", "elasticloadbalancing:").replace("service-quotas:", "servicequotas:")


async def test_what_belongs_to_others_is_out_of_reach(lab: PlainLab, policies: Policies) -> None:
    del policies
    theirs = lab.site.client("ec2").run_instances(ImageId=AMI, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    volume = lab.site.client("ec2").create_volume(AvailabilityZone="us-west-2a", Size=1)["VolumeId"]
    snapshot = lab.site.client("ec2").create_snapshot(VolumeId=volume)["SnapshotId"]
    group = lab.site.client("elbv2").create_target_group(Name="another", Protocol="HTTP", Port=80, VpcId=lab.site.vpc)
    arn = group["TargetGroups"][0]["TargetGroupArn"]
    lab.site.client("secretsmanager").create_secret(Name="another/secret", SecretString="theirs")
    ec2, vault = client(lab, "ec2"), client(lab, "secretsmanager")
    tries: list[Callable[[], Any]] = [
        lambda: ec2.terminate_instances(InstanceIds=[theirs]),
        lambda: ec2.create_tags(Resources=[theirs], Tags=[{"Key": "Deployment", "Value": "openclaw"}]),
        lambda: ec2.delete_volume(VolumeId=volume),
        lambda: ec2.create_snapshot(VolumeId=volume, TagSpecifications=[{"ResourceType": "snapshot", "Tags": OURS}]),
        lambda: ec2.delete_snapshot(SnapshotId=snapshot),
        lambda: ec2.run_instances(ImageId=AMI, MinCount=1, MaxCount=1),
        lambda: client(lab, "ssm").send_command(InstanceIds=[theirs], DocumentName="AWS-RunShellScript", Parameters={"commands": ["id"]}),
        lambda: client(lab, "elbv2").delete_target_group(TargetGroupArn=arn),
        lambda: vault.get_secret_value(SecretId="another/secret"),
        lambda: vault.create_secret(Name="another/new", SecretString="x"),
        lambda: client(lab, "iam").list_roles(),
        lambda: client(lab, "cloudwatch").put_metric_data(Namespace="Another", MetricData=[{"MetricName": "X", "Value": 1}]),
    ]
    for attempt in tries:
        with pytest.raises(ClientError, match=r"AccessDenied|UnauthorizedOperation"):
            attempt()


async def test_a_machine_reads_its_own_secret_alone_and_tags_nothing(lab: PlainLab, policies: Policies) -> None:
    assert "CreateTags" not in json.dumps(policies.machine)
    async with platform(lab) as provided:
        refs = [await provided.machines.launch(LaunchSpec(IDS.machine_id(), IDS.volume_id(), IDS.instance_id(), "lab")) for _ in range(2)]
        instance_id = IDS.instance_id()
        await provided.vault.put(instance_id, {Credential.GATEWAY_TOKEN: "a-token"}, 0)
        await provided.vault.grant(instance_id, refs[0])
        assert "a-token" in lab.cloud.secret(refs[0], f"openclaw/{instance_id}")
        for ref in refs:
            given = lab.cloud.metadata(ref).credentials
            with pytest.raises(ClientError, match="UnauthorizedOperation"):
                lab.site.client("ec2", given).create_tags(Resources=[ref], Tags=[{"Key": "Status", "Value": "available"}])
            with pytest.raises(ClientError, match="AccessDenied"):
                lab.site.client("secretsmanager", given).get_secret_value(SecretId="openclaw/sealing-key")
        with pytest.raises(PermissionError):
            lab.cloud.secret(refs[1], f"openclaw/{instance_id}")


async def test_a_machine_writes_into_the_gateways_log_and_reads_none(lab: PlainLab, policies: Policies) -> None:
    del policies
    ours, platforms = GATEWAYS_LOG, "/openclaw-hosted/openclaw/platform"
    lab.site.client("logs").create_log_group(logGroupName=platforms)
    async with platform(lab) as provided:
        ref = await provided.machines.launch(LaunchSpec(IDS.machine_id(), IDS.volume_id(), IDS.instance_id(), "lab"))
    logs = lab.site.client("logs", lab.cloud.metadata(ref).credentials)
    logs.create_log_stream(logGroupName=ours, logStreamName=ref)
    logs.put_log_events(logGroupName=ours, logStreamName=ref, logEvents=[{"timestamp": int(time.time() * 1000), "message": "a line"}])
    tries: list[Callable[[], Any]] = [
        lambda: logs.create_log_stream(logGroupName=platforms, logStreamName=ref),
        lambda: logs.get_log_events(logGroupName=ours, logStreamName=ref),
        lambda: logs.filter_log_events(logGroupName=ours),
        lambda: logs.delete_log_stream(logGroupName=ours, logStreamName=ref),
    ]
    for attempt in tries:
        with pytest.raises(ClientError, match="AccessDenied"):
            attempt()


async def test_the_platform_searches_the_gateways_log_and_no_other(lab: PlainLab, policies: Policies) -> None:
    del policies
    async with platform(lab) as provided:
        assert await provided.gateways.find_lines([], MAYBE_REFUSED, 0.0) == {}
    async with provided_on(lab.site, **{**settings(lab), "GATEWAY_LOG_GROUP": LOG_GROUP}) as provided:
        with pytest.raises(Denied):
            await provided.gateways.find_lines([], MAYBE_REFUSED, 0.0)
