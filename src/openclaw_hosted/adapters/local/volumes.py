"""Volumes: a directory for each, with a mark that says whose data it holds."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from openclaw_hosted.adapters.local.beneath import Walk, remove_tree
from openclaw_hosted.adapters.local.files import locked, subfolders, write_atomically
from openclaw_hosted.domain.errors import Conflict, NotFound
from openclaw_hosted.domain.naming import InstanceId, MachineId, VolumeId, aside_of
from openclaw_hosted.ports.volumes import LargeVolume, ObservedVolume

FREE_BYTES_WANTED: Final = 5_000_000_000
"""A disk with less is nearly full: an OpenClaw that is installed anew and a backup no longer fit."""
LARGE_BYTES: Final = 1_000_000_000
"""What a volume holds that is worth naming; OpenClaw itself needs some 60 MB there, a plugin up to 250 MB."""
MOST_NAMED: Final = 5
MOST_ENTRIES: Final = 300_000
BLOCK_BYTES: Final = 512
RESTORED_AS: Final = "restored-as"
"""The mark of the restoring that made a volume."""

log = structlog.get_logger("volumes")


class LocalVolumes:
    """DIR/volumes/<volume id>/ with `instance-id` (the mark), `attached-to`, `proven-config.json`, `state/`, and `home/`.

    An attachment lasts no longer than its machine: what a machine that is gone had attached is free.
    """

    def __init__(self, data_dir: Path, *, free_bytes_wanted: int = FREE_BYTES_WANTED, large_bytes: int = LARGE_BYTES) -> None:
        self._free_bytes_wanted = free_bytes_wanted
        self._large_bytes = large_bytes
        self._directory = data_dir / "volumes"
        self._machines = data_dir / "machines"
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = self._directory / ".lock"

    def state_dir(self, volume_id: VolumeId) -> Path:
        """Where OpenClaw keeps its state on this volume."""
        return self._path(volume_id) / "state"

    def home_dir(self, volume_id: VolumeId) -> Path:
        """The home of whoever uses the machine: what they installed and configured."""
        return self._path(volume_id) / "home"

    def proven_config(self, volume_id: VolumeId) -> Path:
        """Where the configuration is kept that OpenClaw last became ready with; out of a gateway's reach."""
        return self._path(volume_id) / "proven-config.json"

    def ensure_home(self, volume_id: VolumeId) -> Path:
        """That home, made where an earlier version made none, and in it the folder that a container has the state mounted on."""
        home = self.home_dir(volume_id)
        for folder in (home, home / ".openclaw"):
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        return home

    async def create(self, volume_id: VolumeId, provider_ref: str) -> None:  # noqa: ARG002 - all machines reach all folders
        """Make an empty volume. Does nothing where it exists, whatever it holds."""
        await asyncio.to_thread(self._create, volume_id)

    async def attach(self, volume_id: VolumeId, machine_id: MachineId) -> None:
        """Attach it. Raises `Conflict` while another machine has it, `NotFound` where it does not exist."""
        await asyncio.to_thread(self._attach, volume_id, machine_id)

    async def mark(self, volume_id: VolumeId, instance_id: InstanceId) -> None:
        """Write whose data it holds; raises `Conflict` where it names another."""
        await asyncio.to_thread(self._mark, volume_id, instance_id)

    async def detach(self, volume_id: VolumeId, machine_id: MachineId) -> None:
        """Detach it. Does nothing where that machine does not have it."""
        await asyncio.to_thread(self._detach, volume_id, machine_id)

    async def purge(self, volume_id: VolumeId, instance_id: InstanceId) -> None:
        """Destroy it for good. Raises `Conflict` when it is attached or marked for another. Does nothing where it is gone."""
        await asyncio.to_thread(self._purge, volume_id, instance_id)

    async def look_at(self, volume_id: VolumeId) -> ObservedVolume | None:
        """One of them, if it is there and can be read."""
        return await asyncio.to_thread(self._look_at, self._path(volume_id))

    async def list(self) -> Sequence[ObservedVolume]:
        """All that exist."""
        return await asyncio.to_thread(self._list)

    async def crowding(self) -> Sequence[LargeVolume]:
        """Those with more than a gigabyte, where the disk has less than five left."""
        return await asyncio.to_thread(self._crowding)

    def folder(self, volume_id: VolumeId) -> Path:
        """Where it is. Raises `NotFound`."""
        return self._existing(volume_id)

    def marked(self, volume_id: VolumeId) -> InstanceId | None:
        """Whose data it holds; None where it is gone, or nobody's."""
        return _instance(_read(self._path(volume_id) / "instance-id"))

    def draft_of(self, volume_id: VolumeId) -> Path:
        """Where what is to take its place may be made."""
        return self._directory / f".{volume_id}.restoring"

    def is_restored(self, volume_id: VolumeId, instance_id: InstanceId, mark: str) -> bool:
        """Whether it is what the restoring with this mark made, or a later one."""
        path = self._path(volume_id)
        return path.is_dir() and (_read(path / RESTORED_AS) == mark or self._path(aside_of(instance_id, mark)).is_dir())

    def check_free(self, volume_id: VolumeId) -> None:
        """Raise `Conflict` while a machine has it."""
        path = self._path(volume_id)
        if path.is_dir() and (holder := self._holder(path)):
            raise Conflict(f"Volume {volume_id} is attached to machine {holder}.")

    def swap(self, volume_id: VolumeId, made: Path, instance_id: InstanceId, mark: str) -> None:
        """Have `made` be the volume from now on, marked as this instance's; the present one is set aside. Raises `Conflict` while a machine
        has it."""
        write_atomically(made / "instance-id", instance_id.encode())
        write_atomically(made / RESTORED_AS, mark.encode())
        with locked(self._lock):
            path = self._path(volume_id)
            self.check_free(volume_id)
            if path.is_dir():
                write_atomically(path / "instance-id", instance_id.encode())
                path.rename(self._path(aside_of(instance_id, mark)))
            made.rename(path)
        remove_tree(self.draft_of(volume_id))

    def _create(self, volume_id: VolumeId) -> None:
        with locked(self._lock):
            path = self._path(volume_id)
            if path.exists():
                return
            draft = self._directory / f".{volume_id}.new"
            (draft / "state").mkdir(parents=True, exist_ok=True, mode=0o700)
            draft.rename(path)

    def _attach(self, volume_id: VolumeId, machine_id: MachineId) -> None:
        with locked(self._lock):
            path = self._existing(volume_id)
            holder = self._holder(path)
            if holder not in (None, machine_id):
                raise Conflict(f"Volume {volume_id} is attached to machine {holder}.")
            if holder is None:
                write_atomically(path / "attached-to", machine_id.encode())

    def _mark(self, volume_id: VolumeId, instance_id: InstanceId) -> None:
        with locked(self._lock):
            path = self._existing(volume_id)
            marked = _read(path / "instance-id")
            if marked not in (None, instance_id):
                raise Conflict(f"Volume {volume_id} holds the data of instance {marked}, not of {instance_id}.")
            if marked is None:
                write_atomically(path / "instance-id", instance_id.encode())

    def _detach(self, volume_id: VolumeId, machine_id: MachineId) -> None:
        with locked(self._lock):
            path = self._path(volume_id)
            if _read(path / "attached-to") == machine_id:
                (path / "attached-to").unlink()

    def _purge(self, volume_id: VolumeId, instance_id: InstanceId) -> None:
        path, doomed = self._path(volume_id), self._directory / f".{volume_id}.purged"
        remove_tree(doomed)
        with locked(self._lock):
            if not path.is_dir():
                return
            if holder := self._holder(path):
                raise Conflict(f"Volume {volume_id} is attached to machine {holder}.")
            marked = _read(path / "instance-id")
            if marked not in (None, instance_id):
                raise Conflict(f"Volume {volume_id} holds the data of instance {marked}, not of {instance_id}.")
            path.rename(doomed)
        remove_tree(doomed)

    def _list(self) -> Sequence[ObservedVolume]:
        return [seen for path in subfolders(self._directory) if (seen := self._look_at(path)) is not None]

    def _look_at(self, path: Path) -> ObservedVolume | None:
        if not path.is_dir():
            return None
        try:
            return ObservedVolume(VolumeId(path.name), _instance(_read(path / "instance-id")), self._holder(path))
        except (OSError, ValueError) as problem:
            log.warning("volume can't be read, and is left alone", volume=path.name, error=type(problem).__name__)
            return None

    def _crowding(self) -> Sequence[LargeVolume]:
        free = shutil.disk_usage(self._directory).free
        if free >= self._free_bytes_wanted:
            return []
        measured = [(held_bytes(self._path(seen.volume_id)), seen) for seen in self._list()]
        large = sorted((each for each in measured if each[0] >= self._large_bytes), key=lambda each: each[0], reverse=True)
        return [LargeVolume(seen.volume_id, seen.instance_id, held, free) for held, seen in large[:MOST_NAMED]]

    def _holder(self, path: Path) -> MachineId | None:
        holder = _read(path / "attached-to")
        return MachineId(holder) if holder and (self._machines / holder).is_dir() else None

    def _existing(self, volume_id: VolumeId) -> Path:
        path = self._path(volume_id)
        if not path.is_dir():
            raise NotFound(f"Volume {volume_id} does not exist.")
        return path

    def _path(self, volume_id: VolumeId) -> Path:
        if not volume_id or "/" in volume_id or volume_id.startswith("."):
            raise NotFound("That is not the id of a volume.")
        return self._directory / volume_id


def held_bytes(folder: Path) -> int:
    """What a tenant's folder takes of the disk. Follows no link, and counts no further than `MOST_ENTRIES`."""
    try:
        return sum(entry.status.st_blocks * BLOCK_BYTES for entry in Walk(folder, MOST_ENTRIES))
    except OSError:
        return 0


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None


def _instance(name: str | None) -> InstanceId | None:
    return InstanceId(name) if name else None
