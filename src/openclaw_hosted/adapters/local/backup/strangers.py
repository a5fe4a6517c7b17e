"""Archives that people bring: made by anybody, perhaps to do harm.

A tar, plain or compressed with gzip, either as this platform writes them (docs/archives.md) or of a folder `~/.openclaw`. Everything has
a bound: bytes in and out, how much more the one is than the other, entries, depth, what a header may hold. A name that leads out, a hard
link, a device, a pipe, or a link that may lead out refuses the whole archive, by name. Files are made anew, never opened through a link,
and links are made after all else.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import tarfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, cast

from openclaw_hosted.adapters.local.backup.archive import GZIP_MAGIC, checked_name, unpack_members, write_member
from openclaw_hosted.adapters.local.backup.errors import BackupUnreadable
from openclaw_hosted.adapters.local.backup.volume_archive import ROOT, settle_volume
from openclaw_hosted.adapters.local.beneath import making_folder_of
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput
from openclaw_hosted.domain.foreign import one_line
from openclaw_hosted.domain.links import stays_inside

CONFIG: Final = "openclaw.json"
BROUGHT: Final = "openclaw.json.brought"
"""Its own configuration names places, programs and keys of another computer. It is kept to be looked at, and OpenClaw starts without it."""
HEADER_BYTES: Final = 1 << 20
DEEPEST: Final = 90
DEEPEST_ROOT: Final = 4
MANIFEST_BYTES: Final = 48 << 20
EXTENSIONS: Final = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
SLACK_BYTES: Final = 64 << 20
NO_ARCHIVE: Final = (
    "This is not an archive of an OpenClaw: give a .tar or .tar.gz that was downloaded here, or one of a folder ~/.openclaw."
)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What an archive may take."""

    packed_bytes: int = 2 << 30
    unpacked_bytes: int = 8 << 30
    entries: int = 200_000
    ratio: int = 200
    """How many bytes may come out for each that went in, after the first 64 MB."""

    def too_large(self) -> str:
        """For whoever brings one."""
        return f"It is larger than {self.packed_bytes >> 20} MB, which is the most that is taken here."


async def receive(content: AsyncIterator[bytes], path: Path, limits: ArchiveLimits, check: Callable[[], None]) -> None:
    """Store what somebody sends, as far as it may be large. `check` is called before each piece, and raises where there is no room.
    Raises `InvalidInput`."""
    with path.open("wb") as file:
        async for piece in content:
            if file.tell() + len(piece) > limits.packed_bytes:
                raise _refused(limits.too_large())
            check()
            await asyncio.to_thread(file.write, piece)


def take_in(path: Path, draft: Path, limits: ArchiveLimits, check: Callable[[], None]) -> Path:
    """Put what an archive holds into the new directory `draft`; returns the folder in it that is laid out as a volume. `check` is called
    again and again, and raises where there is no room. Raises `InvalidInput`."""
    draft.mkdir(mode=0o700)
    try:
        with _opened(path, limits, check) as tar:
            first: tarfile.TarInfo | None = getattr(tar, "firstmember", None)
            if first is not None and PurePosixPath(first.name).parts[:1] == (ROOT,):
                return settle_volume(unpack_members(tar, draft, lambda _: None, MANIFEST_BYTES), draft)
            return _lay_out(draft, *_unpack(tar, draft / "raw"))
    except BackupUnreadable as error:
        raise _refused(str(error)) from None
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, UnicodeError, ValueError, RecursionError):
        raise _refused(NO_ARCHIVE) from None


@contextmanager
def _opened(path: Path, limits: ArchiveLimits, check: Callable[[], None]) -> Iterator[tarfile.TarFile]:
    with ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(path.open("rb"))
        is_packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        file.seek(0)
        plain = cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=file, mode="rb"))) if is_packed else file
        bounded = cast("IO[bytes]", _Bounded(plain, file, limits, check))
        yield stack.enter_context(tarfile.open(fileobj=bounded, mode="r|", tarinfo=bounded_info(limits)))


class _Bounded:
    """Counts what comes out, beside what went in."""

    def __init__(self, plain: IO[bytes], packed: IO[bytes], limits: ArchiveLimits, check: Callable[[], None]) -> None:
        self._plain = plain
        self._packed = packed
        self._limits = limits
        self._check = check
        self._came = 0

    def read(self, size: int) -> bytes:
        """The next bytes."""
        self._check()
        block = self._plain.read(size)
        self._came += len(block)
        if self._came > self._limits.unpacked_bytes:
            raise _refused(f"Unpacked it is larger than {self._limits.unpacked_bytes >> 20} MB, which is the most that is taken here.")
        if self._came > SLACK_BYTES + self._limits.ratio * self._packed.tell():
            raise _refused("It unpacks to very much more than it is. Archives that do are not taken.")
        return block


def bounded_info(limits: ArchiveLimits) -> type[tarfile.TarInfo]:
    """What reads headers: so many of them, and extensions only while they are small, for all of one is held in memory."""
    left = limits.entries

    class Bounded(tarfile.TarInfo):
        """A header."""

        def _proc_member(self, archive: Any) -> Any:
            nonlocal left
            if self.type in EXTENSIONS:
                if self.size > HEADER_BYTES:
                    raise _refused("One of its headers is too large.")
            elif self.type == tarfile.GNUTYPE_SPARSE:
                raise _refused("It holds a file with holes in a form that is not taken. Make it without --sparse.")
            left -= 1
            if left < 0:
                raise _refused(f"It holds more than {limits.entries:,} files and folders, which is the most that is taken here.")
            return super()._proc_member(archive)  # type: ignore[misc]

    return Bounded


def _unpack(tar: tarfile.TarFile, into: Path) -> tuple[Path, dict[PurePosixPath, str]]:
    """The files and folders of any tar; returns where they are, and its links, which are not made yet."""
    into.mkdir(mode=0o700)
    links: dict[PurePosixPath, str] = {}
    for info in tar:
        if info.name.rstrip("/") in (".", ""):
            continue
        name = checked_name(info.name.removeprefix("./"))
        said = one_line(str(name), 80)
        if len(name.parts) > DEEPEST:
            raise _refused(f"It has folders more than {DEEPEST} deep.")
        if info.issym():
            links[name] = info.linkname
        elif info.islnk():
            raise _refused(f"It holds a hard link, “{said}”. Make it with --hard-dereference.")
        elif info.isdir():
            _place(into, name, lambda path: path.mkdir(mode=0o700, exist_ok=True))
        elif info.isreg():
            _place(into, name, lambda path, info=info: write_member(tar, info, path))  # type: ignore[misc]
        else:
            raise _refused(f"It holds something that is neither file nor folder: “{said}”.")
    return into, links


def _place(into: Path, name: PurePosixPath, make: Callable[[Path], object]) -> None:
    try:
        with making_folder_of(into, name.parts) as (folder, last):
            make(Path(f"/proc/self/fd/{folder}") / last)
    except (FileExistsError, NotADirectoryError):
        raise _refused(f"It holds “{one_line(str(name), 80)}” twice.") from None


def _lay_out(draft: Path, raw: Path, links: dict[PurePosixPath, str]) -> Path:
    """A volume of what was unpacked: the folder with OpenClaw's configuration is its state."""
    root = _root_of(raw)
    below = root.relative_to(raw).parts
    volume = draft / ROOT
    (volume / "home").mkdir(parents=True, mode=0o700)
    state = volume / "state"
    root.rename(state)
    (state / CONFIG).rename(state / BROUGHT)
    for name, target in sorted(links.items()):
        if name.parts[: len(below)] == below and len(name.parts) > len(below):
            _link(state, name.parts[len(below) :], target)
    return volume


def _root_of(raw: Path) -> Path:
    """The one folder, as far up as there is any, that is a state directory of OpenClaw."""
    level = [raw]
    for _ in range(DEEPEST_ROOT + 1):
        found = [folder for folder in level if (folder / CONFIG).is_file()]
        if len(found) > 1:
            raise _refused("It holds more than one OpenClaw. Make an archive of one folder ~/.openclaw.")
        if found:
            return found[0]
        level = [below for folder in level for below in sorted(folder.iterdir()) if below.is_dir()]
    raise _refused(NO_ARCHIVE)


def _link(state: Path, parts: tuple[str, ...], target: str) -> None:
    if not stays_inside(parts, target):
        raise _refused(f"It holds a link that leads out of it: “{one_line('/'.join(parts), 80)}”. Leave it out, or use --dereference.")
    try:
        with making_folder_of(state, parts) as (folder, last):
            os.symlink(target, last, dir_fd=folder)
    except (FileExistsError, NotADirectoryError, OSError) as error:
        raise _refused(f"It holds a link that can't be made: “{one_line('/'.join(parts), 80)}” ({type(error).__name__}).") from None


def _refused(reason: str) -> InvalidInput:
    return InvalidInput(FieldProblem("archive", reason))
