"""Copies of volumes that have no row any more: an EBS snapshot of each, made before the volume goes, and kept for a while after it.

A snapshot is found again by its tags, so that it is made once. It has its own life: nothing but its age removes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog

from openclaw_hosted.adapters.aws.names import Tag, as_tags, filters, from_tags
from openclaw_hosted.adapters.aws.sdk import Call, Sdk
from openclaw_hosted.domain.errors import NotFound, Unavailable
from openclaw_hosted.domain.naming import InstanceId, VolumeId

log = structlog.get_logger("aws")
COPY_NAME: Final = "openclaw-orphaned-volume"
"""The tag `Name` of every copy."""
PAGE: Final = 1000
DESCRIPTION: Final = "A volume that no row of the platform knew, before it was removed."


class VolumeCopies:
    """The snapshots of one deployment."""

    def __init__(self, sdk: Sdk, deployment: str) -> None:
        self._sdk = sdk
        self._deployment = deployment

    async def ensure(self, ref: str, volume_id: VolumeId, instance_id: InstanceId | None) -> bool:
        """Whether there is a complete snapshot of the volume that EC2 calls `ref`; begins one where there is none.

        Raises `Unavailable` where it failed; the next call begins another.
        """
        found = await self._look(volume_id=ref)
        if any(each["State"] == "completed" for each in found):
            return True
        for failed in (each for each in found if each["State"] == "error"):
            await self._remove(failed)
            raise Unavailable(f"The snapshot of {ref} failed: {failed.get('StateMessage') or 'without a reason'}.")
        if not found:
            await self._begin(ref, volume_id, instance_id)
        return False

    async def expire(self, before: float) -> Sequence[VolumeId]:
        """Remove those that were begun before this moment; returns whose they were."""
        due = [each for each in await self._look() if each["StartTime"].timestamp() < before]
        for each in due:
            await self._remove(each)
        return [VolumeId(from_tags(each.get("Tags")).get(Tag.VOLUME, each["VolumeId"])) for each in due]

    async def _begin(self, ref: str, volume_id: VolumeId, instance_id: InstanceId | None) -> None:
        tags = {Tag.NAME: COPY_NAME, Tag.DEPLOYMENT: self._deployment, Tag.VOLUME: volume_id}
        if instance_id is not None:
            tags[Tag.INSTANCE] = instance_id
        await self._sdk.call(
            Call.CREATE_SNAPSHOT, VolumeId=ref, Description=DESCRIPTION,
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": as_tags(tags)}],
        )  # fmt: skip

    async def _remove(self, snapshot: Mapping[str, Any]) -> None:
        with suppress(NotFound):
            await self._sdk.call(Call.DELETE_SNAPSHOT, SnapshotId=snapshot["SnapshotId"])
        log.info("copy of a volume removed", snapshot=snapshot["SnapshotId"], volume=snapshot["VolumeId"], state=snapshot["State"])

    async def _look(self, **more: str) -> Sequence[Mapping[str, Any]]:
        wanted = filters(tag_Name=COPY_NAME, tag_Deployment=self._deployment, **more)
        pages = self._sdk.pages(Call.DESCRIBE_SNAPSHOTS, OwnerIds=["self"], Filters=wanted, MaxResults=PAGE)
        return [each async for page in pages for each in page["Snapshots"]]
