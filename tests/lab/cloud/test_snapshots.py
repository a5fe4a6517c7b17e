"""Snapshots, by EC2's API reference: CreateSnapshot, DescribeSnapshots, and its list of error codes."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab.cloud.support import Site
from tests.lab.cloud.test_volumes import volume

TAGS = [{"ResourceType": "snapshot", "Tags": [{"Key": "Deployment", "Value": "openclaw"}]}]


def snapshot(site: Site, volume_id: str) -> str:
    return str(site.client("ec2").create_snapshot(VolumeId=volume_id, TagSpecifications=TAGS)["SnapshotId"])


def listed(site: Site, **asked: Any) -> dict[str, str]:
    return {each["SnapshotId"]: each["State"] for each in site.client("ec2").describe_snapshots(OwnerIds=["self"], **asked)["Snapshots"]}


def test_a_snapshot_is_pending_for_a_while_and_outlives_its_volume(site: Site) -> None:
    site.cloud.delays.snapshot_seconds = 60
    volume_id = volume(site)
    made = snapshot(site, volume_id)
    assert listed(site) == {made: "pending"}
    site.pass_time(60)
    assert listed(site) == {made: "completed"}
    site.client("ec2").delete_volume(VolumeId=volume_id)
    by_tag, by_volume = {"Name": "tag:Deployment", "Values": ["openclaw"]}, {"Name": "volume-id", "Values": [volume_id]}
    assert listed(site, Filters=[by_tag, by_volume]) == {made: "completed"}
    site.client("ec2").delete_snapshot(SnapshotId=made)
    assert listed(site) == {}
    with pytest.raises(ClientError, match=r"InvalidSnapshot\.NotFound"):
        site.client("ec2").delete_snapshot(SnapshotId=made)


def test_a_snapshot_may_fail(site: Site) -> None:
    volume_id = volume(site)
    site.cloud.snapshots.failing.add(volume_id)
    failed = snapshot(site, volume_id)
    assert listed(site) == {failed: "error"}
    again = snapshot(site, volume_id)
    assert listed(site)[again] == "completed"


def test_there_are_fifteen_seconds_between_two_that_are_under_way(site: Site) -> None:
    site.cloud.delays.snapshot_seconds = 60
    volume_id = volume(site)
    snapshot(site, volume_id)
    with pytest.raises(ClientError, match="SnapshotCreationPerVolumeRateExceeded"):
        snapshot(site, volume_id)
    site.pass_time(15)
    snapshot(site, volume_id)
