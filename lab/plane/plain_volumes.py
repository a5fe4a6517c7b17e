"""The disks of plain machines: folders that outlive their machines."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

CONFIG_FILE: Final = "state/openclaw.json"
DISK_BYTES: Final = 1 << 20
"""Of a disk itself: what the machine's script looks at, to see whether it is empty."""
FILE_SYSTEM: Final = b"a file system"

Stamp = tuple[int, int, int]


@dataclass(slots=True)
class PlainVolume:
    """A disk and what a gateway keeps on it."""

    volume_id: str
    size_gib: int
    place: Path
    attached_to: str | None = None
    device: str | None = None
    mounted: bool = False
    conversation: list[dict[str, str]] = field(default_factory=list)
    """Turns: `session`, `user`, `reply`."""
    frozen: bool = False
    """Whether its file system takes no writes, and all that was written is on the disk."""
    claimed: bool = False
    """Whether its gateway noted that a spare got an owner."""
    _read: tuple[Stamp, dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.disk.open("ab") as disk:
            disk.truncate(DISK_BYTES)

    @property
    def folder(self) -> Path:
        """What is in its file system."""
        return self.place / "content"

    @property
    def disk(self) -> Path:
        """What stands for the disk as such."""
        return self.place / "disk"

    @property
    def formatted(self) -> bool:
        """Whether it has a file system."""
        with self.disk.open("rb") as disk:
            return disk.read(len(FILE_SYSTEM)) == FILE_SYSTEM

    def copied(self, volume_id: str, place: Path) -> PlainVolume:
        """Another one that holds the same, attached to nothing."""
        shutil.copytree(self.place, place, symlinks=True)
        return replace(
            self, volume_id=volume_id, place=place, attached_to=None, device=None, mounted=False, conversation=list(self.conversation),
            _read=None,
        )  # fmt: skip

    def format(self) -> None:
        """Make one."""
        with self.disk.open("r+b") as disk:
            disk.write(FILE_SYSTEM)

    @property
    def mark(self) -> str | None:
        """The instance whose data it holds."""
        try:
            return (self.folder / "instance-id").read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None

    @mark.setter
    def mark(self, instance_id: str) -> None:
        (self.folder / "instance-id").write_text(f"{instance_id}\n", encoding="utf-8")

    @property
    def config(self) -> Mapping[str, Any]:
        """What stands in openclaw.json; nothing where that can't be read."""
        try:
            found = (self.folder / CONFIG_FILE).stat()
            stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
            if self._read is None or self._read[0] != stamp:
                self._read = stamp, json.loads((self.folder / CONFIG_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return self._read[1]

    @config.setter
    def config(self, content: Mapping[str, Any]) -> None:
        replace_json(self.folder / CONFIG_FILE, content)


class PlainVolumes:
    """All disks, by id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._all: dict[str, PlainVolume] = {}
        self._kept: dict[str, PlainVolume] = {}
        """Snapshots, by id."""

    def create(self, volume_id: str, size_gib: int) -> None:
        """Make an empty one, unless it is there."""
        with self._lock:
            if volume_id not in self._all:
                self._all[volume_id] = PlainVolume(volume_id, size_gib, self._folder / volume_id)

    def delete(self, volume_id: str) -> None:
        """Destroy it. Raises `ValueError` while it is attached."""
        with self._lock:
            volume = self._all.get(volume_id)
            if volume is None:
                return
            if volume.attached_to is not None:
                raise ValueError(f"{volume_id} is attached to {volume.attached_to}.")
            del self._all[volume_id]
        shutil.rmtree(volume.place)

    def snapshot(self, volume_id: str, snapshot_id: str) -> None:
        """Keep what it holds now. Raises `LookupError`."""
        with self._lock:
            self._kept[snapshot_id] = self._all[volume_id].copied(volume_id, self._folder / "snapshots" / snapshot_id)

    def restore(self, snapshot_id: str, volume_id: str, size_gib: int) -> None:
        """Make one that holds what a snapshot does. Raises `LookupError`."""
        with self._lock:
            kept = self._kept[snapshot_id]
            if volume_id not in self._all:
                self._all[volume_id] = replace(kept.copied(volume_id, self._folder / volume_id), size_gib=size_gib, frozen=False)

    def kept(self, snapshot_id: str) -> PlainVolume:
        """What a snapshot holds. Raises `LookupError`."""
        with self._lock:
            return self._kept[snapshot_id]

    def get(self, volume_id: str) -> PlainVolume:
        """Raises `LookupError`."""
        with self._lock:
            return self._all[volume_id]

    def attach(self, volume_id: str, instance_id: str, device: str) -> PlainVolume:
        """Give it to a machine. Raises `LookupError`, and `ValueError` while another one has it."""
        with self._lock:
            volume = self._all[volume_id]
            if volume.attached_to not in (None, instance_id):
                raise ValueError(f"{volume_id} is attached to {volume.attached_to}.")
            volume.attached_to, volume.device = instance_id, device
            return volume

    def detach(self, volume_id: str) -> None:
        """Take it away, mounted or not."""
        with self._lock:
            volume = self._all[volume_id]
            volume.attached_to, volume.device, volume.mounted = None, None, False

    def attached_to(self, instance_id: str) -> list[PlainVolume]:
        """The disks of a machine."""
        with self._lock:
            return [volume for volume in self._all.values() if volume.attached_to == instance_id]

    def all(self) -> list[PlainVolume]:
        """Every disk that was not deleted."""
        with self._lock:
            return list(self._all.values())


def replace_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file as the image's program does: whole, an entry a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(f"{json.dumps(content, indent=1, ensure_ascii=False)}\n", encoding="utf-8")
    draft.replace(path)
