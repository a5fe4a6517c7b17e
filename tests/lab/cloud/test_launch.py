"""What EC2 does at launch, and bare moto does not."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from botocore.exceptions import ClientError

from lab.plane.base import Power
from tests.lab.cloud.support import Site, until


def test_a_machine_has_all_that_its_launch_template_says(site: Site) -> None:
    (instance_id,) = site.launch()
    found = site.instance(instance_id)
    assert found["InstanceType"] == "t3.small"
    assert found["InstanceLifecycle"] == "spot"
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    assert found["MetadataOptions"]["InstanceMetadataTags"] == "enabled"
    assert found["IamInstanceProfile"]["Arn"].endswith(":instance-profile/machine")
    assert found["SubnetId"] == site.subnets["us-west-2a"]
    assert [group["GroupId"] for group in found["SecurityGroups"]] == [site.group_id]
    assert found["PublicIpAddress"]
    assert {"Key": "Pool", "Value": "spares"} in found["Tags"]
    assert {"Key": "aws:ec2launchtemplate:id", "Value": site.template_id} in found["Tags"]
    order = site.machines.machines[instance_id].order
    assert found["PrivateIpAddress"] == site.machines.machines[instance_id].address
    assert (order.role_name, order.hop_limit, order.tags_in_metadata) == ("machine", 1, True)
    assert order.user_data == "#!/bin/sh\necho booted\n"


def test_the_data_volume_of_a_template_is_made_encrypted_and_tagged(site: Site) -> None:
    (instance_id,) = site.launch()
    disks = {each["DeviceName"]: each["Ebs"] for each in site.instance(instance_id)["BlockDeviceMappings"]}
    assert len(disks) == 2
    assert disks["/dev/sdf"]["DeleteOnTermination"] is False
    volume = site.client("ec2").describe_volumes(VolumeIds=[disks["/dev/sdf"]["VolumeId"]])["Volumes"][0]
    assert (volume["Size"], volume["VolumeType"], volume["Encrypted"]) == (4, "gp3", True)
    assert volume["Tags"] == [{"Key": "Kind", "Value": "state"}]
    assert dict(site.machines.machines[instance_id].order.volumes) == {"/dev/sdf": (volume["VolumeId"], 4)}


def test_what_a_request_says_wins_over_the_template(site: Site) -> None:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Pool", "Value": "mine"}]}]
    (instance_id,) = site.launch(InstanceType="t3.medium", TagSpecifications=tags)
    found = site.instance(instance_id)
    assert found["InstanceType"] == "t3.medium"
    assert {"Key": "Pool", "Value": "mine"} in found["Tags"]


def test_tags_that_machines_read_at_the_metadata_address_have_neither_blanks_nor_slashes(site: Site) -> None:
    tags = [{"Key": "cost center", "Value": "x"}]
    with pytest.raises(ClientError, match="'cost center' is not a valid tag key"):
        site.launch(TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])
    site.launch(TagSpecifications=[{"ResourceType": "volume", "Tags": tags}])
    (instance_id,) = site.launch(TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "cost-center=+.,:@_", "Value": "x"}]}])
    with pytest.raises(ClientError, match="'a/b' is not a valid tag key"):
        site.client("ec2").create_tags(Resources=[instance_id], Tags=[{"Key": "a/b", "Value": "x"}])
    (silent,) = site.launch(
        MetadataOptions={"InstanceMetadataTags": "disabled"}, TagSpecifications=[{"ResourceType": "instance", "Tags": tags}]
    )
    site.client("ec2").create_tags(Resources=[silent], Tags=[{"Key": "a/b", "Value": "x"}])


def test_a_machine_gets_an_ipv6_address_only_where_its_subnet_has_a_block_of_them(site: Site) -> None:
    ec2, subnet_id = site.client("ec2"), site.subnets["us-west-2a"]
    interface = {
        "DeviceIndex": 0,
        "SubnetId": subnet_id,
        "Groups": [site.group_id],
        "AssociatePublicIpAddress": False,
        "Ipv6AddressCount": 1,
    }
    with pytest.raises(ClientError, match="no IPv6 CIDR block"):
        site.launch(NetworkInterfaces=[interface])
    ec2.associate_subnet_cidr_block(SubnetId=subnet_id, Ipv6CidrBlock="2001:db8:1:2::/64")
    (block,) = ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"][0]["Ipv6CidrBlockAssociationSet"]
    assert block["Ipv6CidrBlockState"] == {"State": "associated"}
    (instance_id,) = site.launch(NetworkInterfaces=[interface])
    found = site.instance(instance_id)
    (shown,) = found["NetworkInterfaces"]
    assert [each["Ipv6Address"] for each in shown["Ipv6Addresses"]] == [found["Ipv6Address"]]
    assert ip_address(found["Ipv6Address"]) in ip_network("2001:db8:1:2::/64")
    assert "PublicIpAddress" not in found
    told = site.cloud.metadata(instance_id)
    assert (told.ipv6, told.public_ipv4) == (found["Ipv6Address"], None)


def test_the_same_client_token_launches_once(site: Site) -> None:
    assert site.launch(ClientToken="row-1") == site.launch(ClientToken="row-1")
    assert site.cloud.inventory()["instances"] == 1


def test_a_client_token_with_other_parameters_is_refused(site: Site) -> None:
    site.launch(ClientToken="row-1")
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        site.launch(ClientToken="row-1", InstanceType="t3.medium")


def test_a_dry_run_says_that_it_would_have_succeeded(site: Site) -> None:
    with pytest.raises(ClientError, match="DryRunOperation"):
        site.launch(DryRun=True)
    assert site.cloud.inventory()["instances"] == 0


def test_there_may_be_no_capacity(site: Site) -> None:
    site.cloud.faults.capacity["t3.small", "us-west-2a", "spot"] = 0
    with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
        site.launch()


def test_a_machine_is_pending_until_the_data_plane_has_booted_it(site: Site) -> None:
    site.machines.first_power = Power.BOOTING
    (instance_id,) = site.launch()
    assert site.state(instance_id) == "pending"
    site.machines.machines[instance_id].power = Power.RUNNING
    assert site.state(instance_id) == "running"


def test_a_machine_that_the_data_plane_can_not_launch_is_terminated(site: Site) -> None:
    site.machines.broken = True
    with pytest.raises(ClientError, match="no room"):
        site.launch()
    site.cloud.crashes.clear()
    (reservation,) = site.client("ec2").describe_instances()["Reservations"]
    assert reservation["Instances"][0]["State"]["Name"] == "terminated"


def test_a_machine_that_ends_by_itself_is_terminated(site: Site) -> None:
    (instance_id,) = site.launch()
    assert site.state(instance_id) == "running"
    site.power(instance_id, Power.GONE)
    until(lambda: site.state(instance_id), lambda state: state == "terminated")


def test_a_terminated_machine_is_listed_for_an_hour_and_then_unknown(site: Site) -> None:
    (instance_id,) = site.launch()
    site.cloud.delays.stop_seconds = 30
    answer = site.client("ec2").terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
    assert answer["CurrentState"]["Name"] == "shutting-down"
    assert site.state(instance_id) == "shutting-down"
    site.cloud.settle()
    site.pass_time(31)
    assert site.state(instance_id) == "terminated"
    again = site.client("ec2").terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
    assert again["CurrentState"]["Name"] == "terminated"
    site.pass_time(3601)
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        site.instance(instance_id)


def test_a_machine_is_shutting_down_for_a_minute_and_keeps_its_disks_meanwhile(site: Site) -> None:
    """EC2's guide, *Instance lifecycle*: `shutting-down` comes before `terminated`, and takes its time."""
    (instance_id,) = site.launch()
    site.cloud.delays.stop_seconds = 60
    ec2 = site.client("ec2")
    (state,) = [each["Ebs"]["VolumeId"] for each in site.instance(instance_id)["BlockDeviceMappings"] if each["DeviceName"] == "/dev/sdf"]
    ec2.terminate_instances(InstanceIds=[instance_id])
    site.cloud.settle()
    site.pass_time(59)
    assert site.state(instance_id) == "shutting-down"
    assert ec2.describe_volumes(VolumeIds=[state])["Volumes"][0]["State"] == "in-use"
    with pytest.raises(ClientError, match="IncorrectInstanceState"):
        ec2.start_instances(InstanceIds=[instance_id])
    site.pass_time(1)
    assert site.state(instance_id) == "terminated"
    assert ec2.describe_volumes(VolumeIds=[state])["Volumes"][0]["State"] == "available"


def test_a_new_machine_is_unknown_and_unlisted_for_a_moment(site: Site) -> None:
    site.cloud.delays.unknown_seconds, site.cloud.delays.unlisted_seconds = 1, 2
    (instance_id,) = site.launch()
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        site.instance(instance_id)
    site.pass_time(1.5)
    assert site.state(instance_id) == "running"
    assert site.client("ec2").describe_instances()["Reservations"] == []
    site.pass_time(1)
    assert len(site.client("ec2").describe_instances()["Reservations"]) == 1


def test_pages_count_machines_and_filters_take_wildcards(site: Site) -> None:
    ids = set(site.launch(5))
    paginator = site.client("ec2").get_paginator("describe_instances")
    filters = [
        {"Name": "tag:Pool", "Values": ["spa*"]},
        {"Name": "vpc-id", "Values": [site.vpc_id]},
        {"Name": "instance-state-name", "Values": ["pending", "running"]},
    ]
    pages = [
        [each["InstanceId"] for reservation in page["Reservations"] for each in reservation["Instances"]]
        for page in paginator.paginate(Filters=filters, MaxResults=5, PaginationConfig={"PageSize": 5})
    ]
    assert sum(map(len, pages)) == 5
    small = site.client("ec2").describe_instances(MaxResults=2)
    assert sum(len(each["Instances"]) for each in small["Reservations"]) == 2
    assert {each for page in pages for each in page} == ids
    other = site.client("ec2").describe_instances(Filters=[{"Name": "tag:Pool", "Values": ["other"]}])
    assert other["Reservations"] == []


def test_a_machine_that_is_rebooted_stays_running_and_keeps_its_address(site: Site) -> None:
    (instance_id,) = site.launch()
    before = site.instance(instance_id)
    site.client("ec2").reboot_instances(InstanceIds=[instance_id])
    until(lambda: site.machines.machines[instance_id].boots, lambda boots: boots == 1)
    after = site.instance(instance_id)
    assert after["State"]["Name"] == "running"
    assert (after["PrivateIpAddress"], after["LaunchTime"]) == (before["PrivateIpAddress"], before["LaunchTime"])
    site.client("ec2").terminate_instances(InstanceIds=[instance_id])
    with pytest.raises(ClientError, match="IncorrectInstanceState"):
        site.client("ec2").reboot_instances(InstanceIds=[instance_id])


def test_a_one_time_spot_machine_can_not_be_stopped(site: Site) -> None:
    (instance_id,) = site.launch()
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        site.client("ec2").stop_instances(InstanceIds=[instance_id])


def test_an_on_demand_machine_stops_and_starts(site: Site) -> None:
    ec2 = site.client("ec2")
    (instance_id,) = [
        each["InstanceId"]
        for each in ec2.run_instances(ImageId="ami-0abcdef1234567890", InstanceType="t3.small", MinCount=1, MaxCount=1)["Instances"]
    ]
    assert site.state(instance_id) == "running"
    ec2.stop_instances(InstanceIds=[instance_id])
    until(lambda: site.state(instance_id), lambda state: state == "stopped")
    ec2.start_instances(InstanceIds=[instance_id])
    until(lambda: site.state(instance_id), lambda state: state == "running")


def test_two_thousand_machines_are_listed_in_seconds(site: Site) -> None:
    for _ in range(4):
        site.launch(500)
    listed = sum(
        len(reservation["Instances"])
        for page in site.client("ec2").get_paginator("describe_instances").paginate()
        for reservation in page["Reservations"]
    )
    assert listed == 2000
    assert sum(call.cpu_seconds for call in site.cloud.calls.of("ec2:DescribeInstances")) < 3


def test_a_machine_that_is_a_row_only_boots_by_the_clock(site: Site) -> None:
    site.cloud.machines = None
    site.cloud.delays.boot_seconds = 16
    (instance_id,) = site.launch()
    assert site.state(instance_id) == "pending"
    site.pass_time(16)
    assert site.state(instance_id) == "running"
    assert site.instance(instance_id)["PrivateIpAddress"].startswith("10.1.")


def test_what_is_not_known_is_not_tagged(site: Site) -> None:
    site.cloud.delays.unknown_seconds = 1
    (instance_id,) = site.launch()
    tags = [{"Key": "Status", "Value": "assigned"}]
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        site.client("ec2").create_tags(Resources=[instance_id], Tags=tags)
    site.pass_time(1)
    site.client("ec2").create_tags(Resources=[instance_id], Tags=tags)
    assert tags[0] in site.instance(instance_id)["Tags"]
    with pytest.raises(ClientError, match=r"InvalidVolume\.NotFound"):
        site.client("ec2").create_tags(Resources=["vol-0000000000000000f"], Tags=tags)
