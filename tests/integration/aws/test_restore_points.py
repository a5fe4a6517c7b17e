"""Restore points as EBS snapshots, in the fast lab."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lab.plane.plain_volumes import PlainVolume
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.domain.errors import NotFound, Unavailable
from openclaw_hosted.domain.gateway import Credential, GatewaySpec
from openclaw_hosted.domain.naming import InstanceId, volume_of
from openclaw_hosted.ports.machines import LaunchSpec
from openclaw_hosted.ports.restore_points import Stage
from tests.integration.aws.running import running
from tests.integration.aws.world import AwsWorld
from tests.support.aws import provided_on
from tests.support.seats import seat
from tests.support.waiting import until

IDS = SystemIds()


def marked(world: AwsWorld, instance_id: InstanceId) -> str:
    """A volume with an instance's data, on no machine; its name in EC2."""
    tags = {"Name": "openclaw-user-instance", "Deployment": "openclaw", "VolumeId": volume_of(instance_id), "InstanceId": instance_id}
    made = world.lab.site.client("ec2").create_volume(
        AvailabilityZone="us-west-2a", Size=1,
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}],
    )  # fmt: skip
    return str(made["VolumeId"])


def snapshots(world: AwsWorld, ref: str) -> dict[str, dict[str, str]]:
    """The tags of each snapshot of a volume, by its id."""
    found = world.lab.site.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "volume-id", "Values": [ref]}])
    return {each["SnapshotId"]: {tag["Key"]: tag["Value"] for tag in each["Tags"]} for each in found["Snapshots"]}


async def test_a_snapshot_captures_at_once_is_ready_later_and_says_whose_it_is(world: AwsWorld) -> None:
    instance_id, point_id = IDS.instance_id(0), IDS.restore_point_id()
    world.lab.cloud.delays.snapshot_seconds = 1000.0
    async with provided_on(world.lab.site) as provided:
        ref = marked(world, instance_id)
        try:
            stages = [(await provided.points.make(point_id, volume_of(instance_id))).stage for _ in range(3)]
        finally:
            world.lab.cloud.delays.snapshot_seconds = 0.0
        assert stages == [Stage.CAPTURED] * 3
        assert (await provided.points.make(point_id, volume_of(instance_id))).stage is Stage.READY
        (tags,) = snapshots(world, ref).values()
        assert tags == {
            "Name": "openclaw-restore-point", "Deployment": "openclaw", "RestorePointId": point_id, "VolumeId": volume_of(instance_id),
            "InstanceId": instance_id,
        }  # fmt: skip
        await provided.points.remove(point_id)
        assert snapshots(world, ref) == {}


async def test_a_lost_answer_makes_no_second_snapshot(world: AwsWorld) -> None:
    instance_id, point_id = IDS.instance_id(0), IDS.restore_point_id()
    async with provided_on(world.lab.site) as provided:
        ref = marked(world, instance_id)
        world.lab.cloud.faults.lose("ec2:CreateSnapshot")
        with pytest.raises(Unavailable):
            await provided.points.make(point_id, volume_of(instance_id))
        assert (await provided.points.make(point_id, volume_of(instance_id))).stage is Stage.READY
        assert len(snapshots(world, ref)) == 1
        await provided.points.remove(point_id)


async def test_a_snapshot_that_failed_is_told_and_made_again(world: AwsWorld) -> None:
    instance_id, point_id = IDS.instance_id(0), IDS.restore_point_id()
    async with provided_on(world.lab.site) as provided:
        ref = marked(world, instance_id)
        world.lab.cloud.snapshots.failing.add(ref)
        await provided.points.make(point_id, volume_of(instance_id))
        with pytest.raises(Unavailable, match="failed"):
            await provided.points.make(point_id, volume_of(instance_id))
        assert point_id not in {each.point_id for each in await provided.points.list()}
        await provided.points.make(point_id, volume_of(instance_id))
        assert (await provided.points.make(point_id, volume_of(instance_id))).stage is Stage.READY
        assert len(snapshots(world, ref)) == 1
        await provided.points.remove(point_id)


async def test_a_volume_in_use_is_frozen_for_its_snapshot_and_thaws(world: AwsWorld) -> None:
    async with provided_on(world.lab.site) as provided:
        instance_id, point_id = IDS.instance_id(0), IDS.restore_point_id()
        spec = LaunchSpec(IDS.machine_id(), volume_of(instance_id), instance_id, "lab")
        ref = await provided.machines.launch(spec)
        await provided.volumes.create(spec.volume_id, ref)
        await provided.vault.put(instance_id, {Credential.GATEWAY_TOKEN: "a-token"}, 0)
        await provided.vault.grant(instance_id, ref)
        gateway = GatewaySpec(instance_id, 0, spec.volume_id, "lab")

        async def started() -> bool:
            try:
                await provided.gateways.start(seat(ref, gateway), gateway)
            except (NotFound, Unavailable):
                return False
            return True

        await until(started)
        await provided.points.make(point_id, spec.volume_id)
        (volume,) = world.lab.machines.volumes.attached_to(ref)
        (snapshot_id,) = snapshots(world, volume.volume_id)
        assert world.lab.machines.volumes.kept(snapshot_id).frozen
        assert not volume.frozen
        await provided.points.remove(point_id)
        await provided.machines.terminate(ref)


@contextmanager
def talking(volume: PlainVolume, database: Path) -> Iterator[list[int]]:
    """OpenClaw writes to a database, a checkpoint every few turns, whenever its file system takes writes; what it committed so far."""
    said, ended = [0], threading.Event()
    with closing(sqlite3.connect(database, isolation_level=None)) as opened:
        for statement in ("journal_mode=WAL", "wal_autocheckpoint=5"):
            opened.execute(f"PRAGMA {statement}")
        opened.execute("CREATE TABLE said (number INTEGER PRIMARY KEY, line TEXT)")
        opened.execute("CREATE INDEX lines ON said (line)")

    def talk() -> None:
        with closing(sqlite3.connect(database, isolation_level=None)) as opened:
            opened.execute("PRAGMA wal_autocheckpoint=5")
            while not ended.wait(0.002):
                if not volume.frozen:
                    opened.execute("INSERT INTO said VALUES (?, ?)", (said[0] + 1, f"{said[0]}" * 200))
                    said[0] += 1

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield said
    finally:
        ended.set()
        thread.join()


async def test_a_database_that_is_written_to_all_the_time_is_whole_in_a_restored_snapshot(world: AwsWorld) -> None:
    point_id, other = IDS.restore_point_id(), IDS.instance_id(0)
    async with provided_on(world.lab.site) as provided, running(world, provided) as instance:
        folder = Path("state") / "state"
        (instance.volume.folder / folder).mkdir(exist_ok=True)
        with talking(instance.volume, instance.volume.folder / folder / "openclaw.sqlite") as said:
            await until(lambda: said[0] > 20)
            before = said[0]
            await provided.points.make(point_id, instance.volume_id)
            captured = said[0]
            await until(lambda: said[0] > captured)
        await provided.points.restore(point_id, volume_of(other), other, other, instance.ref)
        (made,) = [each for each in world.lab.machines.volumes.all() if each.attached_to is None and each.mark == instance.instance_id]
        with closing(sqlite3.connect(made.folder / folder / "openclaw.sqlite")) as restored:
            assert restored.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            (count,) = restored.execute("SELECT count(*) FROM said").fetchone()
        assert before <= count <= captured
        await provided.points.remove(point_id)
