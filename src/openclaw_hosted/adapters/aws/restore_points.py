"""Restore points: an EBS snapshot each, found by its tag `RestorePointId`.

A snapshot holds a volume as it was at one moment, like a disk after a power failure. While OpenClaw runs on it, its file system is frozen
for that moment, so that all that was written is on the disk, and nothing is half written. CreateSnapshot takes no token: after a lost
answer the snapshot is looked for by its tags, and the call is not repeated.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import structlog

from openclaw_hosted.adapters.aws.archives import AwsArchives
from openclaw_hosted.adapters.aws.brought import Brought, BroughtArchives, told
from openclaw_hosted.adapters.aws.commands import RunCommand
from openclaw_hosted.adapters.aws.fleet import Fleet
from openclaw_hosted.adapters.aws.names import MACHINE_NAME, Tag, as_tags, filters, from_tags
from openclaw_hosted.adapters.aws.sdk import Call, Sdk
from openclaw_hosted.adapters.aws.volumes import AwsVolumes, EbsVolume
from openclaw_hosted.domain.errors import Conflict, NotFound, PortError, StateConflict, Unavailable
from openclaw_hosted.domain.naming import InstanceId, RestorePointId, VolumeId, aside_of
from openclaw_hosted.ports.restore_points import MadePoint, Stage

log = structlog.get_logger("aws")
POINT_NAME: Final = "openclaw-restore-point"
"""The tag `Name` of every restore point."""
DESCRIPTION: Final = "What an instance of OpenClaw Hosted held at a moment."
PAGE: Final = 1000
FROZEN_SECONDS: Final = 20
"""After so long the machine thaws by itself."""
GIB: Final = 1 << 30
NO_ARCHIVES: Final = "On AWS a restore point can't be downloaded. Make a new instance from it, and download that."
NO_BUCKET: Final = (
    "Archives can't be downloaded or imported here: this platform has no bucket for them. Its operator can set ARCHIVES_BUCKET."
)
NOT_RUNNING: Final = "On AWS, an instance has to run while its archive is made. Start it, and try again."


class AwsRestorePoints:
    """The snapshots of one deployment."""

    carries_archives = False

    def __init__(
        self, sdk: Sdk, fleet: Fleet, volumes: AwsVolumes, commands: RunCommand, deployment: str, archives: AwsArchives | None = None,
        brought: BroughtArchives | None = None,
    ) -> None:  # fmt: skip
        self._sdk = sdk
        self._fleet = fleet
        self._volumes = volumes
        self._commands = commands
        self._deployment = deployment
        self._archives = archives
        self._brought = brought

    @property
    def brings_archives(self) -> bool:
        """Whether there is a bucket for that."""
        return self._brought is not None

    @property
    def exports_volumes(self) -> bool:
        """Whether there is a bucket for that."""
        return self._archives is not None

    async def make(self, point_id: RestorePointId, volume_id: VolumeId) -> MadePoint:
        """Begin a snapshot, or tell how far it is; see the port."""
        found = await self._look(tag_RestorePointId=point_id)
        if not found and (brought := await self._find_brought(point_id)):
            return told(brought)
        if not found:
            return self._told(await self._begin(point_id, await self._volumes.existing(volume_id)))
        if any(each["State"] == "error" for each in found):
            await self.remove(point_id)
            raise Unavailable(f"The snapshot failed: {found[0].get('StateMessage') or 'without a reason'}.")
        return self._told(found[0])

    async def restore(self, point_id: RestorePointId, volume_id: VolumeId, instance_id: InstanceId, mark: str, provider_ref: str) -> None:
        """Make a volume in the zone of the machine, and have it take the name of the present one; see the port. What was brought, that
        machine writes itself, once, however often it is asked."""
        present = await self._volumes.find(volume_id)
        if present is not None and await self._is_restored(present, instance_id, mark):
            return
        zone = (await self._fleet.find(provider_ref)).zone
        snapshots = await self._look(tag_RestorePointId=point_id)
        if not snapshots and (brought := await self._find_brought(point_id)):
            if present is None or present.tags.get(Tag.RESTORED_AS) != mark or present.zone != zone:
                await self._set_aside(present, instance_id, mark)
                await self._make_volume(volume_id, instance_id, mark, zone, {}, Size=brought.archives.volume_gib)
            volume = await self._volumes.attach_to(provider_ref, volume_id, instance_id)
            await brought.archives.put_on(brought, provider_ref, instance_id, volume.ref, mark)
            return
        snapshot = _ready(snapshots, point_id)
        await self._set_aside(present, instance_id, mark)
        origin = {Tag.RESTORED_FROM: from_tags(snapshot.get("Tags")).get(Tag.INSTANCE, instance_id)}
        await self._make_volume(volume_id, instance_id, mark, zone, origin, SnapshotId=snapshot["SnapshotId"])

    async def _is_restored(self, present: EbsVolume, instance_id: InstanceId, mark: str) -> bool:
        """Whether that is done already, or a later one is. What was brought says so inside."""
        if present.tags.get(Tag.RESTORED_AS) != mark:
            return await self._volumes.find(aside_of(instance_id, mark)) is not None
        if Tag.RESTORED_FROM in present.tags and present.attached_to is None:
            await self._volumes.settled(present.volume_id, "available")
        return Tag.RESTORED_FROM in present.tags

    async def _set_aside(self, present: EbsVolume | None, instance_id: InstanceId, mark: str) -> None:
        if present is None:
            return
        if present.attached_to is not None:
            raise Conflict(f"Volume {present.volume_id} is attached to machine {present.attached_to}.")
        aside = {Tag.VOLUME: aside_of(instance_id, mark), Tag.INSTANCE: instance_id}
        await self._sdk.call(Call.CREATE_TAGS, Resources=[present.ref], Tags=as_tags(aside))

    async def _make_volume(
        self, volume_id: VolumeId, instance_id: InstanceId, mark: str, zone: str, more: Mapping[str, str], **source: str | int
    ) -> None:
        tags = {
            Tag.NAME: MACHINE_NAME, Tag.DEPLOYMENT: self._deployment, Tag.VOLUME: volume_id, Tag.INSTANCE: instance_id,
            Tag.RESTORED_AS: mark, **more,
        }  # fmt: skip
        await self._sdk.call(
            Call.CREATE_VOLUME,
            AvailabilityZone=zone, VolumeType="gp3", Encrypted=True, **source,
            ClientToken=f"{zone}-{self._deployment}-{volume_id}-{mark}"[:64],
            TagSpecifications=[{"ResourceType": "volume", "Tags": as_tags(tags)}],
        )  # fmt: skip
        self._volumes.forget()
        await self._volumes.settled(volume_id, "available")

    async def remove(self, point_id: RestorePointId) -> None:
        """Delete it. Does nothing where it is gone."""
        for snapshot in await self._look(tag_RestorePointId=point_id):
            with suppress(NotFound):
                await self._sdk.call(Call.DELETE_SNAPSHOT, SnapshotId=snapshot["SnapshotId"])
            log.info("restore point removed", snapshot=snapshot["SnapshotId"], point=point_id, state=snapshot["State"])
        if self._brought is not None:
            await self._brought.remove(point_id)

    async def list(self) -> Sequence[MadePoint]:
        """All that exist."""
        brought = await self._brought.list() if self._brought is not None else ()
        return [*(self._told(each) for each in await self._look() if each["State"] != "error"), *(told(each) for each in brought)]

    async def export(self, point_id: RestorePointId) -> AsyncIterator[bytes]:  # noqa: ARG002
        """Not here."""
        raise StateConflict(NO_ARCHIVES)

    async def export_volume(self, volume_id: VolumeId) -> AsyncIterator[bytes]:
        """By the machine that has the volume; see the port. Raises `StateConflict` where none has it, or there is no bucket."""
        if self._archives is None:
            raise StateConflict(NO_BUCKET)
        volume = await self._volumes.existing(volume_id)
        if volume.attached_to is None or volume.instance_id is None:
            raise StateConflict(NOT_RUNNING)
        return await self._archives.of(volume.instance_id, volume.attached_to, volume.ref)

    async def bring(self, point_id: RestorePointId, content: AsyncIterator[bytes]) -> MadePoint:
        """Into the bucket, once it was checked; see the port. Raises `StateConflict` where there is none."""
        if self._brought is None:
            raise StateConflict(NO_BUCKET)
        return await self._brought.take(point_id, content)

    async def _find_brought(self, point_id: RestorePointId) -> Brought | None:
        return None if self._brought is None else await self._brought.find(point_id)

    async def _begin(self, point_id: RestorePointId, volume: EbsVolume) -> Mapping[str, Any]:
        tags = {Tag.NAME: POINT_NAME, Tag.DEPLOYMENT: self._deployment, Tag.POINT: point_id, Tag.VOLUME: volume.volume_id}
        if volume.instance_id is not None:
            tags[Tag.INSTANCE] = volume.instance_id
        async with self._frozen(volume):
            return await self._sdk.call(
                Call.CREATE_SNAPSHOT, VolumeId=volume.ref, Description=DESCRIPTION,
                TagSpecifications=[{"ResourceType": "snapshot", "Tags": as_tags(tags)}],
            )  # fmt: skip

    @asynccontextmanager
    async def _frozen(self, volume: EbsVolume) -> AsyncIterator[None]:
        """With its file system at rest, where a machine has it. One that does not answer writes nothing, or is about to end: what is on
        the disk then is what a power failure would leave, which file system and databases recover from."""
        if volume.attached_to is None:
            yield
            return
        try:
            await self._commands.run(volume.attached_to, "freeze", seconds=FROZEN_SECONDS)
        except PortError as error:
            log.warning("volume not frozen for its restore point", volume=volume.volume_id, error=str(error))
            yield
            return
        try:
            yield
        finally:
            with suppress(PortError):
                await self._commands.run(volume.attached_to, "thaw")

    def _told(self, snapshot: Mapping[str, Any]) -> MadePoint:
        tags = from_tags(snapshot.get("Tags"))
        instance_id, done = tags.get(Tag.INSTANCE), snapshot["State"] == "completed"
        size = int(snapshot.get("FullSnapshotSizeInBytes") or int(snapshot.get("VolumeSize") or 0) * GIB)
        return MadePoint(
            RestorePointId(tags.get(Tag.POINT, snapshot["SnapshotId"])),
            InstanceId(instance_id) if instance_id else None,
            Stage.READY if done else Stage.CAPTURED,
            size if done else None,
            snapshot["StartTime"].timestamp(),
        )

    async def _look(self, **more: str) -> Sequence[Mapping[str, Any]]:
        wanted = filters(tag_Name=POINT_NAME, tag_Deployment=self._deployment, **more)
        pages = self._sdk.pages(Call.DESCRIBE_SNAPSHOTS, OwnerIds=["self"], Filters=wanted, MaxResults=PAGE)
        return [each async for page in pages for each in page["Snapshots"]]


def _ready(snapshots: Sequence[Mapping[str, Any]], point_id: RestorePointId) -> Mapping[str, Any]:
    if not snapshots:
        raise NotFound(f"There is no restore point {point_id}.")
    if snapshots[0]["State"] != "completed":
        raise Unavailable(f"The restore point {point_id} is not ready.")
    return snapshots[0]
