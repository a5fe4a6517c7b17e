"""What of a volume is kept, and how: databases as a snapshot, everything else as it is.

OpenClaw writes to its databases all the time, and most of what it knows stands in their write-ahead logs: a copy of the files alone
would be empty or torn. What is left out is what OpenClaw 2026.9 itself leaves out of its backups because it makes it anew.

A volume belongs to its tenant, who may exchange a file for a link while it is read here, perhaps as root: every file is opened from its
folder's descriptor, and no link is followed on the way.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from openclaw_hosted.adapters.local.backup.archive import ArchiveWriter
from openclaw_hosted.adapters.local.backup.errors import BackupFailed

SQLITE_MAGIC: Final = b"SQLite format 3\x00"
SIDE_FILES: Final = ("-wal", "-shm", "-journal")
BUSY_SECONDS: Final = 20.0
MADE_ANEW: Final = frozenset({"state/cache", "state/tmp", "attached-to"})
"""OpenClaw's caches; and which machine has the volume, which is nobody's elsewhere."""
TRANSIENT: Final = re.compile(
    r"""\.sqlite\.(generation-(lock|writer)|reindex-lock)\.sqlite$
    | \.sqlite\.(backup|memory-reindex|tmp)-[0-9a-f-]{36}$
    | .\.(sock|pid)$""",
    re.VERBOSE,
)

GLOBAL_STATE: Final = "state/state/openclaw.sqlite"
COORDINATION: Final = ("state_leases", "agent_database_leases", "delivery_queue_entries")
"""What must not survive a restore, as in OpenClaw's own backups: who has it open, which would keep the next one out, and messages
about to be sent, which would be sent twice."""


@dataclass
class Kept:
    """What of the volumes stands elsewhere than in members."""

    links: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    """Set by whoever no longer wants the backup."""


def add_volume(writer: ArchiveWriter, volume: Path, prefix: str, scratch: Path, kept: Kept) -> None:
    """Add the volume's directory under `prefix`; snapshots are made in the directory `scratch`."""
    for path in _walk(volume):
        if kept.stopped.is_set():
            raise BackupFailed("The backup was stopped.")
        relative = path.relative_to(volume).as_posix()
        try:
            _add(writer, volume, relative, f"{prefix}/{relative}", scratch, kept)
        except FileNotFoundError:
            continue  # it was taken away meanwhile
        except OSError as error:
            kept.left_out.append(f"{prefix}/{relative}: {error.strerror}")


def snapshot_sqlite(source: Path, target: Path) -> None:
    """A copy of a database at one moment, what stands in its write-ahead log included, as one file.

    It is read once before: Python's `backup` would wait for a locked database for ever, but never for one that is being read here.
    """
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as live,
        closing(sqlite3.connect(target)) as copy,
    ):
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_master")
        live.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")


def _add(writer: ArchiveWriter, volume: Path, relative: str, name: str, scratch: Path, kept: Kept) -> None:
    path = volume / relative
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        _keep_link(path, volume, name, kept)
    elif stat.S_ISDIR(mode):
        writer.add_directory(name, mode)
    elif stat.S_ISREG(mode):
        with opened_below(volume, relative) as (folder, source):
            if source.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC and _add_snapshot(writer, folder / path.name, name, scratch, kept):
                return
            source.seek(0)
            status = os.fstat(source.fileno())
            writer.add(name, source, status.st_mode, status.st_mtime)


@contextmanager
def opened_below(root: Path, relative: str) -> Iterator[tuple[Path, BinaryIO]]:
    """A plain file below `root`, and its folder by a path that stays that folder's. Raises `OSError` where a link is on the way."""
    *folders, name = relative.split("/")
    with ExitStack() as stack:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        for folder in folders:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
            stack.callback(os.close, descriptor)
        found = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
        source = stack.enter_context(os.fdopen(found, "rb"))
        if not stat.S_ISREG(os.fstat(found).st_mode):
            raise OSError(errno.EINVAL, "not a plain file")
        yield Path(f"/proc/self/fd/{descriptor}"), source


def _add_snapshot(writer: ArchiveWriter, path: Path, name: str, scratch: Path, kept: Kept) -> bool:
    """Whether the file is a database that could be read; one that can't is kept as it is, and that is said."""
    copy = scratch / "snapshot.sqlite"
    try:
        snapshot_sqlite(path, copy)
        if name.endswith(f"/{GLOBAL_STATE}"):
            _forget_coordination(copy)
        with copy.open("rb") as source:
            status = path.stat()
            writer.add(name, source, status.st_mode, status.st_mtime)
    except sqlite3.Error as error:
        kept.left_out.append(f"{name}: copied as it was, since it can't be read as a database ({type(error).__name__})")
        return False
    finally:
        for each in (copy, *_side_files(copy)):
            each.unlink(missing_ok=True)
    return True


def _forget_coordination(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as database, database:
        present = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table in present & set(COORDINATION):
            database.execute(f"DELETE FROM {table}")  # noqa: S608 - one of three names


def _keep_link(path: Path, volume: Path, name: str, kept: Kept) -> None:
    target = path.readlink()
    inside = Path(os.path.normpath(path.parent / target)).is_relative_to(volume)
    if target.is_absolute() or not inside:
        kept.left_out.append(f"{name}: a link out of the volume")
    else:
        kept.links[name] = str(target)


def _walk(volume: Path) -> Iterator[Path]:
    """Everything below, directories before what is in them."""
    for folder, directories, files in os.walk(volume):
        base = Path(folder)
        directories[:] = sorted(name for name in directories if not _is_made_anew(volume, base / name))
        linked = [name for name in directories if (base / name).is_symlink()]
        yield from (base / name for name in directories)
        databases = {name for name in files if _is_sqlite(base / name)}
        for name in sorted(files):
            if not _is_made_anew(volume, base / name) and not _belongs_to(name, databases):
                yield base / name
        directories[:] = [name for name in directories if name not in linked]


def _is_made_anew(volume: Path, path: Path) -> bool:
    return path.relative_to(volume).as_posix() in MADE_ANEW or TRANSIENT.search(path.name) is not None


def _belongs_to(name: str, databases: set[str]) -> bool:
    """Whether it is a side file of a database, whose content is in the snapshot."""
    return any(name.endswith(suffix) and name.removesuffix(suffix) in databases for suffix in SIDE_FILES)


def _side_files(database: Path) -> list[Path]:
    return [database.with_name(database.name + suffix) for suffix in SIDE_FILES]


def _is_sqlite(path: Path) -> bool:
    try:
        if path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    except OSError:
        return False
