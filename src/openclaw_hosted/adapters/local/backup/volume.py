"""What of a volume is kept, and how: databases as one file each, everything else as it is.

OpenClaw writes to its databases all the time, and most of what it knows stands in their write-ahead logs: a copy of the files alone
would be empty or torn. What is left out is what OpenClaw 2026.9 itself leaves out of its backups because it makes it anew.

A volume belongs to its tenant, who may put anything into it, and exchange a file for a link while it is read here, perhaps as root. Every
file is opened from its folder's descriptor, through no link; no file is waited for; and all of it has bounds. Whatever is wrong with one
file or one volume is said, and the backup goes on.
"""

from __future__ import annotations

import io
import json
import os
import re
import stat
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from openclaw_hosted.adapters.local.backup import databases
from openclaw_hosted.adapters.local.backup.allowance import EXTENT_BYTES, Allowance, notes_of
from openclaw_hosted.adapters.local.backup.archive import ArchiveWriter
from openclaw_hosted.adapters.local.backup.databases import SIDE_FILES, Busy, Unsettled
from openclaw_hosted.adapters.local.backup.errors import BackupFailed, TargetFailed
from openclaw_hosted.adapters.local.backup.holes import LONGEST_BYTES, data_bytes, extents_of
from openclaw_hosted.adapters.local.beneath import Entry, Walk, open_plain
from openclaw_hosted.adapters.openclaw.config import portable_config
from openclaw_hosted.domain.foreign import FOREIGN_BYTES, foreign_object, one_line
from openclaw_hosted.domain.links import stays_inside

BUSY_SECONDS: Final = 20.0
NAME_LENGTH: Final = 300
STAT_BLOCK_BYTES: Final = 512
SHARE_USED_UP: Final = "this volume's share of the room is used up"
MADE_ANEW: Final = frozenset({"state/cache", "state/tmp", "home/.cache", "home/.npm/_cacache", "home/.npm/_logs", "attached-to"})
"""Caches of OpenClaw, and of what was installed; and which machine has the volume, which is nobody's elsewhere."""
TRANSIENT: Final = re.compile(
    r"""\.sqlite\.(generation-(lock|writer)|reindex-lock)\.sqlite$
    | \.sqlite\.(backup|memory-reindex|tmp)-[0-9a-f-]{36}$
    | .\.(sock|pid)$""",
    re.VERBOSE,
)

PLATFORMS: Final = frozenset({"instance-id", "restored-as", "proven-config.json"})
"""What the platform keeps on a volume beside OpenClaw's data."""
CONFIG: Final = "state/openclaw.json"
OLD_CONFIG: Final = re.compile(r"state/openclaw\.json\.(?!brought$)[^/]*")
"""OpenClaw's own copies of it."""
GLOBAL_STATE: Final = "state/state/openclaw.sqlite"
OPEN: Final = ("state_leases", "agent_database_leases")
"""Who has it open. A gateway elsewhere would be kept out for five minutes: it can't see that the process which is named has ended."""
COORDINATION: Final = (*OPEN, "delivery_queue_entries")
"""What must not survive a restore, as in OpenClaw's own backups: who has it open, and messages about to be sent, which would be sent
twice."""


@dataclass
class Kept:
    """What of the volumes stands elsewhere than in members."""

    links: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    """Set by whoever no longer wants the backup."""

    def check(self) -> None:
        """Raise `BackupFailed` where nobody wants it any more."""
        if self.stopped.is_set():
            raise BackupFailed("The backup was stopped.")


def add_volume(
    writer: ArchiveWriter, volume: Path, prefix: str, scratch: Path, kept: Kept, allowance: Allowance, *, portable: bool = False
) -> bool:
    """Add the volume's directory under `prefix`; databases are copied into the directory `scratch`. Whether nothing was amiss.

    What is `portable` holds nothing of the platform's: no marks, and of OpenClaw's configuration the user's own part.
    Raises `TargetFailed` where the archive can't be written, `BackupFailed` where it was stopped, and nothing else.
    """
    adding = _Adding(writer, prefix, scratch, kept, allowance, portable=portable)
    try:
        adding.add_all(volume)
    except (TargetFailed, BackupFailed):
        raise
    except Exception as error:  # noqa: BLE001 - one volume's surprise is that volume's alone
        allowance.note(f"{prefix}: what is missing of it could not be copied ({type(error).__name__})")
    finally:
        databases.forget_copy(adding.copy)
    kept.left_out += notes_of(allowance, prefix)
    return not allowance.amiss


class _Adding:
    """One volume on its way into the archive."""

    def __init__(self, writer: ArchiveWriter, prefix: str, scratch: Path, kept: Kept, allowance: Allowance, *, portable: bool) -> None:
        self._portable = portable
        self._writer = writer
        self._prefix = prefix
        self._kept = kept
        self._allowance = allowance
        self.copy = scratch / "snapshot.sqlite"

    def add_all(self, volume: Path) -> None:
        walk = Walk(volume, self._allowance.entries, is_platforms_or_made_anew if self._portable else _is_made_anew)
        for entry in walk:
            self._kept.check()
            try:
                self._add(entry)
            except FileNotFoundError:
                continue  # it was taken away meanwhile
            except TargetFailed:
                raise
            except OSError as error:
                self._leave_out(entry.relative, error.strerror or type(error).__name__)
        for relative, reason in walk.left_out:
            self._leave_out(relative, reason)

    def _add(self, entry: Entry) -> None:
        mode = entry.status.st_mode
        if stat.S_ISLNK(mode):
            self._add_link(entry)
        elif stat.S_ISDIR(mode):
            self._writer.add_directory(self._name(entry), mode)
        elif stat.S_ISREG(mode) and not _belongs_to_database(entry):
            if databases.is_database(entry.folder, entry.name):
                self._add_database(entry)
            elif self._portable and entry.relative == CONFIG:
                self._add_own_config(entry)
            else:
                self._add_file(self._name(entry), open_plain(entry.folder, entry.name))

    def _add_link(self, entry: Entry) -> None:
        target, name = os.readlink(entry.name, dir_fd=entry.folder), self._name(entry)
        if not stays_inside(entry.relative.split("/"), target):
            self._allowance.note(f"{one_line(name, NAME_LENGTH)}: a link that may lead out of the volume", amiss=False)
        elif not self._allowance.take_name(name, 2 * len(target)):
            self._leave_out(entry.relative, "there are too many files and links")
        else:
            self._kept.links[name] = target

    def _add_file(self, name: str, descriptor: int) -> None:
        """A plain file as it is now; closes the descriptor."""
        try:
            status, extents = os.fstat(descriptor), extents_of(descriptor)
            amount = data_bytes(extents)
            if status.st_size > LONGEST_BYTES:
                self._note(name, f"it is {status.st_size:,} bytes long")
            elif not self._allowance.take_name(name, EXTENT_BYTES * len(extents)):
                self._note(name, "there are too many files and links")
            elif not self._allowance.take_data(amount):
                self._note(name, f"{SHARE_USED_UP} (it holds {amount:,} bytes)")
            elif not self._writer.add_data(name, descriptor, extents, status.st_mode, status.st_mtime):
                self._note(name, "it became shorter meanwhile; what is missing are zeros")
        finally:
            os.close(descriptor)

    def _add_own_config(self, entry: Entry) -> None:
        """The user's own part of OpenClaw's configuration."""
        with os.fdopen(open_plain(entry.folder, entry.name), "rb") as file:
            config = foreign_object(file.read(FOREIGN_BYTES + 1))
        if config is None:
            self._note(self._name(entry), "it can't be read as a configuration")
            return
        content = json.dumps(portable_config(config), indent=2).encode()
        if self._allowance.take_name(self._name(entry)) and self._allowance.take_data(len(content)):
            self._writer.add(self._name(entry), io.BytesIO(content), entry.status.st_mode, entry.status.st_mtime)

    def _add_database(self, entry: Entry) -> None:
        """As one file if that can be; else all files of it as they are, and that is said."""
        status, name = entry.status, self._name(entry)
        if status.st_blocks * STAT_BLOCK_BYTES > self._allowance.data_bytes:
            self._note(name, SHARE_USED_UP)
            return
        databases.forget_copy(self.copy)
        until = time.monotonic() + min(BUSY_SECONDS, self._allowance.locked_seconds)
        try:
            self._settle(entry, until)
        except (Busy, Unsettled) as reason:
            said = one_line(str(reason)) or "it stayed locked"
            self._note(name, f"copied as it was, since it can't be read as a database: {said}")
            databases.copy_unlocked(entry.folder, entry.name, self.copy, self._kept.check)
        for suffix, path in databases.copied_files(self.copy):
            with path.open("rb") as copied:
                os.fchmod(copied.fileno(), status.st_mode & 0o777)
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
                self._add_file(f"{name}{suffix}", os.dup(copied.fileno()))
        databases.forget_copy(self.copy)

    def _settle(self, entry: Entry, until: float) -> None:
        began = time.monotonic()
        try:
            hot = databases.copy_database(entry.folder, entry.name, self.copy, until, self._kept.check)
        finally:
            self._allowance.locked_seconds -= time.monotonic() - began
        if hot:
            raise Unsettled("its last change was never finished, and is for OpenClaw to take back")
        databases.settle_copy(self.copy, COORDINATION if entry.relative == GLOBAL_STATE else (), self._kept.check)

    def _name(self, entry: Entry) -> str:
        return f"{self._prefix}/{entry.relative}"

    def _leave_out(self, relative: str, reason: str) -> None:
        self._note(f"{self._prefix}/{relative}", reason)

    def _note(self, name: str, reason: str) -> None:
        self._allowance.note(f"{one_line(name, NAME_LENGTH)}: {reason}")


def _is_made_anew(relative: str) -> bool:
    return relative in MADE_ANEW or TRANSIENT.search(relative.rpartition("/")[2]) is not None


def is_platforms_or_made_anew(relative: str) -> bool:
    """Whether what is at this path of a volume, or below, does not belong into what its user gets."""
    return relative in PLATFORMS or OLD_CONFIG.fullmatch(relative) is not None or _is_made_anew(relative)


def _belongs_to_database(entry: Entry) -> bool:
    """Whether it is a side file of a database, whose content goes with that."""
    return any(
        entry.name.endswith(suffix) and databases.is_database(entry.folder, entry.name.removesuffix(suffix)) for suffix in SIDE_FILES
    )
