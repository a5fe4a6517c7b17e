"""Makes one folder hold what another holds: only what differs is copied, and then both are compared.

Both belong to a user, who may have put anything there: nothing is followed through a link, and what is neither file, folder nor a link that
stays inside is refused. Credentials do not come along: they are in the vault. Nor does what OpenClaw makes anew.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from openclaw_hosted.adapters.local.backup import databases
from openclaw_hosted.adapters.local.backup.databases import SIDE_FILES, Unsettled
from openclaw_hosted.adapters.local.backup.volume import GLOBAL_STATE, OPEN
from openclaw_hosted.adapters.local.beneath import Entry, Walk, making_folder_of, open_plain, unlink_beneath
from openclaw_hosted.adapters.local.states import whole
from openclaw_hosted.adapters.local.states.kept import MOST_ENTRIES, ROWS
from openclaw_hosted.domain.errors import Conflict
from openclaw_hosted.domain.links import stays_inside
from openclaw_hosted.domain.old_keys import OWN_DATABASES
from openclaw_hosted.domain.old_state import is_left
from openclaw_hosted.ports.legacy import StateSize

BLOCK_BYTES: Final = 1 << 20
CHECK_SECONDS: Final = 120
NAMED: Final = 3
SHARED: Final = GLOBAL_STATE.removeprefix("state/")
"""OpenClaw's database of the whole state."""

Stopped = Callable[[], None]


def _never() -> None:
    return None


@dataclass
class Seen:
    """What a folder holds: files with their digests, databases, links, folders, by their path below it."""

    files: dict[str, str] = field(default_factory=dict)
    databases: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    size_bytes: int = 0


def look(root: Path, *, digests: bool = True) -> Seen:
    """What a state holds that comes along. Raises `Conflict` for what can't, and names it."""
    seen, walk = Seen(), Walk(root, MOST_ENTRIES, is_left)
    for entry in walk:
        mode = entry.status.st_mode
        if stat.S_ISDIR(mode):
            seen.folders.append(entry.relative)
        elif stat.S_ISLNK(mode):
            _see_link(seen, entry)
        elif not stat.S_ISREG(mode):
            raise Conflict(f"{entry.relative} is neither a file nor a folder. Remove it, and try again.")
        elif not entry.relative.endswith(SIDE_FILES) or not _is_database(entry.folder, entry.name.rpartition("-")[0]):
            seen.size_bytes += entry.status.st_size
            if databases.is_database(entry.folder, entry.name):
                seen.databases.add(entry.relative)
            else:
                seen.files[entry.relative] = _digest(entry) if digests else ""
    if walk.left_out:
        relative, reason = walk.left_out[0]
        raise Conflict(f"{relative} can't be read: {reason}.")
    return seen


def copy_state(source: Path, target: Path, *, with_databases: bool, removes: bool, keeps_keys: bool = False) -> StateSize:
    """Copy what differs; databases only where nobody writes to them, without the rows that say who has them open, and without those that
    hold keys: with `keeps_keys`, those of the target's own database stay in it. Returns how much was copied. Raises `Conflict` for a
    database that can't be freed of keys."""
    target.mkdir(mode=0o700, exist_ok=True)
    there, here = look(source), look(target)
    copied, size = 0, 0
    for relative in there.folders:
        with suppress(FileExistsError), making_folder_of(target, Path(relative).parts) as (folder, name):
            os.mkdir(name, 0o700, dir_fd=folder)
    for relative, digest in there.files.items():
        if here.files.get(relative) != digest:
            size += _copy_file(source, target, relative)
            copied += 1
    for relative, to in there.links.items():
        if here.links.get(relative) != to:
            unlink_beneath(target, relative)
            with making_folder_of(target, Path(relative).parts) as (folder, name):
                os.symlink(to, name, dir_fd=folder)
    if with_databases:
        for relative in there.databases:
            size += _copy_database(source, target, relative, keeps_keys=keeps_keys)
            copied += 1
    if removes:
        for relative in (here.files.keys() - there.files.keys()) | (here.databases - there.databases) | (here.links.keys() - there.links):
            unlink_beneath(target, relative)
    return StateSize(copied, size)


def verify(source: Path, target: Path) -> None:
    """Raise `Conflict` unless the target holds all files of the source with the same content, and each database whole."""
    there, here = look(source), look(target)
    differing = sorted(name for name, digest in there.files.items() if here.files.get(name) != digest)
    missing = sorted((there.databases - here.databases) | (there.links.keys() - here.links.keys()))
    if differing or missing:
        named = ", ".join((differing + missing)[:NAMED])
        raise Conflict(f"{len(differing) + len(missing)} files are not the same as on the other side: {named}.")
    for relative in sorted(here.databases):
        said = _check_whole(target / relative)
        if said is not None:
            raise Conflict(f"The database {relative} is not whole: {said}")


def _see_link(seen: Seen, entry: Entry) -> None:
    to = os.readlink(entry.name, dir_fd=entry.folder)
    if not stays_inside(entry.relative.split("/"), to):
        raise Conflict(f"{entry.relative} is a link that leads out of the state. Remove it, and try again.")
    seen.links[entry.relative] = to


def _is_database(folder: int, name: str) -> bool:
    return bool(name) and databases.is_database(folder, name)


def _digest(entry: Entry) -> str:
    descriptor, summed = open_plain(entry.folder, entry.name), hashlib.sha256()
    with os.fdopen(descriptor, "rb") as opened:
        while block := opened.read(BLOCK_BYTES):
            summed.update(block)
    return summed.hexdigest()


def _copy_file(source: Path, target: Path, relative: str) -> int:
    parts, size = Path(relative).parts, 0
    with making_folder_of(source, parts) as (from_folder, name), making_folder_of(target, parts) as (to_folder, _):
        reading = open_plain(from_folder, name)
        draft = f".{name}.coming"[-200:]
        with suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=to_folder)
        mode = 0o700 if os.fstat(reading).st_mode & stat.S_IXUSR else 0o600
        writing = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=to_folder)
        with os.fdopen(reading, "rb") as opened, os.fdopen(writing, "wb") as made:
            while block := opened.read(BLOCK_BYTES):
                size += made.write(block)
            made.flush()
            os.fsync(made.fileno())
        os.rename(draft, name, src_dir_fd=to_folder, dst_dir_fd=to_folder)
    return size


def _copy_database(source: Path, target: Path, relative: str, *, keeps_keys: bool) -> int:
    """As one file, its log taken into it."""
    parts = Path(relative).parts
    with making_folder_of(source, parts) as (from_folder, name), making_folder_of(target, parts) as (to_folder, _):
        draft = target / relative
        draft, kept = draft.with_name(f".{draft.name}.coming"), draft.with_name(f".{draft.name}.kept")
        try:
            databases.copy_unlocked(from_folder, name, draft, _never)
            if keeps_keys and _is_database(to_folder, name):
                databases.copy_unlocked(to_folder, name, kept, _never)
            _settle(from_folder, relative, draft, kept)
            for suffix in SIDE_FILES:
                with suppress(FileNotFoundError):
                    os.unlink(name + suffix, dir_fd=to_folder)
            size = 0
            for suffix, path in databases.copied_files(draft):
                size += path.stat().st_size
                os.rename(path.name, name + suffix, src_dir_fd=to_folder, dst_dir_fd=to_folder)
        finally:
            databases.forget_copy(draft)
            databases.forget_copy(kept)
    return size


def _settle(from_folder: int, relative: str, draft: Path, kept: Path) -> None:
    """One of somebody else's that this SQLite can't read comes as it is, with its log beside it: nobody writes to it."""
    rows = (*ROWS, *(f"-{table}" for table in OPEN)) if relative == SHARED else ROWS
    try:
        databases.settle_copy(draft, rows, _never, kept if kept.exists() else None)
    except Unsettled as reason:
        if OWN_DATABASES.fullmatch(relative):
            raise Conflict(f"The database {relative} can't be read: {reason}") from None
        databases.forget_copy(draft)
        databases.copy_unlocked(from_folder, Path(relative).name, draft, _never)


def _check_whole(path: Path) -> str | None:
    command = [sys.executable, "-I", "-S", whole.__file__, str(path), str(CHECK_SECONDS)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=CHECK_SECONDS * 2, check=False, cwd="/")
    except subprocess.TimeoutExpired:
        return "it took too long to look at."
    return None if done.returncode == 0 else done.stderr.decode(errors="replace").strip()[-200:] or "it could not be read."
