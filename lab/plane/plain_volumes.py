"""The disks of plain machines: records that outlive their machines."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

CONFIG_FILE = "openclaw.json"


@dataclass(slots=True)
class PlainVolume:
    """A disk and what a gateway keeps on it."""

    volume_id: str
    size_gib: int
    attached_to: str | None = None
    device: str | None = None
    mounted: bool = False
    formatted: bool = False
    mark: str | None = None
    """The instance whose data it holds."""
    files: dict[str, Any] = field(default_factory=dict)
    """By name: `openclaw.json` as its content, and what tests put there."""
    conversation: list[dict[str, str]] = field(default_factory=list)
    """Turns: `session`, `user`, `reply`."""
    proven: dict[str, Any] | None = None
    """The configuration that a gateway was last ready with."""
    claimed: bool = False
    """Whether its gateway noted that a spare got an owner."""

    @property
    def config(self) -> dict[str, Any]:
        """What stands in openclaw.json."""
        content = self.files.get(CONFIG_FILE, {})
        assert isinstance(content, dict)
        return content

    @config.setter
    def config(self, content: dict[str, Any]) -> None:
        self.files[CONFIG_FILE] = content


class PlainVolumes:
    """All disks, by id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: dict[str, PlainVolume] = {}

    def create(self, volume_id: str, size_gib: int) -> None:
        """Make an empty one, unless it is there."""
        with self._lock:
            self._all.setdefault(volume_id, PlainVolume(volume_id, size_gib))

    def delete(self, volume_id: str) -> None:
        """Destroy it. Raises `ValueError` while it is attached."""
        with self._lock:
            volume = self._all.get(volume_id)
            if volume is not None and volume.attached_to is not None:
                raise ValueError(f"{volume_id} is attached to {volume.attached_to}.")
            self._all.pop(volume_id, None)

    def get(self, volume_id: str) -> PlainVolume:
        """Raises `LookupError`."""
        with self._lock:
            return self._all[volume_id]

    def attach(self, volume_id: str, instance_id: str, device: str) -> None:
        """Give it to a machine. Raises `LookupError`, and `ValueError` while another one has it."""
        with self._lock:
            volume = self._all[volume_id]
            if volume.attached_to not in (None, instance_id):
                raise ValueError(f"{volume_id} is attached to {volume.attached_to}.")
            volume.attached_to, volume.device = instance_id, device

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
