"""The archive: a compressed tar of plain files and directories, and as its last member a manifest with a SHA-256 for each file.

Symbolic links are no members. Those that stay inside the directory that is kept stand in the manifest, and are made after
everything else, so that nothing is ever written through one. Of a file with holes the member has the data alone, and the manifest says
where it belongs.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, cast

from openclaw_hosted.adapters.local.backup.encryption import MAGIC, DecryptingReader, EncryptingWriter
from openclaw_hosted.adapters.local.backup.errors import BackupUnreadable, TargetFailed
from openclaw_hosted.adapters.local.backup.holes import LONGEST_BYTES, Extent, data_bytes
from openclaw_hosted.adapters.local.beneath import making_folder_of
from openclaw_hosted.domain.foreign import one_line
from openclaw_hosted.domain.links import stays_inside

FORMAT: Final = 1
FORMAT_WITH_HOLES: Final = 2
MANIFEST: Final = "manifest.json"
MANIFEST_BYTES: Final = 256 << 20
GZIP_MAGIC: Final = b"\x1f\x8b"
DEEPEST: Final = 200
LATEST: Final = float(1 << 33)
"""No file is newer (the year 2242): a tenant sets what time it likes, and not every file system takes it."""
BLOCK_BYTES: Final = 1 << 20
COMPRESSION: Final = 5


@dataclass(frozen=True, slots=True)
class Member:
    """One file."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Sparse:
    """Where the data of a file with holes belongs."""

    size_bytes: int
    extents: Sequence[Extent]


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
    sparse: Mapping[str, Sparse] = field(default_factory=dict)
    format: int = FORMAT

    def as_bytes(self) -> bytes:
        """As it stands in the archive. Only an archive with holes needs a version that knows of them."""
        body = asdict(self)
        if not body.pop("sparse"):
            return json.dumps(body, sort_keys=True).encode()
        return json.dumps(
            {**body, "sparse": {name: asdict(each) for name, each in self.sparse.items()}, "format": FORMAT_WITH_HOLES}
        ).encode()


class ArchiveWriter:
    """Takes files and directories; `finish` writes the manifest."""

    def __init__(self, stream: IO[bytes], check: Callable[[], None] = lambda: None) -> None:
        """`check` is called again and again, and raises where nobody wants the archive any more."""
        self._check = check
        self._tar = tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by `finish`
        self.members: dict[str, Member] = {}
        self.sparse: dict[str, Sparse] = {}

    def add_directory(self, name: str, mode: int) -> None:
        """An empty directory, or one whose files follow."""
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, mode & 0o777
        with _writing_target():
            self._tar.addfile(info)

    def add(self, name: str, source: IO[bytes], mode: int = 0o600, modified_at: float = 0.0) -> bool:
        """A file with what `source` holds now; whether it could be read to its end, which else is filled up with zeros.

        It may be growing or shrinking meanwhile. Raises `TargetFailed` where the archive can't be written.
        """
        size = source.seek(0, os.SEEK_END)
        source.seek(0)
        return self.add_stream(name, source.read, size, mode, modified_at)

    def add_stream(self, name: str, read: Callable[[int], bytes], size: int, mode: int = 0o600, modified_at: float = 0.0) -> bool:
        """As `add`, for what can be read once only."""
        return self._add(name, _Exact(read, size, self._check), size, mode, modified_at)

    def add_data(self, name: str, descriptor: int, extents: Sequence[Extent], mode: int, modified_at: float) -> bool:
        """As `add`, for a file of which only these parts hold data, at any offset."""
        size, end = data_bytes(extents), os.fstat(descriptor).st_size
        complete = self._add(name, _Exact(_Extents(descriptor, extents).read, size, self._check), size, mode, modified_at)
        if (list(extents) != [(0, end)] and extents) or (not extents and end):
            self.sparse[name] = Sparse(end, tuple(extents))
        return complete

    def _add(self, name: str, source: _Exact, size: int, mode: int, modified_at: float) -> bool:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, mode & 0o777, min(max(modified_at, 0.0), LATEST)
        with _writing_target():
            self._tar.addfile(info, cast("IO[bytes]", source))
        self.members[name] = Member(size, source.digest.hexdigest())
        return source.complete

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


class _Exact:
    """Gives as many bytes as were promised, whatever becomes of its source, and takes their SHA-256."""

    def __init__(self, read: Callable[[int], bytes], size: int, check: Callable[[], None]) -> None:
        self._read = read
        self._check = check
        self._left = size
        self.digest = hashlib.sha256()
        self.complete = True

    def read(self, wanted: int) -> bytes:
        """The next bytes."""
        self._check()
        wanted = min(wanted, self._left)
        given = bytearray()
        while self.complete and len(given) < wanted:
            try:
                block = self._read(wanted - len(given))
            except OSError:
                block = b""
            given += block
            self.complete = bool(block)
        given += bytes(wanted - len(given))
        self._left -= wanted
        self.digest.update(given)
        return bytes(given)


class _Extents:
    """The data of a file, one part after the other."""

    def __init__(self, descriptor: int, extents: Sequence[Extent]) -> None:
        self._descriptor = descriptor
        self._left = list(reversed(extents))

    def read(self, wanted: int) -> bytes:
        """Some of what comes next."""
        while self._left and not self._left[-1][1]:
            self._left.pop()
        if not self._left:
            return b""
        start, length = self._left.pop()
        block = os.pread(self._descriptor, min(wanted, length, BLOCK_BYTES), start)
        self._left.append((start + len(block), length - len(block)))
        return block


@contextmanager
def _writing_target() -> Iterator[None]:
    """What fails inside is the archive, never what is read."""
    try:
        yield
    except OSError as error:
        raise TargetFailed(error.errno, error.strerror) from None


@contextmanager
def writing(path: Path, passphrase: str | None, check: Callable[[], None] = lambda: None) -> Iterator[ArchiveWriter]:
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
            yield stack.enter_context(writing_to(target, check))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def writing_to(target: IO[bytes], check: Callable[[], None] = lambda: None) -> Iterator[ArchiveWriter]:
    """An archive into a stream, as it comes."""
    with gzip.GzipFile("", "wb", COMPRESSION, target, mtime=0) as compressed, ExitStack() as stack:
        archive = ArchiveWriter(cast("IO[bytes]", compressed), check)
        stack.callback(archive.close)
        yield archive


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
                return unpack_members(tar, into, progress)
        except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise BackupUnreadable("The backup was altered or cut short.") from error


def make_links(manifest: Manifest, root: Path) -> tuple[str, ...]:
    """Make the links that the manifest names, below `root`; returns those that were not made, with the reason.

    Raises `BackupUnreadable` for one that no backup of ours holds: out of its volume, or made through another.
    """
    left_out = []
    for name, target in sorted(manifest.links.items()):
        path = checked_name(name)
        if target.startswith("/") or os.path.normpath(path.parent / target).startswith(".."):
            raise BackupUnreadable(f"The backup holds a link that leads out of it: {name[:80]!r}.")
        if not stays_inside(path.parts[_own_root(path) :], target):
            left_out.append(f"{one_line(name)}: a link that may lead out of the volume")
            continue
        try:
            with making_folder_of(root, path.parts) as (folder, last):
                os.symlink(target, last, dir_fd=folder)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno not in (errno.ENOTDIR, errno.ELOOP, errno.EEXIST):
                raise
            raise BackupUnreadable(f"The backup holds a link that leads out of it: {name[:80]!r}.") from None
    return tuple(left_out)


def _own_root(path: PurePosixPath) -> int:
    """How many parts of a name lead to what a link has to stay in: its volume, or the folder of certificates."""
    return 2 if path.parts[0] == "volumes" and len(path.parts) > 2 else 1 if len(path.parts) > 1 else 0


def unpack_members(tar: tarfile.TarFile, into: Path, progress: Callable[[str], None], manifest_bytes: int = MANIFEST_BYTES) -> Manifest:
    """Put all members into a directory, each file checked against the manifest, which is no larger than this. Raises `BackupUnreadable`."""
    found: dict[str, Member] = {}
    manifest: Manifest | None = None
    modes: list[tuple[Path, int]] = []
    for info in tar:
        name = str(checked_name(info.name))
        if manifest is not None or name in found:
            raise BackupUnreadable(f"The backup holds {name[:80]!r} twice, or after its end.")
        if info.isdir():
            (into / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            modes.append((into / name, info.mode & 0o777))
        elif not info.isreg():
            raise BackupUnreadable(f"The backup holds something that is neither file nor directory: {name[:80]!r}.")
        elif name == MANIFEST:
            manifest = _read_manifest(tar, info, manifest_bytes)
        else:
            found[name] = write_member(tar, info, into / name)
            progress(f"Unpacking: {len(found)} files")
    if manifest is None or dict(manifest.members) != found:
        raise BackupUnreadable("The backup's files are not those that its manifest names: it was altered or cut short.")
    for name, sparse in manifest.sparse.items():
        _spread(into / checked_name(name), found.get(name), sparse)
    for directory, mode in reversed(modes):
        directory.chmod(mode | 0o700)
    return manifest


def write_member(tar: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> Member:
    """Put a file where nothing is yet."""
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
        with suppress(OSError, OverflowError, ValueError):
            os.utime(path, (info.mtime, info.mtime))
    return Member(info.size, digest.hexdigest())


def _spread(path: Path, member: Member | None, sparse: Sparse) -> None:
    """Put the data of a file with holes where it belongs."""
    at = 0
    for start, length in sparse.extents:
        if not at <= start or length <= 0:
            raise BackupUnreadable("The backup's manifest can't be read.")
        at = start + length
    if member is None or data_bytes(sparse.extents) != member.size_bytes or not at <= sparse.size_bytes <= LONGEST_BYTES:
        raise BackupUnreadable("The backup's manifest can't be read.")
    status, draft = path.stat(), path.with_name(f".{path.name[:200]}.spread")
    with path.open("rb") as source, draft.open("xb") as target:
        for start, length in sparse.extents:
            target.seek(start)
            for done in range(0, length, BLOCK_BYTES):
                target.write(source.read(min(BLOCK_BYTES, length - done)))
        target.truncate(sparse.size_bytes)
        os.fchmod(target.fileno(), status.st_mode & 0o777)
    os.utime(draft, ns=(status.st_mtime_ns, status.st_mtime_ns))
    draft.replace(path)


def _read_manifest(tar: tarfile.TarFile, info: tarfile.TarInfo, most_bytes: int) -> Manifest:
    source = tar.extractfile(info)
    if source is None or info.size > most_bytes:
        raise BackupUnreadable("The backup's manifest is too large to be one.")
    try:
        body: dict[str, Any] = json.loads(source.read())
        if body.get("format") not in (FORMAT, FORMAT_WITH_HOLES):
            raise BackupUnreadable(
                f"The backup has format {body.get('format')}, made by OpenClaw Hosted {body.get('platform_version')}; "
                f"this version reads format {FORMAT_WITH_HOLES}. Restore it with that version."
            )
        members = {str(name): Member(**entry) for name, entry in body.pop("members").items()}
        sparse = {
            str(name): Sparse(int(entry["size_bytes"]), tuple((int(start), int(length)) for start, length in entry["extents"]))
            for name, entry in body.pop("sparse", {}).items()
        }
        links = {str(name): str(target) for name, target in body.pop("links").items()}
        return Manifest(**{**body, "members": members, "links": links, "sparse": sparse, "left_out": tuple(map(str, body["left_out"]))})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BackupUnreadable("The backup's manifest can't be read.") from None


def checked_name(name: str) -> PurePosixPath:
    """A name that stays below wherever it is put."""
    path = PurePosixPath(name)
    if (
        path.is_absolute()
        or not path.parts
        or ".." in path.parts
        or "\\" in path.parts[0]
        or "\0" in name
        or str(path) != name.rstrip("/")
        or len(path.parts) > DEEPEST
    ):
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
