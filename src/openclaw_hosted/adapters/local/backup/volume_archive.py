"""The archive of one volume (docs/archives.md): what a restore point is on this computer, and what a user downloads and brings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from openclaw_hosted import __version__
from openclaw_hosted.adapters.local.backup.allowance import MANIFEST_KEPT_BYTES, Allowance
from openclaw_hosted.adapters.local.backup.archive import MANIFEST_BYTES, ArchiveWriter, Manifest, make_links, unpack, writing
from openclaw_hosted.adapters.local.backup.errors import BackupUnreadable
from openclaw_hosted.adapters.local.backup.volume import Kept, add_volume
from openclaw_hosted.adapters.local.beneath import remove_tree

ROOT: Final = "openclaw-volume"
"""The folder in which everything lies, which tells such an archive from others."""
SCHEMA: Final = "volume"


def write_volume(opened: AbstractContextManager[ArchiveWriter], volume: Path, scratch: Path, data_bytes: int, kept: Kept) -> None:
    """Write the archive of a volume, with no more data than this. Raises `TargetFailed`, `BackupFailed`."""
    with opened as archive:
        archive.add_directory(ROOT, 0o700)
        allowance = Allowance(data_bytes, MANIFEST_BYTES - MANIFEST_KEPT_BYTES)
        add_volume(archive, volume, ROOT, scratch, kept, allowance, portable=True)
        archive.finish(manifest_of(archive, kept))


def write_volume_file(path: Path, volume: Path, scratch: Path, data_bytes: int, kept: Kept) -> None:
    """The same into a file: there in whole, or not at all."""
    write_volume(writing(path, None, kept.check), volume, scratch, data_bytes, kept)


def unpack_volume(path: Path, draft: Path, check: Callable[[str], None] = lambda _: None) -> Path:
    """Put what an archive of this platform's own holds into a new directory `draft`; returns the folder in it that is the volume. Raises
    `BackupUnreadable`."""
    remove_tree(draft)
    draft.mkdir(mode=0o700)
    manifest = unpack(path, None, draft, check)
    return settle_volume(manifest, draft)


def settle_volume(manifest: Manifest, draft: Path) -> Path:
    """Make the links, and see that it is a volume. Raises `BackupUnreadable`."""
    make_links(manifest, draft)
    if manifest.schema != SCHEMA or {each.name for each in draft.iterdir()} != {ROOT}:
        raise BackupUnreadable("The archive is not one of an instance.")
    for name in ("state", "home"):
        folder = draft / ROOT / name
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise BackupUnreadable(f"In the archive, {name} is not a folder.")
        folder.mkdir(mode=0o700, exist_ok=True)
    return draft / ROOT


def manifest_of(archive: ArchiveWriter, kept: Kept) -> Manifest:
    """Of an archive of a volume whose members are all written."""
    return Manifest(
        platform_version=__version__,
        schema=SCHEMA,
        database="",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        members=archive.members,
        links=kept.links,
        left_out=tuple(kept.left_out),
        sparse=archive.sparse,
    )
