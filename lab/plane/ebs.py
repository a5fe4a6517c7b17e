"""EBS volumes: sparse files behind loop devices, which appear in a machine as its Nitro disks do."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.plane.docker import ToolFailed, run
from lab.plane.home import LabHome

LOOP_MAJOR: Final = 7
TRIES: Final = 20
GIB: Final = 1 << 30


@dataclass(slots=True)
class Disk:
    """One volume; `loop` is its device on the host while it is attached."""

    volume_id: str
    file: Path
    attached_to: str | None = None
    device: str | None = None
    loop: str | None = None

    @property
    def link(self) -> str:
        """Its name in a machine that does not depend on the order of attaching."""
        return f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{self.volume_id.replace('-', '')}"


class Disks:
    """All volumes of a lab."""

    def __init__(self, home: LabHome) -> None:
        self._directory = home.directory / "volumes"
        self._directory.mkdir()
        self._lock = threading.RLock()
        self._all: dict[str, Disk] = {}

    def create(self, volume_id: str, size_gib: int) -> None:
        """Make an empty one, unless it is there. Takes no room before it is written to."""
        with self._lock:
            if volume_id not in self._all:
                file = self._directory / f"{volume_id}.img"
                with file.open("wb") as content:
                    content.truncate(size_gib * GIB)
                self._all[volume_id] = Disk(volume_id, file)

    def snapshot(self, volume_id: str, snapshot_id: str) -> None:
        """Keep its blocks as they are now. Raises `LookupError`."""
        with self._lock:
            run("cp", "--sparse=always", str(self._all[volume_id].file), str(self._snapshot(snapshot_id)))

    def restore(self, snapshot_id: str, volume_id: str, size_gib: int) -> None:
        """Make one with these blocks. Raises `LookupError` for a snapshot that is not kept."""
        with self._lock:
            kept, file = self._snapshot(snapshot_id), self._directory / f"{volume_id}.img"
            if not kept.exists():
                raise LookupError(snapshot_id)
            run("cp", "--sparse=always", str(kept), str(file))
            os.truncate(file, size_gib * GIB)
            self._all[volume_id] = Disk(volume_id, file)

    def _snapshot(self, snapshot_id: str) -> Path:
        return self._directory / f"{snapshot_id}.img"

    def get(self, volume_id: str) -> Disk:
        """Raises `LookupError`."""
        with self._lock:
            return self._all[volume_id]

    def delete(self, volume_id: str) -> None:
        """Destroy it. Raises `ValueError` while it is attached."""
        with self._lock:
            disk = self._all.get(volume_id)
            if disk is not None and disk.attached_to is not None:
                raise ValueError(f"{volume_id} is attached to {disk.attached_to}.")
            if disk is not None:
                disk.file.unlink()
                del self._all[volume_id]

    def attach(self, volume_id: str, instance_id: str, device: str) -> Disk:
        """Give it to a machine, under this device name. Raises `LookupError`, and `ValueError` while another one has it."""
        with self._lock:
            disk = self._all[volume_id]
            if disk.attached_to not in (None, instance_id):
                raise ValueError(f"{volume_id} is attached to {disk.attached_to}.")
            disk.attached_to, disk.device = instance_id, device
            disk.loop = disk.loop or _loop(disk.file)
            return disk

    def release(self, volume_id: str) -> None:
        """Take it from its machine. Raises `BlockingIOError` while it is mounted anywhere."""
        with self._lock:
            disk = self._all[volume_id]
            if disk.loop is not None:
                if is_in_use(disk.loop):
                    raise BlockingIOError(errno.EBUSY, f"{volume_id} is in use")
                run("losetup", "--detach", disk.loop)
            disk.attached_to = disk.device = disk.loop = None

    def attached_to(self, instance_id: str) -> list[Disk]:
        """The disks of a machine."""
        with self._lock:
            return [disk for disk in self._all.values() if disk.attached_to == instance_id]


def is_in_use(device: str) -> bool:
    """Whether a block device is mounted, in whichever namespace: the kernel refuses to open it exclusively then."""
    try:
        os.close(os.open(device, os.O_RDONLY | os.O_EXCL))
    except OSError as problem:
        if problem.errno != errno.EBUSY:
            raise
        return True
    return False


def minor(device: str) -> int:
    """The number of a loop device."""
    return os.minor(Path(device).stat().st_rdev)


def _loop(file: Path) -> str:
    """A loop device over the file. A free one may lack its node where no udev makes it; another process may take it first."""
    for _ in range(TRIES):
        device = run("losetup", "--find")
        with contextlib.suppress(FileExistsError):
            os.mknod(device, 0o600 | stat.S_IFBLK, os.makedev(LOOP_MAJOR, int(device.removeprefix("/dev/loop"))))
        with contextlib.suppress(ToolFailed):
            run("losetup", device, str(file))
            return device
    raise OSError("no loop device is free")
