"""Archives that users bring: checked and unpacked here, kept in the bucket, written by the very machine that is to run them (decision 113).

A stranger's archive is taken in under the limits of every provider, before anything leaves this computer. What goes into the bucket is a
plain tar of files, folders and links that this process made itself, named after its restore point and its own SHA-256. The bucket removes
it after a day, as the platform does. No machine sees it but the one that was claimed for its user's new instance.
"""

from __future__ import annotations

import asyncio
import shutil
import tarfile
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from openclaw_hosted.adapters.aws.bucket import Passage, Stored, digest_of
from openclaw_hosted.adapters.aws.commands import RunCommand
from openclaw_hosted.adapters.local.backup.strangers import ArchiveLimits, receive, take_in
from openclaw_hosted.adapters.local.backup.volume import Kept
from openclaw_hosted.adapters.local.backup.volume_archive import unpack_volume, write_volume_file
from openclaw_hosted.adapters.local.beneath import remove_tree
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput, Unavailable
from openclaw_hosted.domain.naming import InstanceId, RestorePointId
from openclaw_hosted.ports.restore_points import MadePoint, Stage

MOST_BYTES: Final = 4 << 30
"""Of a parcel: it has to fit into one upload."""
SHARE_OF_VOLUME: Final = 0.45
"""What a parcel may take of a volume, which holds it twice for a moment."""
FREE_BYTES_WANTED: Final = 2 << 30
"""Of this computer's disk, which all others need too."""
ENTRY_BYTES: Final = 1024
"""What a file takes in a tar beside its content, at most on average."""
OWNER: Final = 1000
"""Who a gateway runs as."""


@dataclass(frozen=True, slots=True)
class Brought:
    """One that is in the bucket."""

    point_id: RestorePointId
    digest: str
    stored: Stored
    archives: BroughtArchives
    """Those that it is one of."""


class BroughtArchives:
    """Those of one deployment. One is unpacked at a time: that takes a core and the disk."""

    def __init__(self, commands: RunCommand, passage: Passage, work: Path, limits: ArchiveLimits, volume_gib: int) -> None:
        """`work` is a folder of this computer for what is on its way."""
        most = min(MOST_BYTES, int((volume_gib << 30) * SHARE_OF_VOLUME))
        self.volume_gib = volume_gib
        self._commands = commands
        self._passage = passage
        self._work = work
        self._limits = ArchiveLimits(limits.packed_bytes, min(limits.unpacked_bytes, most), limits.entries, limits.ratio)
        self._one = asyncio.Semaphore(1)

    async def take(self, point_id: RestorePointId, content: AsyncIterator[bytes]) -> MadePoint:
        """Check an archive, and keep it. Raises `InvalidInput`, and `Unavailable` where disk or bucket take nothing."""
        self._work.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._work) as folder:
            archive, parcel = Path(folder) / "archive", Path(folder) / "parcel.tar"
            await receive(content, archive, self._limits, self._check_room)
            async with self._one:
                await asyncio.to_thread(self._repack, archive, parcel)
            key = f"{self._prefix(point_id)}{await asyncio.to_thread(digest_of, parcel)}"
            await self._passage.bucket.put_file(key, parcel)
        found = await self.find(point_id)
        if found is None:
            raise Unavailable("The bucket did not keep the archive. Try again.")
        return told(found)

    async def list(self) -> Sequence[Brought]:
        """All that are kept."""
        return [self._named(each) for each in await self._passage.bucket.list(self._prefix())]

    async def find(self, point_id: RestorePointId) -> Brought | None:
        """One, if it is kept."""
        return next((self._named(each) for each in await self._passage.bucket.list(self._prefix(point_id))), None)

    async def remove(self, point_id: RestorePointId) -> None:
        """Destroy it. Does nothing where it is gone."""
        for each in await self._passage.bucket.list(self._prefix(point_id)):
            await self._passage.bucket.delete(each.key)

    async def put_on(self, brought: Brought, provider_ref: str, instance_id: InstanceId, volume_ref: str, mark: str) -> None:
        """Have this machine write it onto its new, empty volume; does nothing once it did. Raises any `PortError` of machine and bucket."""
        async with self._passage.told(instance_id, provider_ref, "get_object", brought.stored.key) as secret:
            await self._commands.run_states(
                provider_ref, "bring", instance=instance_id, volume=volume_ref, mark=mark, secret=secret, sum=brought.digest
            )

    def _prefix(self, point_id: RestorePointId | None = None) -> str:
        return f"{self._passage.deployment}/brought/" + (f"{point_id}/" if point_id else "")

    def _repack(self, archive: Path, parcel: Path) -> None:
        """What the archive holds, as our own archives do: databases whole, nothing of a platform's."""
        draft, own = archive.parent / "draft", archive.parent / "own.tar.gz"
        volume = take_in(archive, draft, self._limits, self._check_room)
        archive.unlink()
        write_volume_file(own, volume, archive.parent, self._limits.unpacked_bytes, Kept())
        remove_tree(draft)
        volume = unpack_volume(own, draft, lambda _: self._check_room())
        own.unlink()
        pack(volume, parcel, self._limits.unpacked_bytes)

    def _named(self, stored: Stored) -> Brought:
        *_, point_id, digest = stored.key.split("/")
        return Brought(RestorePointId(point_id), digest, stored, self)

    def _check_room(self) -> None:
        if shutil.disk_usage(self._work).free < FREE_BYTES_WANTED:
            raise Unavailable("The platform's disk is nearly full, so no archive is taken. Try again later, or tell its operator.")


def told(brought: Brought) -> MadePoint:
    """For whoever asks for restore points."""
    return MadePoint(brought.point_id, None, Stage.READY, brought.stored.size_bytes, brought.stored.stored_at)


def pack(volume: Path, parcel: Path, most_bytes: int) -> None:
    """Write `state` and `home` of a volume as a tar. Files with holes are written out in full. Raises `InvalidInput`."""
    paths = sorted(path for name in ("state", "home") for path in (volume / name, *(volume / name).rglob("*")))
    if sum(ENTRY_BYTES + path.lstat().st_size for path in paths) > most_bytes:
        raise InvalidInput(
            FieldProblem("archive", f"Unpacked it is larger than {most_bytes >> 20} MB, which is the most that is taken here.")
        )
    with tarfile.open(parcel, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in paths:
            tar.add(path, str(path.relative_to(volume)), recursive=False, filter=_as_gateways)


def _as_gateways(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = OWNER
    member.uname = member.gname = ""
    member.mode &= 0o777
    return member
