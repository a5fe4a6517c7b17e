"""Restore points of this computer: an archive of the volume each, in the data directory."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import IO, Any, Final

from openclaw_hosted.adapters.local.backup.archive import writing_to
from openclaw_hosted.adapters.local.backup.errors import BackupFailed
from openclaw_hosted.adapters.local.backup.strangers import ArchiveLimits, receive, take_in
from openclaw_hosted.adapters.local.backup.streaming import PIECE_BYTES, streamed
from openclaw_hosted.adapters.local.backup.volume import Kept
from openclaw_hosted.adapters.local.backup.volume_archive import unpack_volume, write_volume, write_volume_file
from openclaw_hosted.adapters.local.beneath import remove_tree
from openclaw_hosted.adapters.local.files import read_json, write_json
from openclaw_hosted.adapters.local.volumes import FREE_BYTES_WANTED, LocalVolumes
from openclaw_hosted.domain.errors import NotFound, Unavailable
from openclaw_hosted.domain.naming import InstanceId, RestorePointId, VolumeId
from openclaw_hosted.ports.restore_points import MadePoint, Stage

SUFFIX: Final = ".tar.gz"
FACTS: Final = ".json"
PATIENCE_SECONDS: Final = 1.0


class LocalRestorePoints:
    """DIR/restore-points/ID.tar.gz, and ID.json, which is written last. One is made at a time: that takes a core and the disk."""

    carries_archives = True
    brings_archives = True
    exports_volumes = True

    def __init__(
        self, data_dir: Path, volumes: LocalVolumes, limits: ArchiveLimits | None = None, *, free_bytes_wanted: int = FREE_BYTES_WANTED
    ) -> None:
        self._directory = data_dir / "restore-points"
        self._volumes = volumes
        self._limits = limits or ArchiveLimits()
        self._free_bytes_wanted = free_bytes_wanted
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._making: dict[RestorePointId, _Making] = {}
        self._one = asyncio.Semaphore(1)

    async def aclose(self) -> None:
        """What is under way is dropped."""
        await asyncio.gather(*(making.stop() for making in self._making.values()))
        self._making.clear()

    async def make(self, point_id: RestorePointId, volume_id: VolumeId) -> MadePoint:
        """Begin it, go on with it, or tell that it is ready; see the port."""
        if made := await asyncio.to_thread(self._made, point_id):
            return made
        making = self._making.get(point_id)
        if making is None:
            volume = await asyncio.to_thread(self._volumes.folder, volume_id)
            making = self._making[point_id] = _Making(Kept())
            making.task = asyncio.create_task(self._make(point_id, volume_id, volume, making.kept))
        assert making.task is not None
        await asyncio.wait({making.task}, timeout=PATIENCE_SECONDS)
        if making.task.done():
            self._making.pop(point_id, None)
            return making.task.result()
        return MadePoint(point_id, None, Stage.COPYING)

    async def restore(self, point_id: RestorePointId, volume_id: VolumeId, instance_id: InstanceId, mark: str, provider_ref: str) -> None:  # noqa: ARG002 - all machines reach all folders
        """Unpack it beside the volume, and put it in its place; see the port."""
        if await asyncio.to_thread(self._volumes.is_restored, volume_id, instance_id, mark):
            return
        archive = self._archive(point_id)
        await asyncio.to_thread(self._volumes.check_free, volume_id)
        draft = self._volumes.draft_of(volume_id)
        await self._in_thread(lambda: self._volumes.swap(volume_id, unpack_volume(archive, draft), instance_id, mark))

    async def remove(self, point_id: RestorePointId) -> None:
        """Destroy it. Does nothing where it is gone."""
        if making := self._making.pop(point_id, None):
            await making.stop()
        await asyncio.to_thread(self._remove, point_id)

    async def list(self) -> Sequence[MadePoint]:
        """All that are whole."""
        return await asyncio.to_thread(self._list)

    async def export(self, point_id: RestorePointId) -> AsyncIterator[bytes]:
        """The file."""
        file = await asyncio.to_thread(self._archive(point_id).open, "rb")

        async def pieces() -> AsyncIterator[bytes]:
            with file:
                while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
                    yield piece

        return pieces()

    async def export_volume(self, volume_id: VolumeId) -> AsyncIterator[bytes]:
        """An archive that is never a file: whoever reads it sets the pace."""
        volume = await asyncio.to_thread(self._volumes.folder, volume_id)
        return streamed(lambda stream, kept: self._write(stream, volume, kept))

    async def bring(self, point_id: RestorePointId, content: AsyncIterator[bytes]) -> MadePoint:
        """Take it in under the limits for strangers; see the port."""
        with tempfile.TemporaryDirectory(prefix=".brought-", dir=self._directory) as folder:
            path, draft = Path(folder) / "archive", Path(folder) / "draft"
            await receive(content, path, self._limits, self._check_room)
            async with self._one:
                kept = Kept()
                volume = await self._in_thread(lambda: take_in(path, draft, self._limits, self._check_room))
                await self._in_thread(lambda: write_volume_file(self._path(point_id), volume, Path(folder), self._room(), kept))
                await asyncio.to_thread(self._note, point_id, None)
                await asyncio.to_thread(remove_tree, draft)
        made = await asyncio.to_thread(self._made, point_id)
        assert made is not None
        return made

    async def _make(self, point_id: RestorePointId, volume_id: VolumeId, volume: Path, kept: Kept) -> MadePoint:
        async with self._one:
            with tempfile.TemporaryDirectory(prefix=".making-", dir=self._directory) as scratch:
                await self._in_thread(lambda: write_volume_file(self._path(point_id), volume, Path(scratch), self._room(), kept))
            await asyncio.to_thread(self._note, point_id, self._volumes.marked(volume_id))
        made = await asyncio.to_thread(self._made, point_id)
        assert made is not None
        return made

    def _write(self, stream: IO[bytes], volume: Path, kept: Kept) -> None:
        with tempfile.TemporaryDirectory(prefix=".sending-", dir=self._directory) as scratch:
            write_volume(writing_to(stream, kept.check), volume, Path(scratch), 1 << 62, kept)

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise BackupFailed(f"{self._directory.parent} can't be written: {error.strerror}.") from None

    def _room(self) -> int:
        """How much more may be kept here. Raises `Unavailable` where the disk is nearly full: all others need it too."""
        room = shutil.disk_usage(self._directory).free - self._free_bytes_wanted
        if room <= 0:
            raise Unavailable("The disk is nearly full, so no restore point is made, and no archive taken.")
        return room

    def _check_room(self) -> None:
        self._room()

    def _note(self, point_id: RestorePointId, instance_id: InstanceId | None) -> None:
        write_json(self._facts(point_id), {"instance_id": instance_id})

    def _made(self, point_id: RestorePointId) -> MadePoint | None:
        facts, path = read_json(self._facts(point_id)), self._path(point_id)
        if facts is None or not path.is_file():
            return None
        instance_id, there = facts.get("instance_id"), path.stat()
        return MadePoint(point_id, InstanceId(instance_id) if instance_id else None, Stage.READY, there.st_size, there.st_mtime)

    def _list(self) -> Sequence[MadePoint]:
        names = [path.name.removesuffix(SUFFIX) for path in sorted(self._directory.glob(f"*{SUFFIX}")) if not path.name.startswith(".")]
        return [made for name in names if (made := self._made(RestorePointId(name))) is not None]

    def _remove(self, point_id: RestorePointId) -> None:
        for path in (self._facts(point_id), self._path(point_id), *self._directory.glob(f".{point_id}{SUFFIX}.*.part")):
            path.unlink(missing_ok=True)

    def _archive(self, point_id: RestorePointId) -> Path:
        if self._made(point_id) is None:
            raise NotFound(f"There is no restore point {point_id}.")
        return self._path(point_id)

    def _path(self, point_id: RestorePointId) -> Path:
        return self._directory / f"{_checked(point_id)}{SUFFIX}"

    def _facts(self, point_id: RestorePointId) -> Path:
        return self._directory / f"{_checked(point_id)}{FACTS}"


class _Making:
    """One that is under way."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.task: asyncio.Task[MadePoint] | None = None

    async def stop(self) -> None:
        """Have it end, and nothing of it stay."""
        self.kept.stopped.set()
        if self.task is not None:
            await asyncio.gather(self.task, return_exceptions=True)


def _checked(point_id: RestorePointId) -> str:
    if not point_id or "/" in point_id or point_id.startswith("."):
        raise NotFound("That is not the id of a restore point.")
    return point_id
