"""Snapshots of volumes that nobody's row knows, in the fast lab."""

from __future__ import annotations

import time

import pytest

from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.domain.errors import Conflict, NotFound, Unavailable
from openclaw_hosted.domain.naming import VolumeId
from openclaw_hosted.ports.machines import LaunchSpec
from openclaw_hosted.ports.volumes import Volumes
from tests.integration.aws.world import AwsWorld
from tests.support.aws import provided_on

IDS = SystemIds()


async def marked(world: AwsWorld, volumes: Volumes) -> tuple[VolumeId, str]:
    """A volume with an instance's data, on no machine; and its name in EC2."""
    volume_id, instance_id = IDS.volume_id(), IDS.instance_id(0)
    tags = {"Name": "openclaw-user-instance", "Deployment": "openclaw", "VolumeId": volume_id}
    made = world.lab.site.client("ec2").create_volume(
        AvailabilityZone="us-west-2a", Size=1,
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}],
    )  # fmt: skip
    await volumes.mark(volume_id, instance_id)
    return volume_id, made["VolumeId"]


def snapshots(world: AwsWorld, ref: str) -> list[dict[str, str]]:
    """The tags of each snapshot of a volume."""
    found = world.lab.site.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "volume-id", "Values": [ref]}])
    return [{tag["Key"]: tag["Value"] for tag in each["Tags"]} for each in found["Snapshots"]]


async def test_a_copy_is_made_once_names_whose_it_is_and_goes_by_its_age(world: AwsWorld) -> None:
    world.lab.cloud.delays.snapshot_seconds = 1000.0
    async with provided_on(world.lab.site) as provided:
        volumes = provided.volumes
        volume_id, ref = await marked(world, volumes)
        try:
            assert [await volumes.preserve(volume_id) for _ in range(3)] == [False] * 3
        finally:
            world.lab.cloud.delays.snapshot_seconds = 0.0
        assert await volumes.preserve(volume_id)
        (tags,) = snapshots(world, ref)
        assert tags["Name"] == "openclaw-orphaned-volume"
        assert (tags["Deployment"], tags["VolumeId"]) == ("openclaw", volume_id)
        assert tags["InstanceId"].startswith("oc-")
        assert list(await volumes.expire_copies(time.time() - 60)) == []
        assert list(await volumes.expire_copies(time.time() + 60)) == [volume_id]
        assert snapshots(world, ref) == []


async def test_a_lost_answer_makes_no_second_copy(world: AwsWorld) -> None:
    async with provided_on(world.lab.site) as provided:
        volume_id, ref = await marked(world, provided.volumes)
        world.lab.cloud.faults.lose("ec2:CreateSnapshot")
        with pytest.raises(Unavailable):
            await provided.volumes.preserve(volume_id)
        assert await provided.volumes.preserve(volume_id)
        assert len(snapshots(world, ref)) == 1
        await provided.volumes.expire_copies(time.time() + 60)
        assert snapshots(world, ref) == []


async def test_a_copy_that_failed_is_told_and_made_again(world: AwsWorld) -> None:
    async with provided_on(world.lab.site) as provided:
        volume_id, ref = await marked(world, provided.volumes)
        world.lab.cloud.snapshots.failing.add(ref)
        assert not await provided.volumes.preserve(volume_id)
        with pytest.raises(Unavailable, match="failed"):
            await provided.volumes.preserve(volume_id)
        assert not await provided.volumes.preserve(volume_id)
        assert await provided.volumes.preserve(volume_id)
        assert len(snapshots(world, ref)) == 1
        await provided.volumes.expire_copies(time.time() + 60)


async def test_what_is_in_use_or_unknown_is_not_copied(world: AwsWorld) -> None:
    async with provided_on(world.lab.site) as provided:
        with pytest.raises(NotFound):
            await provided.volumes.preserve(IDS.volume_id())
        spec = LaunchSpec(IDS.machine_id(), IDS.volume_id(), IDS.instance_id(0), "lab")
        await provided.volumes.create(spec.volume_id, await provided.machines.launch(spec))
        with pytest.raises(Conflict):
            await provided.volumes.preserve(spec.volume_id)
