"""Unpacks a tar that anybody may have written. The filters of `tarfile` would do, but came with Python 3.11.4, and Debian 12 has 3.11.2."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path
from typing import IO

from openclaw_hosted.domain.links import stays_inside

MODE_KEPT = 0o700
"""Of the rights only the owner's are taken over."""


def untar(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpack files, folders and links into `folder`, which is empty. Devices and links that lead out of it are left out.

    Links are made last, so no name leads through one. Raises `tarfile.TarError` for a name that leads out of the folder, or that is there
    as a file and as a folder.
    """
    try:
        _unpack(archive, folder)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise tarfile.ReadError("a name is there as a file and as a folder") from None


def _unpack(archive: tarfile.TarFile, folder: Path) -> None:
    links: list[tuple[tuple[str, ...], str]] = []
    for member in archive:
        parts = _parts(member.name)
        path = folder.joinpath(*parts)
        if member.isdir():
            path.mkdir(mode=MODE_KEPT, parents=True, exist_ok=True)
        elif member.issym():
            links.append((parts, member.linkname))
        elif member.isreg() or member.islnk():
            path.parent.mkdir(mode=MODE_KEPT, parents=True, exist_ok=True)
            _file(archive, member, path, folder)
    for parts, target in links:
        path = folder.joinpath(*parts)
        if stays_inside(parts, target) and not os.path.lexists(path):
            path.parent.mkdir(mode=MODE_KEPT, parents=True, exist_ok=True)
            path.symlink_to(target)


def _file(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, folder: Path) -> None:
    if member.isreg():
        source: IO[bytes] | None = archive.extractfile(member)
    else:
        linked = folder.joinpath(*_parts(member.linkname))
        source = linked.open("rb") if linked.is_file() else None
    if source is None:
        return
    with source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
    path.chmod(member.mode & MODE_KEPT)
    os.utime(path, (member.mtime, member.mtime))


def _parts(name: str) -> tuple[str, ...]:
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts:
        raise tarfile.ReadError(f"the name {name[:80]!r} leads out of it")
    return parts
