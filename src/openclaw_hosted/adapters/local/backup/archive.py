"""The archive: a compressed tar of plain files and directories, and as its last member a manifest with a SHA-256 for each file.

Symbolic links are no members. Those that stay inside the directory that is kept stand in the manifest, and are made after
everything else, so that nothing is ever written through one.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, cast

from openclaw_hosted.adapters.local.backup.encryption import MAGIC, DecryptingReader, EncryptingWriter
from openclaw_hosted.adapters.local.backup.errors import BackupUnreadable

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
MANIFEST_BYTES: Final = 256 << 20
GZIP_MAGIC: Final = b"\x1f\x8b"
IN_MEMORY_BYTES: Final = 8 << 20
BLOCK_BYTES: Final = 1 << 20
COMPRESSION: Final = 5


@dataclass(frozen=True, slots=True)
class Member:
    """One file."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in an archive, and where it comes from."""

    platform_version: str
    schema: str
    """The revision of the database's schema."""
    database: str
    """What the database was: `sqlite` or `postgresql`. In the archive it is SQLite either way."""
    created_at: str
    """ISO 8601, UTC."""
    instances: int = 0
    members: Mapping[str, Member] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    format: int = FORMAT

    def as_bytes(self) -> bytes:
        """As it stands in the archive."""
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode()


class ArchiveWriter:
    """Takes files and directories; `finish` writes the manifest."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by `finish`
        self.members: dict[str, Member] = {}

    def add_directory(self, name: str, mode: int) -> None:
        """An empty directory, or one whose files follow."""
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, mode & 0o777
        self._tar.addfile(info)

    def add(self, name: str, source: IO[bytes], mode: int = 0o600, modified_at: float = 0.0) -> None:
        """A file with what `source` gives until its end; it may be growing or shrinking meanwhile."""
        digest, size = hashlib.sha256(), 0
        with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as copy:
            while block := source.read(BLOCK_BYTES):
                digest.update(block)
                size += len(block)
                copy.write(block)
            copy.seek(0)
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = size, mode & 0o777, modified_at
            self._tar.addfile(info, cast("IO[bytes]", copy))
        self.members[name] = Member(size, digest.hexdigest())

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest and the end of the archive."""
        content = manifest.as_bytes()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode = len(content), 0o600
        self._tar.addfile(info, io.BytesIO(content))
        self.close()

    def close(self) -> None:
        """Nothing more comes."""
        self._tar.close()


@contextmanager
def writing(path: Path, passphrase: str | None) -> Iterator[ArchiveWriter]:
    """An archive at `path`, mode 0600: there in whole when the block ends well, and not at all when it does not."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with ExitStack() as stack:
            file: IO[bytes] = stack.enter_context(os.fdopen(descriptor, "wb"))
            stack.callback(lambda: os.fsync(descriptor))
            stack.callback(file.flush)
            target = file
            if passphrase is not None:
                target = cast("IO[bytes]", stack.enter_context(EncryptingWriter(file, passphrase)))
            compressed = stack.enter_context(gzip.GzipFile("", "wb", COMPRESSION, target, mtime=0))
            archive = ArchiveWriter(cast("IO[bytes]", compressed))
            stack.callback(archive.close)
            yield archive
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def is_encrypted(path: Path) -> bool:
    """Whether a passphrase is needed to read it. Raises `BackupUnreadable` for a file that is no backup."""
    with _opened(path) as file:
        start = file.read(len(MAGIC))
    if start != MAGIC and not start.startswith(GZIP_MAGIC):
        raise BackupUnreadable(f"{path} is not a backup of OpenClaw Hosted.")
    return start == MAGIC


def unpack(path: Path, passphrase: str | None, into: Path, progress: Callable[[str], None]) -> Manifest:
    """Put all that is in the archive into an empty directory, each file checked against the manifest. Raises `BackupUnreadable`."""
    with _opened(path) as file:
        source = cast("IO[bytes]", io.BufferedReader(DecryptingReader(file, passphrase))) if passphrase is not None else file
        try:
            with gzip.GzipFile(fileobj=source, mode="rb") as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
                return _unpack(tar, into, progress)
        except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise BackupUnreadable("The backup was altered or cut short.") from error


def make_links(manifest: Manifest, root: Path) -> None:
    """The links that the manifest names: relative ones that stay below `root`."""
    base = root.resolve()
    for name, target in sorted(manifest.links.items()):
        link = base / _checked(name)
        inside = Path(os.path.normpath(link.parent / target)).is_relative_to(base)
        if PurePosixPath(target).is_absolute() or not inside or not link.parent.resolve().is_relative_to(base):
            raise BackupUnreadable(f"The backup holds a link that leads out of it: {name[:80]!r}.")
        link.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        link.symlink_to(target)


def _unpack(tar: tarfile.TarFile, into: Path, progress: Callable[[str], None]) -> Manifest:
    found: dict[str, Member] = {}
    manifest: Manifest | None = None
    modes: list[tuple[Path, int]] = []
    for info in tar:
        name = str(_checked(info.name))
        if manifest is not None or name in found:
            raise BackupUnreadable(f"The backup holds {name[:80]!r} twice, or after its end.")
        if info.isdir():
            (into / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            modes.append((into / name, info.mode & 0o777))
        elif not info.isreg():
            raise BackupUnreadable(f"The backup holds something that is neither file nor directory: {name[:80]!r}.")
        elif name == MANIFEST:
            manifest = _read_manifest(tar, info)
        else:
            found[name] = _write(tar, info, into / name)
            progress(f"Unpacking: {len(found)} files")
    if manifest is None or dict(manifest.members) != found:
        raise BackupUnreadable("The backup's files are not those that its manifest names: it was altered or cut short.")
    for directory, mode in reversed(modes):
        directory.chmod(mode | 0o700)
    return manifest


def _write(tar: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> Member:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    source = tar.extractfile(info)
    assert source is not None
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        while block := source.read(BLOCK_BYTES):
            digest.update(block)
            target.write(block)
        os.fchmod(descriptor, info.mode & 0o777)
    if info.mtime:
        os.utime(path, (info.mtime, info.mtime))
    return Member(info.size, digest.hexdigest())


def _read_manifest(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Manifest:
    source = tar.extractfile(info)
    if source is None or info.size > MANIFEST_BYTES:
        raise BackupUnreadable("The backup's manifest is too large to be one.")
    try:
        body: dict[str, Any] = json.loads(source.read())
        if body.get("format") != FORMAT:
            raise BackupUnreadable(
                f"The backup has format {body.get('format')}, made by OpenClaw Hosted {body.get('platform_version')}; "
                f"this version reads format {FORMAT}. Restore it with that version."
            )
        members = {str(name): Member(**entry) for name, entry in body.pop("members").items()}
        return Manifest(**{**body, "members": members, "left_out": tuple(body["left_out"])})
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BackupUnreadable("The backup's manifest can't be read.") from None


def _checked(name: str) -> PurePosixPath:
    """A name that stays below wherever it is put."""
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\\" in path.parts[0] or "\0" in name or str(path) != name.rstrip("/"):
        raise BackupUnreadable(f"The backup holds a name that leads out of it: {name[:80]!r}.")
    return path


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise BackupUnreadable(f"{path} can't be read: {error.strerror}.") from None
    with file:
        yield file


def copy_into(writer: ArchiveWriter, name: str, path: Path) -> None:
    """Add a plain file as it is now."""
    with path.open("rb") as source:
        status = os.fstat(source.fileno())
        writer.add(name, source, status.st_mode, status.st_mtime)
