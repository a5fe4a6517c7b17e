"""Fake restore points: what is kept of a volume is how much was written on it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence

from openclaw_hosted.adapters.fake.cloud import FakeCloud, FakePoint, FakeVolume
from openclaw_hosted.adapters.fake.compute import volume_of
from openclaw_hosted.domain.errors import Conflict, FieldProblem, InvalidInput, NotFound, Unavailable
from openclaw_hosted.domain.naming import InstanceId, RestorePointId, VolumeId, aside_of
from openclaw_hosted.ports.restore_points import MadePoint, Stage

BYTES: int = 1_000_000
"""What each takes."""


class FakeRestorePoints:
    """`RestorePoints` in memory. Its archives are a line of JSON."""

    carries_archives = True
    brings_archives = True
    exports_volumes = True

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud

    async def make(self, point_id: RestorePointId, volume_id: VolumeId) -> MadePoint:
        async with self._cloud.call("points.make"):
            cloud, now = self._cloud, self._cloud.clock.now()
            if point_id not in cloud.points:
                volume = volume_of(cloud, volume_id)
                captured_at = now + cloud.pace.capture()
                cloud.points[point_id] = FakePoint(volume.instance_id, volume.written, now, captured_at, captured_at + cloud.pace.copy())
            point = cloud.points[point_id]
            if point.captured_at > now and volume_id in cloud.volumes:
                point.written = cloud.volumes[volume_id].written
            return self._made(point_id, point)

    async def restore(self, point_id: RestorePointId, volume_id: VolumeId, instance_id: InstanceId, mark: str, provider_ref: str) -> None:
        async with self._cloud.call("points.restore"):
            cloud = self._cloud
            present = cloud.volumes.get(volume_id)
            if present is not None and (present.mark == mark or aside_of(instance_id, mark) in cloud.volumes):
                return
            point = self._ready(point_id)
            if present is not None and present.attached_to is not None:
                raise Conflict(f"Machine {present.attached_to} has the volume.")
            zone = cloud.machine(provider_ref).zone
            if present is not None:
                present.instance_id = instance_id
                cloud.volumes[aside_of(instance_id, mark)] = present
            cloud.volumes[volume_id] = FakeVolume(zone, instance_id, written=point.written, mark=mark)

    async def remove(self, point_id: RestorePointId) -> None:
        async with self._cloud.call("points.remove"):
            self._cloud.points.pop(point_id, None)

    async def list(self) -> Sequence[MadePoint]:
        async with self._cloud.call("points.list"):
            made = [self._made(point_id, point) for point_id, point in self._cloud.points.items()]
            return [each for each in made if each.stage is not Stage.COPYING]

    async def export(self, point_id: RestorePointId) -> AsyncIterator[bytes]:
        async with self._cloud.call("points.export"):
            return _pieces(self._ready(point_id).written)

    async def export_volume(self, volume_id: VolumeId) -> AsyncIterator[bytes]:
        async with self._cloud.call("points.export_volume"):
            return _pieces(volume_of(self._cloud, volume_id).written)

    async def bring(self, point_id: RestorePointId, content: AsyncIterator[bytes]) -> MadePoint:
        body = b"".join([piece async for piece in content])
        async with self._cloud.call("points.bring"):
            try:
                written = int(json.loads(body)["written"])
            except (ValueError, TypeError, KeyError):
                raise InvalidInput(FieldProblem("archive", "This is not an archive of the fake.")) from None
            now = self._cloud.clock.now()
            self._cloud.points[point_id] = FakePoint(None, written, now, now, now)
            return self._made(point_id, self._cloud.points[point_id])

    def _ready(self, point_id: RestorePointId) -> FakePoint:
        point = self._cloud.points.get(point_id)
        if point is None:
            raise NotFound(f"There is no restore point {point_id}.")
        if point.ready_at > self._cloud.clock.now():
            raise Unavailable(f"The restore point {point_id} is not ready.")
        return point

    def _made(self, point_id: RestorePointId, point: FakePoint) -> MadePoint:
        now = self._cloud.clock.now()
        stage = Stage.COPYING if point.captured_at > now else Stage.CAPTURED if point.ready_at > now else Stage.READY
        return MadePoint(point_id, point.instance_id, stage, BYTES if stage is Stage.READY else None, point.began_at)


async def _pieces(written: int) -> AsyncIterator[bytes]:
    yield json.dumps({"written": written}).encode()
