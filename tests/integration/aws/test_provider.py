"""What the AWS provider promises beyond the contracts of its ports."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from lab.cloud.market import NEW_ACCOUNT
from lab.plain import PlainLab
from lab.plane.plain_gateway import Fault
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.bootstrap import examine
from openclaw_hosted.bootstrap.doctor.computer import Finding, Verdict
from openclaw_hosted.domain.errors import NoCapacity, NotFound, PortError
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import MachineFailure
from openclaw_hosted.ports.machines import LaunchSpec
from openclaw_hosted.settings import SettingsError, load_settings
from openclaw_hosted.settings_aws import load_aws_settings
from tests.integration.aws.world import WITH_KEY, AwsWorld
from tests.support.aws import aws_environment, provided_on
from tests.support.seats import seat
from tests.support.waiting import until

IDS = SystemIds()


def a_launch(zone: str = "") -> LaunchSpec:
    return LaunchSpec(IDS.machine_id(), IDS.volume_id(), IDS.instance_id(), "lab", zone)


def no_spot(lab: PlainLab, *zones: str, kinds: Sequence[str] = ("t3.small", "t3a.small", "t3.medium", "t3a.medium")) -> None:
    for kind in kinds:
        for zone in zones:
            lab.cloud.faults.capacity[kind, zone, "spot"] = 0


async def described(lab: PlainLab, ref: str) -> Any:
    found = await asyncio.to_thread(lab.site.client("ec2").describe_instances, InstanceIds=[ref])
    return found["Reservations"][0]["Instances"][0]


async def finding(lab: PlainLab, check: str, **changes: str) -> Finding:
    with aws_environment(lab.site, **changes):
        return next(finding for finding in await examine(load_settings()) if finding.check == check)


@pytest.mark.parametrize(
    ("name", "value", "way_out"),
    [
        ("VPC_ID", "", "VPC_ID"),
        ("SUBNET_IDS", "subnet-1,nonsense", "public subnets"),
        ("ALB_LISTENER_ARN", "arn:aws:elasticloadbalancing:us-west-2:1:listener/net/x", "Application Load Balancers"),
        ("ECR_REPOSITORY_URL", "https://example.com/x:tag", "without a tag"),
        ("ROUTING", "host", "INSTANCE_DOMAIN"),
        ("SHARD_URLS", "https://one.example.com", "one for each"),
        ("GATEWAY_LOG_GROUP", "arn:aws:logs:us-west-2:1:log-group:x", "GATEWAY_LOG_GROUP"),
        ("RETENTION_DAYS", "31", "RETENTION_DAYS: give 30 days at most"),
        ("USER_INSTANCE_TYPE", "t2.small", "USER_INSTANCE_TYPE: give types of the Nitro system"),
        ("EXTRA_INSTANCE_TYPES", "t3a.small,m4.large", "EXTRA_INSTANCE_TYPES: give types of the Nitro system"),
    ],
)
def test_a_wrong_setting_is_named_with_the_way_out(lab: PlainLab, name: str, value: str, way_out: str) -> None:
    with aws_environment(lab.site, **{name: value}), pytest.raises(SettingsError) as raised:
        load_aws_settings()
    assert way_out in str(raised.value)
    assert "terraform output" in str(raised.value)


async def test_a_doctor_finds_nothing_wrong_with_the_lab(lab: PlainLab) -> None:
    with aws_environment(lab.site):
        findings = await examine(load_settings())
    aws = {finding.check: finding for finding in findings if finding.check.startswith("aws")}
    assert {finding.verdict for finding in aws.values()} == {Verdict.OK}, aws
    assert len(aws) == 13


async def log_group_finding(lab: PlainLab, group: str) -> Finding:
    return await finding(lab, "aws log group", GATEWAY_LOG_GROUP=group)


async def test_a_doctor_warns_of_logs_that_are_kept_forever_and_wants_none(lab: PlainLab) -> None:
    lab.site.client("logs").create_log_group(logGroupName="/kept/forever")
    found = await log_group_finding(lab, "/kept/forever")
    assert (found.verdict, found.message) == (Verdict.WARNING, "/kept/forever keeps its lines forever.")
    assert (await log_group_finding(lab, "")).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        ("LAUNCH_TEMPLATE_ID", "lt-0123456789abcdef0", "aws launch template"),
        ("FLEET_TEMPLATE_ID", "lt-0123456789abcdef0", "aws launch template"),
        ("SECURITY_GROUP_ID", "sg-0123456789abcdef0", "aws security group"),
        ("SUBNET_IDS", "subnet-0123456789abcdef0", "aws subnets"),
        ("ECR_REPOSITORY_URL", "registry.example.com/absent", "aws image"),
        ("GATEWAY_LOG_GROUP", "/openclaw-hosted", "aws log group"),
    ],
)
async def test_a_doctor_names_what_is_not_there(lab: PlainLab, name: str, value: str, check: str) -> None:
    with aws_environment(lab.site, **{name: value}):
        findings = {finding.check: finding for finding in await examine(load_settings())}
    assert findings[check].verdict is Verdict.PROBLEM
    assert findings[check].fix


async def test_a_template_for_launches_by_hand_is_no_template_for_fleets(world: AwsWorld) -> None:
    with aws_environment(world.lab.site, FLEET_TEMPLATE_ID=""):
        found = next(finding for finding in await examine(load_settings()) if finding.check == "aws launch template")
    assert found.verdict is Verdict.PROBLEM
    assert "no market options" in found.message
    assert "no subnet" in found.message
    async with provided_on(world.lab.site, FLEET_TEMPLATE_ID="") as provided:
        with pytest.raises(PortError, match="subnet"):
            await provided.machines.launch(a_launch())


async def test_without_spot_capacity_there_is_no_room_unless_machines_on_demand_are_allowed(world: AwsWorld) -> None:
    lab = world.lab
    no_spot(lab, "us-west-2a", "us-west-2b")
    async with provided_on(lab.site) as provided:
        with pytest.raises(NoCapacity):
            await provided.machines.launch(a_launch())
    async with provided_on(lab.site, ON_DEMAND_FALLBACK="true") as provided:
        spec = a_launch()
        ref = await provided.machines.launch(spec)
        assert await provided.machines.launch(spec) == ref
    found = lab.site.client("ec2").describe_instances(InstanceIds=[ref])["Reservations"][0]["Instances"][0]
    assert found.get("InstanceLifecycle") != "spot"


async def test_a_user_whose_volume_waits_in_a_zone_without_spot_machines_gets_one_on_demand(world: AwsWorld) -> None:
    lab = world.lab
    no_spot(lab, "us-west-2a", "us-west-2b")
    async with provided_on(lab.site) as provided:
        ref = await provided.machines.launch(a_launch("us-west-2a"))
        assert (await described(lab, ref)).get("InstanceLifecycle") != "spot"
        with pytest.raises(NoCapacity):
            await provided.machines.launch(a_launch())
    async with provided_on(lab.site, ON_DEMAND_REPLACEMENTS="false") as provided:
        with pytest.raises(NoCapacity):
            await provided.machines.launch(a_launch("us-west-2a"))


async def test_a_larger_machine_is_taken_only_where_there_is_none_of_the_wanted_size(world: AwsWorld) -> None:
    lab = world.lab
    zones = ("us-west-2a", "us-west-2b")
    async with provided_on(lab.site) as provided:
        no_spot(lab, *zones, kinds=("t3.small",))
        ref = await provided.machines.launch(a_launch())
        assert (await described(lab, ref))["InstanceType"] == "t3a.small"
        no_spot(lab, *zones, kinds=("t3.small", "t3a.small"))
        spec = a_launch()
        ref = await provided.machines.launch(spec)
        assert await provided.machines.launch(spec) == ref
        found = await described(lab, ref)
        assert found["InstanceType"] in ("t3.medium", "t3a.medium")
        assert found["InstanceLifecycle"] == "spot"


async def test_a_doctor_says_how_many_machines_the_quotas_allow_and_how_to_ask_for_more(world: AwsWorld) -> None:
    quotas, check = world.lab.cloud.quotas.vcpus, "aws quotas"
    before = dict(quotas)
    try:
        quotas["spot"] = NEW_ACCOUNT
        found = await finding(world.lab, check)
        assert found.verdict is Verdict.PROBLEM
        assert "spot: 5 vCPUs, enough for 2 machines of 2, and POOL_SPARE_COUNT=2 with one user takes 3." in found.message
        assert "--quota-code L-34B43A08 --desired-value 100 --region us-west-2" in found.message
        assert (await finding(world.lab, check, POOL_SPARE_COUNT="1", FLEET_CAP="2")).verdict is Verdict.OK
        assert (await finding(world.lab, check, POOL_SPARE_COUNT="1")).verdict is Verdict.WARNING
        quotas.update({"spot": 100, "on-demand": 1})
        found = await finding(world.lab, check)
        assert found.verdict is Verdict.WARNING
        assert "none where Spot has no capacity" in found.message
        assert (await finding(world.lab, check, ON_DEMAND_REPLACEMENTS="false")).verdict is Verdict.OK
        assert "L-1216C47A" in (await finding(world.lab, check, ON_DEMAND_SPARES="true")).message
    finally:
        quotas.update(before)


async def test_a_doctor_warns_where_quotas_can_not_be_read(world: AwsWorld) -> None:
    world.lab.cloud.faults.fail("servicequotas:GetServiceQuota", "AccessDeniedException")
    found = await finding(world.lab, "aws quotas")
    assert found.verdict is Verdict.WARNING
    assert "could not be read" in found.message


async def test_a_doctor_sees_whether_machines_find_a_way_out(world: AwsWorld) -> None:
    check, ec2 = "aws machines' addresses", world.lab.site.client("ec2")
    assert (await finding(world.lab, check)).message == "a public IPv4 address for each machine"
    assert "no IPv6 address" in (await finding(world.lab, check, MACHINE_ADDRESSES="ipv6")).message
    interface = {"DeviceIndex": 0, "AssociatePublicIpAddress": False, "Ipv6AddressCount": 1}
    data = {"ImageId": "ami-12345678", "NetworkInterfaces": [interface]}
    made = ec2.create_launch_template(LaunchTemplateName="by-ipv6", LaunchTemplateData=data)
    by_ipv6 = {"FLEET_TEMPLATE_ID": str(made["LaunchTemplate"]["LaunchTemplateId"])}
    assert "estimates are wrong" in (await finding(world.lab, check, **by_ipv6)).message
    by_ipv6["MACHINE_ADDRESSES"] = "ipv6"
    assert "on.aws" in (await finding(world.lab, check, **by_ipv6)).message
    by_ipv6["ECR_REPOSITORY_URL"] = "123456789012.dkr-ecr.us-west-2.on.aws/openclaw"
    found = await finding(world.lab, check, **by_ipv6)
    assert found.verdict is Verdict.PROBLEM
    assert "these subnets have no IPv6 addresses" in found.message


async def test_a_doctor_names_types_that_do_not_fit_together(world: AwsWorld) -> None:
    found = await finding(world.lab, "aws instance types", EXTRA_INSTANCE_TYPES="t4g.small")
    assert found.verdict is Verdict.PROBLEM
    assert "no architecture in common" in found.message
    assert (await finding(world.lab, "aws instance types", EXTRA_INSTANCE_TYPES="t9.small")).verdict is Verdict.PROBLEM


async def test_capacity_is_looked_for_in_other_zones_and_types_but_not_where_the_volume_is_not(world: AwsWorld) -> None:
    no_spot(world.lab, "us-west-2a")
    async with provided_on(world.lab.site) as provided:
        ref = await provided.machines.launch(a_launch())

        async def is_listed() -> bool:
            return {m.provider_ref: m.zone for m in await provided.machines.observe()}.get(ref) == "us-west-2b"

        await until(is_listed)
    async with provided_on(world.lab.site, ON_DEMAND_REPLACEMENTS="false") as provided:
        with pytest.raises(NoCapacity):
            await provided.machines.launch(a_launch("us-west-2a"))


async def test_a_machine_is_launched_as_spot_with_its_tags_and_closed_metadata(world: AwsWorld) -> None:
    async with provided_on(world.lab.site) as provided:
        spec = a_launch()
        ref = await provided.machines.launch(spec)
    found = world.lab.site.client("ec2").describe_instances(InstanceIds=[ref])["Reservations"][0]["Instances"][0]
    tags = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
    assert found["InstanceLifecycle"] == "spot"
    assert (found["MetadataOptions"]["HttpTokens"], found["MetadataOptions"]["HttpPutResponseHopLimit"]) == ("required", 1)
    assert tags["Name"] == "openclaw-user-instance"
    assert (tags["MachineId"], tags["ReservedInstanceId"], tags["Status"]) == (spec.machine_id, spec.reserved_instance_id, "initializing")


async def test_a_machine_that_ends_says_so_in_its_tags(world: AwsWorld) -> None:
    lab = world.lab.cloud
    async with provided_on(world.lab.site) as provided:
        told, untold = [await provided.machines.launch(a_launch()) for _ in range(2)]
        lab.calls.clear()
        for _ in range(2):
            await provided.machines.terminate(told)
        assert lab.ec2.tags[told]["Status"] == "terminating"
        assert lab.calls.counts() == {"ec2:TerminateInstances": 2, "ec2:CreateTags": 1}
        lab.faults.fail("ec2:CreateTags", "UnauthorizedOperation")
        await provided.machines.terminate(untold)
    assert lab.fleet.rows[untold].state in ("shutting-down", "terminated")


async def test_a_machine_that_never_boots_is_replaced(world: AwsWorld) -> None:
    world.lab.machines.fail_next(Fault.NEVER_BOOTS)
    world.ready_timeout_seconds = 20.0
    async with world.control_plane() as plane:
        await plane.until_full()
        ended = [machine for machine in await plane.store.machines.list_recent() if machine.failure is MachineFailure.NOT_READY_IN_TIME]
        assert len(ended) == 1
        await plane.until_clean()


async def test_settings_that_openclaw_refuses_fail_the_instance_and_say_why(world: AwsWorld) -> None:
    async with world.control_plane() as plane:
        await plane.until_full()
        (spare,) = await plane.store.machines.list_live()
        world.lab.machines.break_machine(str(spare.provider_ref), Fault.SETTINGS_REFUSED)
        instance = await plane.create(*WITH_KEY)
        failed = await plane.until_phase(instance.id, Phase.FAILED)
        assert failed.last_error


async def test_routing_by_host_name_gives_each_instance_a_name_of_its_own(world: AwsWorld) -> None:
    async with provided_on(world.lab.site, ROUTING="host", INSTANCE_DOMAIN="claw.test") as provided:
        instance_id = IDS.instance_id(0)
        spec = a_launch()
        ref = await provided.machines.launch(spec)

        async def is_up() -> bool:
            return any(m.provider_ref == ref and m.address for m in await provided.machines.observe())

        await until(is_up)
        url = urlsplit(provided.router.public_url(instance_id))
        assert url.hostname == f"{instance_id}.claw.test"
        assert url.path == f"/{instance_id}/"
        assert not provided.router.signs_in(instance_id)
        rules = world.lab.site.client("elbv2").describe_rules(ListenerArn=world.lab.site.listeners[0])["Rules"]
        assert all(condition["Field"] == "path-pattern" for rule in rules for condition in rule["Conditions"])


async def test_the_platforms_own_rules_come_first_and_are_made_once(world: AwsWorld) -> None:
    for _ in range(2):
        async with provided_on(world.lab.site):
            pass
    for address, listener in zip(world.lab.site.addresses(), world.lab.site.listeners, strict=True):
        rules = world.lab.site.client("elbv2").describe_rules(ListenerArn=listener)["Rules"]
        assert sorted(rule["Priority"] for rule in rules if not rule["IsDefault"]) == ["1", "2", "3"]
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{address}/{IDS.instance_id()}/api/v1/admin/rpc")
        assert answer.status_code == 404


async def test_two_control_planes_share_one_key_that_seals(world: AwsWorld) -> None:
    async with provided_on(world.lab.site) as one, provided_on(world.lab.site) as other:
        assert other.sealer.unseal(one.sealer.seal(b"key", "oc-1"), "oc-1") == b"key"


async def test_a_machine_that_is_not_there_is_not_found(world: AwsWorld) -> None:
    async with provided_on(world.lab.site) as provided:
        with pytest.raises(NotFound):
            await provided.gateways.status(seat("i-0123456789abcdef0"))
        await asyncio.wait_for(provided.gateways.stop(seat("i-0123456789abcdef0")), 10)
