"""Copies of SQLite databases that a tenant's OpenClaw is writing to.

SQLite opens by name, and a tenant may exchange what has that name: the platform's own SQLite never opens a file in a tenant's volume. The
files are copied from descriptors into a private folder, while locks on those descriptors keep SQLite's own rules, so that they fit
each other; what runs on the copy is `settle.py`, a process of its own with limits.

The locks are those of a reader that also keeps checkpoints away: SQLite's shared lock on the database, the checkpointer's lock and one
reader's lock in the index of the write-ahead log. Writers go on, and only append to the log meanwhile; a part of a transaction at its
end does not count. A tenant that heeds no locks damages the copy of its own database, and nothing else.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from openclaw_hosted.adapters.local.backup import settle
from openclaw_hosted.adapters.local.backup.holes import copy_data, data_bytes, extents_of
from openclaw_hosted.adapters.local.beneath import open_plain

SQLITE_MAGIC: Final = b"SQLite format 3\x00"
JOURNAL_MAGIC: Final = bytes.fromhex("d9d505f920a163d7")
LOG: Final = "-wal"
INDEX: Final = "-shm"
JOURNAL: Final = "-journal"
SIDE_FILES: Final = (LOG, INDEX, JOURNAL)
PENDING_BYTE: Final = 0x40000000
RESERVED_BYTE: Final = PENDING_BYTE + 1
SHARED_FIRST: Final = PENDING_BYTE + 2
SHARED_BYTES: Final = 510
CHECKPOINT_BYTE: Final = 121
LAST_READER_BYTE: Final = 127
"""SQLite begins its log anew only while it has the locks of all readers."""
LOOK_AGAIN_SECONDS: Final = 0.02
TRIES: Final = 3
SETTLE_CPU_SECONDS: Final = 60
SETTLE_SECONDS: Final = 120.0
ROOM_BYTES: Final = 64 << 20
KEPT_FREE_BYTES: Final = 128 << 20
"""What copies leave of the disk on which the platform works."""
Stopped = Callable[[], None]
"""Raises where nobody wants the copy any more."""


class Busy(Exception):
    """It stayed locked, or its files were exchanged all the time."""


class Unsettled(Exception):
    """It can't be made one file. The text says why."""


def is_database(folder: int, name: str) -> bool:
    """Whether the file begins as an SQLite database does."""
    try:
        descriptor = open_plain(folder, name)
    except OSError:
        return False
    try:
        return os.pread(descriptor, len(SQLITE_MAGIC), 0) == SQLITE_MAGIC
    finally:
        os.close(descriptor)


def copy_database(folder: int, name: str, copy: Path, until: float, stopped: Stopped) -> bool:
    """Copy a database at one moment, with its log beside it; whether a journal came as well, which only its owner may roll back.

    `until` is on the monotonic clock. Raises `Busy` then, and `OSError`.
    """
    for _ in range(TRIES):
        with ExitStack() as stack:
            main = _opened(stack, folder, name)
            _wait_for(_lock_shared, main, until, stopped)
            files: dict[str, int | None] = {suffix: _opened_if_there(stack, folder, name + suffix) for suffix in SIDE_FILES}
            files[""] = main
            if (index := files[INDEX]) is not None:
                _wait_for(_lock_index, index, until, stopped)
            is_hot = _is_hot(main, files[JOURNAL])
            for suffix in ("", LOG, *((JOURNAL,) if is_hot else ())):
                _copy(files[suffix], copy.with_name(copy.name + suffix), stopped)
            if all(_is_still(folder, name + suffix, files[suffix]) for suffix in ("", LOG, INDEX)):
                return is_hot
    raise Busy


def copy_unlocked(folder: int, name: str, copy: Path, stopped: Stopped) -> None:
    """Copy a database and what stands beside it as it is now, whether or not that fits."""
    with ExitStack() as stack:
        for suffix in ("", LOG, JOURNAL):
            _copy(_opened_if_there(stack, folder, name + suffix), copy.with_name(copy.name + suffix), stopped)


def settle_copy(copy: Path, forgotten: Sequence[str], stopped: Stopped, kept: Path | None = None) -> None:
    """Make the copy one file, without the rows that `forgotten` names as `settle.py` says; those of another private copy come in their
    place. Raises `Unsettled`; the copy is of no use then."""
    room = sum(each.stat().st_size for each in (copy, copy.with_name(copy.name + LOG)) if each.exists()) + ROOM_BYTES
    command = [sys.executable, "-I", "-S", settle.__file__, str(copy), str(room), str(SETTLE_CPU_SECONDS), str(kept or "-"), *forgotten]
    deadline = time.monotonic() + SETTLE_SECONDS
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_environment(), cwd="/"
    ) as child:
        try:
            while True:
                stopped()
                with suppress(subprocess.TimeoutExpired):
                    _, said = child.communicate(timeout=0.2)
                    break
                if time.monotonic() > deadline:
                    raise Unsettled("it took too long")
        finally:
            child.kill()
    if child.returncode != 0:
        raise Unsettled(said.decode(errors="replace").strip()[-200:] or "it was ended: it took too long, or too much memory")
    copy.with_name(copy.name + LOG).unlink(missing_ok=True)


def _environment() -> dict[str, str]:
    """What Python itself may need to start."""
    return {name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"}


def copied_files(copy: Path) -> list[tuple[str, Path]]:
    """The suffix and the path of each file of a copy that is there."""
    return [(suffix, path) for suffix in ("", LOG, JOURNAL) if (path := copy.with_name(copy.name + suffix)).exists()]


def forget_copy(copy: Path) -> None:
    """Remove all files of a copy."""
    for suffix in ("", *SIDE_FILES):
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)


def _opened(stack: ExitStack, folder: int, name: str) -> int:
    descriptor = open_plain(folder, name)
    stack.callback(os.close, descriptor)
    return descriptor


def _opened_if_there(stack: ExitStack, folder: int, name: str) -> int | None:
    try:
        return _opened(stack, folder, name)
    except OSError:
        return None


def _copy(source: int | None, path: Path, stopped: Stopped) -> None:
    path.unlink(missing_ok=True)
    if source is None:
        return
    if data_bytes(extents_of(source)) > shutil.disk_usage(path.parent).free - KEPT_FREE_BYTES:
        raise OSError(errno.ENOSPC, "there is no room for a copy of it beside the platform's own data")
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        copy_data(source, target, stopped)
    finally:
        os.close(target)


def _lock_shared(descriptor: int) -> bool:
    if not _hold(descriptor, PENDING_BYTE):
        return False
    try:
        return _hold(descriptor, SHARED_FIRST, SHARED_BYTES)
    finally:
        _set_lock(descriptor, fcntl.F_UNLCK, PENDING_BYTE, 1)


def _hold(descriptor: int, start: int, length: int = 1) -> bool:
    """Lock for reading, which keeps whoever wants it alone away; False while somebody has."""
    try:
        _set_lock(descriptor, fcntl.F_RDLCK, start, length)
    except BlockingIOError:
        return False
    return True


def _set_lock(descriptor: int, kind: int, start: int, length: int) -> None:
    """A lock of the open file, not of this process: SQLite in another thread neither shares nor drops it."""
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi0q", kind, os.SEEK_SET, start, length, 0))


def _lock_index(descriptor: int) -> bool:
    """Keep checkpoints away, and the log from being begun anew."""
    return _hold(descriptor, CHECKPOINT_BYTE) and _hold(descriptor, LAST_READER_BYTE)


def _is_hot(main: int, journal: int | None) -> bool:
    """Whether a journal has to be rolled back: it belongs to nobody who still writes."""
    if journal is None or os.pread(journal, len(JOURNAL_MAGIC), 0) != JOURNAL_MAGIC:
        return False
    asked = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, RESERVED_BYTE, 1, 0)
    (found,) = struct.unpack_from("h", fcntl.fcntl(main, fcntl.F_OFD_GETLK, asked))
    return bool(found == fcntl.F_UNLCK)


def _is_still(folder: int, name: str, descriptor: int | None) -> bool:
    """Whether the name stands for what was opened, or still for nothing."""
    try:
        now = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return descriptor is None
    if descriptor is None:
        return False
    then = os.fstat(descriptor)
    return (now.st_dev, now.st_ino) == (then.st_dev, then.st_ino)


def _wait_for(lock: Callable[[int], bool], descriptor: int, until: float, stopped: Stopped) -> None:
    while not lock(descriptor):
        stopped()
        if time.monotonic() >= until:
            raise Busy
        time.sleep(LOOK_AGAIN_SECONDS)
