"""Files below a folder that a tenant writes to: reached from descriptor to descriptor, one name at a time, and never through a link.

A path is resolved anew by each call that is given it, and a tenant may exchange any part of it in between, perhaps while the platform runs
as root. So nothing here takes a path of more than one name into a tenant's folder. What is left on the way may be of any kind: a link,
a pipe that would wait for its other end, a device, a tree deeper than Python's recursion, a million entries.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PLAIN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MOST_LEVELS: Final = 100
"""How deep a walk goes. Each level holds a descriptor."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something below the root of a walk. `folder` is open until the walk goes on."""

    relative: str
    folder: int
    name: str
    status: os.stat_result

    @property
    def is_folder(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.status.st_mode)


class Walk:
    """All below a folder, each directory before what is in it, names in order, and nothing through a link.

    `most` bounds how many entries come, `skip` says which are passed over with all below. `left_out` has what did not come, and why.
    """

    def __init__(self, root: Path, most: int, skip: Callable[[str], bool] = lambda _: False) -> None:
        self._root = root
        self._most = most
        self._skip = skip
        self.left_out: list[tuple[str, str]] = []

    def __iter__(self) -> Iterator[Entry]:
        """Without recursion: a tenant says how deep it is."""
        root = os.open(self._root, FOLDER)
        open_now = [(root, "", self._names(root, "", 0))]
        came = 0
        try:
            while open_now:
                folder, prefix, names = open_now[-1]
                name = next(names, None)
                if name is None:
                    open_now.pop()
                    os.close(folder)
                elif not self._skip(f"{prefix}{name}"):
                    if came >= self._most:
                        self.left_out.append((f"{prefix}{name}", f"this and what follows: there are more than {self._most:,} entries"))
                        return
                    came += 1
                    entry = self._entry(folder, prefix, name)
                    if entry is not None:
                        yield entry
                        if entry.is_folder:
                            self._enter(entry, open_now, came)
        finally:
            for folder, _, _ in open_now:
                os.close(folder)

    def _entry(self, folder: int, prefix: str, name: str) -> Entry | None:
        try:
            return Entry(f"{prefix}{name}", folder, name, os.stat(name, dir_fd=folder, follow_symlinks=False))
        except FileNotFoundError:
            return None
        except OSError as error:
            self.left_out.append((f"{prefix}{name}", f"{error.strerror}"))
            return None

    def _enter(self, entry: Entry, open_now: list[tuple[int, str, Iterator[str]]], came: int) -> None:
        if len(open_now) >= MOST_LEVELS:
            self.left_out.append((entry.relative, f"what is in it: it lies more than {MOST_LEVELS} folders deep"))
            return
        try:
            folder = os.open(entry.name, FOLDER, dir_fd=entry.folder)
        except OSError as error:
            self.left_out.append((entry.relative, f"what is in it: {error.strerror}"))
            return
        open_now.append((folder, f"{entry.relative}/", self._names(folder, entry.relative, came)))

    def _names(self, folder: int, relative: str, came: int) -> Iterator[str]:
        try:
            with os.scandir(folder) as found:
                return iter(sorted(each.name for each in islice(found, self._most - came + 1)))
        except OSError as error:
            self.left_out.append((relative, f"what is in it: {error.strerror}"))
            return iter(())


@contextmanager
def folder_of(root: Path, relative: str) -> Iterator[tuple[int, str]]:
    """The folder of `relative` below `root`, as a descriptor, and the last name. Raises `OSError` where a link is on the way."""
    parts = PurePosixPath(relative).parts
    if not parts or parts[0] == "/" or ".." in parts or len(parts) > MOST_LEVELS:
        raise OSError(errno.EINVAL, "not a path below it")
    with ExitStack() as stack:
        folder = os.open(root, FOLDER)
        stack.callback(os.close, folder)
        for part in parts[:-1]:
            folder = os.open(part, FOLDER, dir_fd=folder)
            stack.callback(os.close, folder)
        yield folder, parts[-1]


@contextmanager
def making_folder_of(root: Path, parts: Sequence[str]) -> Iterator[tuple[int, str]]:
    """As `folder_of`, with folders made where they are missing. Raises `NotADirectoryError` where a link or a file is on the way."""
    with ExitStack() as stack:
        folder = os.open(root, FOLDER)
        stack.callback(os.close, folder)
        for part in parts[:-1]:
            with suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=folder)
            folder = os.open(part, FOLDER, dir_fd=folder)
            stack.callback(os.close, folder)
        yield folder, parts[-1]


def open_plain(folder: int, name: str) -> int:
    """A descriptor for reading a plain file. Raises `OSError` for anything else, without waiting for the other end of a pipe."""
    descriptor = os.open(name, PLAIN, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a plain file")
    return descriptor


def unlink_beneath(root: Path, relative: str) -> None:
    """Remove a file or a link. Does nothing where it is gone, or where a link is on the way to it."""
    with suppress(OSError), folder_of(root, relative) as (folder, name):
        os.unlink(name, dir_fd=folder)


def chown_tree(path: Path, uid: int) -> None:
    """Have a file or folder, and all below it, belong to user and group `uid`. The top comes last: where it does already, all does."""
    status = path.lstat()
    if status.st_uid == uid:
        return
    if stat.S_ISDIR(status.st_mode):
        for entry in Walk(path, most=1 << 62):
            with suppress(FileNotFoundError):
                os.chown(entry.name, uid, uid, dir_fd=entry.folder, follow_symlinks=False)
    os.chown(path, uid, uid, follow_symlinks=False)


def remove_tree(path: Path) -> None:
    """Remove a folder and all below it, however deep. Does nothing where it is gone. Raises `OSError`.

    What is too deep to hold a descriptor for each level is moved up before it is removed.
    """
    try:
        root = os.open(path, FOLDER)
    except FileNotFoundError:
        return
    try:
        while names := os.listdir(root):  # noqa: PTH208 - a descriptor
            for name in names:
                _remove_at(root, name)
    finally:
        os.close(root)
    path.rmdir()


def _remove_at(root: int, name: str) -> None:
    """Remove what is in `root`; folders in it come to stand in `root` themselves."""
    if not _made_open(root, name):
        os.unlink(name, dir_fd=root)
        return
    folder = os.open(name, FOLDER, dir_fd=root)
    try:
        for below in os.listdir(folder):  # noqa: PTH208 - a descriptor
            if _made_open(folder, below):
                os.rename(below, f".{secrets.token_hex(8)}", src_dir_fd=folder, dst_dir_fd=root)
            else:
                os.unlink(below, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=root)


def _made_open(folder: int, name: str) -> bool:
    """Whether it is a directory; one that its owner closed is opened."""
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode):
        return False
    if status.st_mode & stat.S_IRWXU != stat.S_IRWXU:
        descriptor = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            Path(f"/proc/self/fd/{descriptor}").chmod(0o700)
        finally:
            os.close(descriptor)
    return True
