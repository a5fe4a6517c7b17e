"""An instance that runs on a machine of the fast lab, without a control plane."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lab.plane.plain_volumes import PlainVolume
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.domain.errors import NotFound, Unavailable
from openclaw_hosted.domain.gateway import Credential, GatewaySpec
from openclaw_hosted.domain.naming import InstanceId, VolumeId, volume_of
from openclaw_hosted.ports.gateways import Seat
from openclaw_hosted.ports.machines import LaunchSpec
from tests.integration.aws.world import AwsWorld
from tests.support.seats import seat
from tests.support.waiting import until

IDS = SystemIds()
BUCKET = "states-on-their-way"


@dataclass
class Running:
    """One, with what is its machine's and its volume's."""

    instance_id: InstanceId
    ref: str
    place: Seat
    volume_id: VolumeId
    volume: PlainVolume


@asynccontextmanager
async def running(world: AwsWorld, provided: Provided) -> AsyncIterator[Running]:
    """Have one run for the length of a block; its machine ends with it."""
    instance_id = IDS.instance_id(0)
    launch = LaunchSpec(IDS.machine_id(), volume_of(instance_id), instance_id, "lab")
    ref = await provided.machines.launch(launch)
    await provided.volumes.create(launch.volume_id, ref)
    await provided.vault.put(instance_id, {Credential.GATEWAY_TOKEN: "a-token"}, 0)
    await provided.vault.grant(instance_id, ref)
    gateway = GatewaySpec(instance_id, 1, launch.volume_id, "lab")
    place = seat(ref, gateway)

    async def started() -> bool:
        try:
            await provided.gateways.start(place, gateway)
        except (NotFound, Unavailable):
            return False
        return True

    await until(started)
    (volume,) = world.lab.machines.volumes.attached_to(ref)
    yield Running(instance_id, ref, place, launch.volume_id, volume)
    volume.mark = instance_id
    await provided.machines.terminate(ref)


def with_bucket(world: AwsWorld) -> None:
    """Have the account hold the bucket."""
    s3 = world.lab.site.client("s3")
    if not s3.list_buckets()["Buckets"]:
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})


def left_behind(world: AwsWorld, kind: str) -> list[str]:
    """Objects in the bucket, and secrets of this kind that tell addresses."""
    site = world.lab.site
    objects = [each["Key"] for each in site.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", ())]
    secrets = [each["Name"] for each in site.client("secretsmanager").list_secrets()["SecretList"] if f"/{kind}/" in each["Name"]]
    return objects + secrets
