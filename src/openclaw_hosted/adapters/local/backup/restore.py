"""Restores a backup into a data directory that is empty: built beside it, checked, and then put in its place in one step."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from openclaw_hosted.adapters.local.backup.archive import Manifest, is_encrypted, make_links, unpack
from openclaw_hosted.adapters.local.backup.backups import DATABASE, KEY, TLS
from openclaw_hosted.adapters.local.backup.errors import BackupFailed, BackupUnreadable
from openclaw_hosted.adapters.local.beneath import remove_tree
from openclaw_hosted.domain.errors import Conflict
from openclaw_hosted.ports.backups import Progress

KNOWN = frozenset({DATABASE, KEY, TLS, "vault", "volumes"})


@dataclass(frozen=True, slots=True)
class DatabaseTarget:
    """Where the database goes."""

    upgrade: Callable[[Path], Awaitable[None]]
    """Brings the copy to the schema of this version."""
    loading: Callable[[Path], AbstractAsyncContextManager[None]] | None
    """Puts the copy into another database than the one in the data directory; kept only if the block ends well."""


async def restore(path: Path, passphrase: str | None, data_dir: Path, database: DatabaseTarget, progress: Progress) -> Manifest:
    """Put the backup's platform into `data_dir`. Raises `Conflict` unless that is empty, `BackupUnreadable`, `BackupFailed`.

    After an error everything is as it was.
    """
    check_target(data_dir)
    if await asyncio.to_thread(is_encrypted, path) != (passphrase is not None):
        raise BackupUnreadable(
            "The backup is encrypted: give --passphrase-file, or set BACKUP_PASSPHRASE."
            if passphrase is None
            else "The backup is not encrypted: leave the passphrase out."
        )
    with _beside(data_dir) as draft:
        manifest = await asyncio.to_thread(_unpack, path, passphrase, draft, progress)
        progress("Preparing the database")
        await database.upgrade(draft / DATABASE)
        if database.loading is None:
            await asyncio.to_thread(_put_in_place, draft, data_dir)
        else:
            await _load_and_put_in_place(draft, data_dir, database.loading)
    return manifest


def check_target(data_dir: Path) -> None:
    """Raise `Conflict` unless the directory is empty or not there yet."""
    if data_dir.is_symlink() or (data_dir.exists() and not data_dir.is_dir()):
        raise Conflict(f"{data_dir} is not a directory; choose another --data-dir.")
    if data_dir.is_dir() and any(data_dir.iterdir()):
        raise Conflict(f"{data_dir} is not empty. Nothing is restored over data: choose another --data-dir, or move that one away.")
    if data_dir.is_dir() and os.path.ismount(data_dir):
        raise Conflict(f"{data_dir} is where a file system is mounted, and can't be replaced: choose a directory in it.")


def _unpack(path: Path, passphrase: str | None, draft: Path, progress: Progress) -> Manifest:
    try:
        manifest = unpack(path, passphrase, draft, progress)
        unknown = {entry.name for entry in draft.iterdir()} - KNOWN
        if unknown or not (draft / DATABASE).is_file():
            raise BackupUnreadable("The archive is not a backup of OpenClaw Hosted.")
        if not all(Path(name).parts[0] in ("volumes", TLS) for name in manifest.links):
            raise BackupUnreadable("The backup holds a link where none belongs.")
        manifest = replace(manifest, left_out=(*manifest.left_out, *make_links(manifest, draft)))
    except OSError as error:
        raise BackupFailed(f"The backup can't be unpacked to {draft.parent}: {error.strerror}.") from None
    return manifest


async def _load_and_put_in_place(draft: Path, data_dir: Path, loading: Callable[[Path], AbstractAsyncContextManager[None]]) -> None:
    """Rows are committed last; where that fails, the directory goes again."""
    with tempfile.TemporaryDirectory(prefix=f".{data_dir.name}.", dir=data_dir.parent) as apart:
        copy = Path(apart) / DATABASE
        (draft / DATABASE).rename(copy)
        try:
            async with loading(copy):
                await asyncio.to_thread(_put_in_place, draft, data_dir)
        except BaseException:
            await asyncio.to_thread(_take_back, draft, data_dir)
            raise


def _take_back(draft: Path, data_dir: Path) -> None:
    if not draft.exists():
        data_dir.rename(draft)


def _put_in_place(draft: Path, data_dir: Path) -> None:
    try:
        draft.rename(data_dir)
    except OSError as error:
        raise Conflict(f"{data_dir} can't be put in place: {error.strerror}. Was something written there meanwhile?") from None


@contextmanager
def _beside(data_dir: Path) -> Iterator[Path]:
    try:
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{data_dir.name}.restoring.", dir=data_dir.parent))
    except OSError as error:
        raise BackupFailed(f"{data_dir.parent} can't be written: {error.strerror}. Choose another --data-dir.") from None
    try:
        yield draft
    finally:
        with suppress(OSError):
            remove_tree(draft)
