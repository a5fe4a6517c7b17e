"""Files that are written whole or not at all, and locks between processes."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openclaw_hosted.domain.foreign import FOREIGN_BYTES, foreign_object


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace the file, durably: a reader sees the old content or the new one, never a part."""
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def write_json(path: Path, body: Any, mode: int = 0o600) -> None:
    """Replace the file with `body` as JSON."""
    write_atomically(path, json.dumps(body, indent=1).encode(), mode)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in the file; None where there is no file or it holds something else."""
    try:
        body = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def read_foreign_json(path: Path) -> dict[str, Any] | None:
    """As `read_json`, where a tenant may have put anything: no link is followed, no pipe waited for, no huge file read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > FOREIGN_BYTES:
            return None
        return foreign_object(file.read(FOREIGN_BYTES))


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock between threads and processes; waits for it, or raises `BlockingIOError`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, hidden ones left out; none where it does not exist."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")) if folder.is_dir() else []
