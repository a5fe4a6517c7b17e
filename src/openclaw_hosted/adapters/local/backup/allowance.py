"""How much of a backup one volume may take, so that no tenant takes what the others need."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from openclaw_hosted.adapters.local.backup.archive import MANIFEST_BYTES

MOST_ENTRIES: Final = 300_000
"""Files and folders of one volume."""
LEAST_DATA_BYTES: Final = 256 << 20
"""What every volume may have, however little room there is: a disk that is too small for all fails the backup, and that is told."""
MANIFEST_KEPT_BYTES: Final = 16 << 20
MEMBER_BYTES: Final = 160
"""Of the manifest, for a file, beside its name."""
EXTENT_BYTES: Final = 48
LOCKED_SECONDS: Final = 60.0
"""How long one volume's databases may have the backup wait, all together."""
MOST_NOTES: Final = 200
"""Lines about what was left out of one volume."""


@dataclass
class Allowance:
    """What is left of it."""

    data_bytes: int
    manifest_bytes: int
    entries: int = MOST_ENTRIES
    locked_seconds: float = LOCKED_SECONDS
    notes: list[str] = field(default_factory=list)
    notes_left: int = 0
    """How many lines more there would be."""
    amiss: bool = False
    """Whether something is left out that belongs into a backup."""

    def take_name(self, name: str, other_bytes: int = 0) -> bool:
        """Room in the manifest for a file or a link of this name; whether there was."""
        needed = len(json.dumps(name)) + MEMBER_BYTES + other_bytes
        if needed > self.manifest_bytes:
            return False
        self.manifest_bytes -= needed
        return True

    def take_data(self, amount: int) -> bool:
        """Room for this much data; whether there was."""
        if amount > self.data_bytes:
            return False
        self.data_bytes -= amount
        return True

    def note(self, line: str, *, amiss: bool = True) -> None:
        """Say what is left out, for as long as there is room for it; `amiss` unless that is as it should be."""
        self.amiss = self.amiss or amiss
        if len(self.notes) < MOST_NOTES:
            self.notes.append(line)
        else:
            self.notes_left += 1


@dataclass
class Shares:
    """Divides what there is among the volumes that are still to come; what one does not use is there for the next ones."""

    target: Path
    """The folder that the archive is written into."""
    volumes_left: int
    manifest_bytes: int = MANIFEST_BYTES - MANIFEST_KEPT_BYTES

    def next(self) -> Allowance:
        """For the next volume."""
        parts = max(self.volumes_left, 1)
        return Allowance(max(shutil.disk_usage(self.target).free // parts, LEAST_DATA_BYTES), self.manifest_bytes // parts)

    def give_back(self, used: Allowance) -> None:
        """After a volume."""
        share = self.manifest_bytes // max(self.volumes_left, 1)
        self.manifest_bytes -= share - used.manifest_bytes
        self.volumes_left -= 1


def notes_of(allowance: Allowance, prefix: str) -> Sequence[str]:
    """The lines of one volume."""
    more = [f"{prefix}: {allowance.notes_left} more"] if allowance.notes_left else []
    return [*allowance.notes, *more]
