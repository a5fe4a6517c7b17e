"""The archive of a volume (docs/archives.md) out of a plain tar that its machine made (openclaw-states.sh), as it comes.

Nothing is kept here but one database at a time. A tenant may rule its machine, so that the tar is a stranger's: what can't be in an archive
is left out or refused, and headers have bounds. Databases come first, each with its log right behind it, as they were at one moment;
what comes later under a name that was there is dropped.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, Final, cast

from openclaw_hosted.adapters.local.backup import databases
from openclaw_hosted.adapters.local.backup.allowance import MANIFEST_KEPT_BYTES, MOST_ENTRIES, Allowance, notes_of
from openclaw_hosted.adapters.local.backup.archive import BLOCK_BYTES, MANIFEST_BYTES, ArchiveWriter, checked_name
from openclaw_hosted.adapters.local.backup.databases import JOURNAL, LOG, SIDE_FILES, SQLITE_MAGIC, Unsettled
from openclaw_hosted.adapters.local.backup.errors import BackupFailed, BackupUnreadable
from openclaw_hosted.adapters.local.backup.strangers import ArchiveLimits, bounded_info
from openclaw_hosted.adapters.local.backup.volume import (
    CONFIG,
    COORDINATION,
    GLOBAL_STATE,
    NAME_LENGTH,
    Kept,
    is_platforms_or_made_anew,
)
from openclaw_hosted.adapters.local.backup.volume_archive import ROOT, manifest_of
from openclaw_hosted.adapters.openclaw.config import portable_config
from openclaw_hosted.domain.errors import InvalidInput
from openclaw_hosted.domain.foreign import FOREIGN_BYTES, foreign_object, one_line
from openclaw_hosted.domain.links import stays_inside

FOLDERS: Final = ("state", "home")
KEPT_FREE_BYTES: Final = 1 << 30
"""What copies of databases leave of the control plane's disk, on which its own database may be."""


def write_sent(opened: AbstractContextManager[ArchiveWriter], source: IO[bytes], most_bytes: int, scratch: Path, kept: Kept) -> None:
    """Write the archive. Raises `BackupUnreadable` for a tar that no machine of ours makes, `BackupFailed` where there is no room for one
    of its databases in `scratch`, or nobody wants it any more, and what `source` raises."""
    with opened as archive:
        archive.add_directory(ROOT, 0o700)
        limits = ArchiveLimits(entries=2 * MOST_ENTRIES)
        try:
            with tarfile.open(fileobj=source, mode="r|", tarinfo=bounded_info(limits)) as tar:
                _Sent(tar, archive, scratch, kept, Allowance(most_bytes, MANIFEST_BYTES - MANIFEST_KEPT_BYTES)).add_all()
        except (tarfile.TarError, InvalidInput, UnicodeError, RecursionError) as error:
            raise BackupUnreadable("What the machine sent is not what it should send.") from error
        archive.finish(manifest_of(archive, kept))


class _Sent:
    def __init__(self, tar: tarfile.TarFile, writer: ArchiveWriter, scratch: Path, kept: Kept, allowance: Allowance) -> None:
        self._tar = tar
        self._writer = writer
        self._copy = scratch / "sent.sqlite"
        self._untouched = scratch / "untouched.sqlite"
        self._kept = kept
        self._allowance = allowance
        self._seen: set[str] = set()
        self._databases: set[str] = set()
        self._waiting: tuple[str, tarfile.TarInfo] | None = None
        """The database that is in the scratch folder, until its log has come."""

    def add_all(self) -> None:
        try:
            while (member := self._tar.next()) is not None:
                cast("Any", self._tar).members.clear()
                self._kept.check()
                path = checked_name(member.name)
                if path.parts[0] in FOLDERS and not any(is_platforms_or_made_anew(str(each)) for each in (path, *path.parents)):
                    self._add(str(path), member)
            self._settle_waiting()
        finally:
            databases.forget_copy(self._copy)
            databases.forget_copy(self._untouched)
        self._kept.left_out += notes_of(self._allowance, ROOT)

    def _add(self, relative: str, member: tarfile.TarInfo) -> None:
        if self._take_side_file(relative, member):
            return
        self._settle_waiting()
        if relative in self._seen:
            return
        self._seen.add(relative)
        name = f"{ROOT}/{relative}"
        if member.isdir():
            self._writer.add_directory(name, member.mode)
        elif member.issym():
            self._add_link(relative, member.linkname)
        elif member.isreg() and not member.issparse():
            self._add_file(relative, member)

    def _add_link(self, relative: str, target: str) -> None:
        name = f"{ROOT}/{relative}"
        if not stays_inside(relative.split("/"), target):
            self._allowance.note(f"{one_line(name, NAME_LENGTH)}: a link that may lead out of the volume", amiss=False)
        elif self._has_room(name, 2 * len(target)):
            self._kept.links[name] = target

    def _add_file(self, relative: str, member: tarfile.TarInfo) -> None:
        name, content = f"{ROOT}/{relative}", self._content(member)
        start = content.read(len(SQLITE_MAGIC))
        if start == SQLITE_MAGIC:
            self._copy_out(start, content, member.size, self._copy)
            self._waiting = relative, member
            self._databases.add(relative)
        elif relative == CONFIG:
            self._add_own_config(name, start + content.read(FOREIGN_BYTES + 1), member)
        elif self._has_room(name):
            self._write(name, _Rest(start, content).read, member.size, member)

    def _add_own_config(self, name: str, text: bytes, member: tarfile.TarInfo) -> None:
        config = foreign_object(text)
        if config is None:
            self._allowance.note(f"{name}: it can't be read as a configuration")
        elif self._has_room(name):
            content = json.dumps(portable_config(config), indent=2).encode()
            self._writer.add(name, io.BytesIO(content), member.mode, member.mtime)

    def _take_side_file(self, relative: str, member: tarfile.TarInfo) -> bool:
        """Whether it belongs to a database that came; its log or journal counts only right behind it."""
        for suffix in SIDE_FILES:
            owner = relative.removesuffix(suffix)
            if not relative.endswith(suffix) or owner not in self._databases:
                continue
            copy = self._copy.with_name(self._copy.name + suffix)
            if (
                suffix in (LOG, JOURNAL)
                and self._waiting is not None
                and self._waiting[0] == owner
                and member.isreg()
                and not copy.exists()
            ):
                self._copy_out(b"", self._content(member), member.size, copy)
            return True
        return False

    def _settle_waiting(self) -> None:
        if self._waiting is None:
            return
        (relative, member), self._waiting = self._waiting, None
        name, shown = f"{ROOT}/{relative}", self._copy
        try:
            self._settle(relative)
        except Unsettled as reason:
            said = one_line(str(reason))
            self._allowance.note(f"{one_line(name, NAME_LENGTH)}: copied as it was, since it can't be read as a database: {said}")
            shown = self._untouched if self._untouched.exists() else self._copy
        for suffix, path in databases.copied_files(shown):
            if self._has_room(f"{name}{suffix}"):
                with path.open("rb") as copied:
                    self._writer.add(f"{name}{suffix}", copied, member.mode, member.mtime)
        databases.forget_copy(self._copy)
        databases.forget_copy(self._untouched)

    def _settle(self, relative: str) -> None:
        """Make the copy one file. What it was is kept beside it: one that can't be settled is of no use afterwards."""
        if self._copy.with_name(self._copy.name + JOURNAL).exists():
            raise Unsettled("its last change was never finished, and is for OpenClaw to take back")
        for suffix, path in databases.copied_files(self._copy):
            self._check_room(path.stat().st_size)
            shutil.copyfile(path, self._untouched.with_name(self._untouched.name + suffix))
        databases.settle_copy(self._copy, COORDINATION if relative == GLOBAL_STATE else (), self._kept.check)

    def _copy_out(self, start: bytes, content: IO[bytes], size: int, path: Path) -> None:
        self._check_room(size)
        rest = _Rest(start, content)
        with path.open("xb") as copy:
            while block := rest.read(BLOCK_BYTES):
                self._kept.check()
                copy.write(block)
        if path.stat().st_size != size:
            raise BackupUnreadable("What the machine sent was cut short.")

    def _write(self, name: str, read: Callable[[int], bytes], size: int, member: tarfile.TarInfo) -> None:
        if not self._writer.add_stream(name, read, size, member.mode, member.mtime):
            raise BackupUnreadable("What the machine sent was cut short.")

    def _content(self, member: tarfile.TarInfo) -> IO[bytes]:
        content = self._tar.extractfile(member)
        assert content is not None
        return content

    def _has_room(self, name: str, other_bytes: int = 0) -> bool:
        if self._allowance.take_name(name, other_bytes):
            return True
        self._allowance.note(f"{one_line(name, NAME_LENGTH)}: there are too many files and links")
        return False

    def _check_room(self, size: int) -> None:
        if size > shutil.disk_usage(self._copy.parent).free - KEPT_FREE_BYTES:
            raise BackupFailed("The control plane's disk has no room for a copy of one of its databases.")


class _Rest:
    """What was read of a file already, and then the rest of it."""

    def __init__(self, start: bytes, content: IO[bytes]) -> None:
        self._start = start
        self._content = content

    def read(self, wanted: int) -> bytes:
        given, self._start = self._start[:wanted], self._start[wanted:]
        return given or self._content.read(wanted)
