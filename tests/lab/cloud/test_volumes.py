"""What EBS does on AWS, and bare moto does not."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab.cloud.support import Site, until


def volume(site: Site, zone: str = "us-west-2a", **asked: Any) -> str:
    return str(site.client("ec2").create_volume(AvailabilityZone=zone, Size=4, VolumeType="gp3", **asked)["VolumeId"])


def shown(site: Site, volume_id: str) -> Any:
    return site.client("ec2").describe_volumes(VolumeIds=[volume_id])["Volumes"][0]


def attach(site: Site, volume_id: str, instance_id: str, device: str = "/dev/sdg") -> None:
    site.client("ec2").attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=device)


def running(site: Site) -> str:
    (instance_id,) = site.launch()
    assert site.state(instance_id) == "running"
    return instance_id


def attached_to(site: Site, volume_id: str) -> list[tuple[str, str]]:
    return [(each["InstanceId"], each["State"]) for each in shown(site, volume_id)["Attachments"]]


def test_a_volume_is_attaching_then_attached_over_the_data_plane(site: Site) -> None:
    site.cloud.delays.attach_seconds = 3
    instance_id, volume_id = running(site), volume(site)
    assert site.machines.disks[volume_id] is None
    attach(site, volume_id, instance_id)
    assert attached_to(site, volume_id) == [(instance_id, "attaching")]
    site.cloud.settle()
    site.pass_time(3)
    assert attached_to(site, volume_id) == [(instance_id, "attached")]
    assert site.machines.disks[volume_id] == instance_id
    assert shown(site, volume_id)["State"] == "in-use"


def test_a_machine_of_another_zone_is_refused(site: Site) -> None:
    with pytest.raises(ClientError, match=r"InvalidVolume\.ZoneMismatch"):
        attach(site, volume(site, "us-west-2b"), running(site))


def test_a_volume_is_on_one_machine_at_most(site: Site) -> None:
    one, two, volume_id = running(site), running(site), volume(site)
    attach(site, volume_id, one)
    with pytest.raises(ClientError, match="VolumeInUse"):
        attach(site, volume_id, two)
    with pytest.raises(ClientError, match="VolumeInUse"):
        site.client("ec2").delete_volume(VolumeId=volume_id)


def test_a_mounted_volume_is_busy_until_it_is_unmounted(site: Site) -> None:
    instance_id, volume_id = running(site), volume(site)
    attach(site, volume_id, instance_id)
    site.cloud.settle()
    site.machines.held.add(volume_id)
    answer = site.client("ec2").detach_volume(VolumeId=volume_id)
    assert answer["State"] == "detaching"
    until(lambda: attached_to(site, volume_id), lambda found: found == [(instance_id, "busy")])
    site.machines.held.clear()
    until(lambda: attached_to(site, volume_id), lambda found: found == [])
    assert shown(site, volume_id)["State"] == "available"
    with pytest.raises(ClientError, match="IncorrectState"):
        site.client("ec2").detach_volume(VolumeId=volume_id)


def test_a_mounted_volume_can_be_taken_by_force(site: Site) -> None:
    instance_id, volume_id = running(site), volume(site)
    attach(site, volume_id, instance_id)
    site.cloud.settle()
    site.machines.held.add(volume_id)
    site.client("ec2").detach_volume(VolumeId=volume_id)
    site.client("ec2").detach_volume(VolumeId=volume_id, Force=True)
    until(lambda: attached_to(site, volume_id), lambda found: found == [])


def test_a_volume_that_does_not_go_with_its_machine_is_available_afterwards(site: Site) -> None:
    instance_id = running(site)
    disks = {each["DeviceName"]: each["Ebs"]["VolumeId"] for each in site.instance(instance_id)["BlockDeviceMappings"]}
    root = next(volume_id for device, volume_id in disks.items() if device != "/dev/sdf")
    site.client("ec2").terminate_instances(InstanceIds=[instance_id])
    site.cloud.settle()
    assert site.state(instance_id) == "terminated"
    assert shown(site, disks["/dev/sdf"])["State"] == "available"
    with pytest.raises(ClientError, match=r"InvalidVolume\.NotFound"):
        shown(site, root)
    again = running(site)
    attach(site, disks["/dev/sdf"], again)
    site.cloud.settle()
    assert attached_to(site, disks["/dev/sdf"]) == [(again, "attached")]


def test_a_deleted_volume_is_unknown_and_its_disk_destroyed(site: Site) -> None:
    volume_id = volume(site)
    site.client("ec2").delete_volume(VolumeId=volume_id)
    assert volume_id not in site.machines.disks
    with pytest.raises(ClientError, match=r"InvalidVolume\.NotFound"):
        shown(site, volume_id)


def test_the_same_client_token_makes_one_volume(site: Site) -> None:
    assert volume(site, ClientToken="row-1") == volume(site, ClientToken="row-1")


def test_volumes_are_found_by_tag_and_state_in_pages(site: Site) -> None:
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "InstanceId", "Value": "oc-1"}]}]
    made = {volume(site, TagSpecifications=tags) for _ in range(7)}
    volume(site)
    filters = [{"Name": "tag:InstanceId", "Values": ["oc-1"]}, {"Name": "status", "Values": ["available"]}]
    pages = site.client("ec2").get_paginator("describe_volumes").paginate(Filters=filters, PaginationConfig={"PageSize": 5})
    assert {each["VolumeId"] for page in pages for each in page["Volumes"]} == made


def test_a_data_plane_without_snapshots_restores_none(site: Site) -> None:
    snapshot = site.client("ec2").create_snapshot(VolumeId=volume(site))["SnapshotId"]
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        volume(site, SnapshotId=snapshot)
