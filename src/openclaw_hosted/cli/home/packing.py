"""Packs a state directory into an archive that the platform takes (docs/archives.md), without keys.

Each database is copied at one moment, emptied of its tables with keys, and written anew, so that nothing of them is left in unused pages.
Every file is searched for the secrets that were found before: one that holds any stays at home.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator, Set
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from openclaw_hosted.cli.home.keys import CONFIGURATION
from openclaw_hosted.domain.links import stays_inside
from openclaw_hosted.domain.old_keys import KEY_ROWS, KEY_TABLES
from openclaw_hosted.domain.old_state import is_left

ROOT: Final = ".openclaw"
KEY_FILES: Final = re.compile(r"credentials(/(?!.*-(allowFrom|pairing)\.json$).+)|agents/[^/]+/agent/auth(-state)?\.json(\..*)?|.*\.bak")
"""Beside what never comes along: key files of other channels and of older versions, and copies."""
DEVICE_TABLES: Final = frozenset({"device_auth_tokens", "device_bootstrap_tokens"})
"""Tokens with which devices sign in to the gateway at home."""
MAGIC: Final = b"SQLite format 3\x00"
SIDE_FILES: Final = ("-wal", "-shm", "-journal")
BLOCK_BYTES: Final = 1 << 20


class KeysLeft(Exception):
    """A database holds a secret outside of the tables that are for them. The text names it."""


@dataclass
class Packed:
    """What came of it."""

    files: int = 0
    left: list[str] = field(default_factory=list)
    """What stays at home, each with the reason."""


def pack(folder: Path, target: IO[bytes], secrets: Set[str], *, keep_mentions: bool = False) -> Packed:
    """Write the archive. `folder` is changed by nothing here. Raises `KeysLeft`, unless mentions are to be kept, and `OSError`."""
    packed, needles = Packed(), [secret.encode() for secret in secrets]
    with ExitStack() as stack:
        drafts = stack.enter_context(tempfile.TemporaryDirectory())
        packing = stack.enter_context(gzip.GzipFile(fileobj=target, mode="wb", compresslevel=5))
        archive = stack.enter_context(tarfile.open(fileobj=packing, mode="w|"))
        _add(archive, CONFIGURATION, io.BytesIO(b"{}\n"), 3)
        for relative, path in _entries(folder, packed):
            if path.is_symlink():
                _add_link(archive, relative, path, packed)
            elif path.is_dir():
                archive.addfile(_member(relative, tarfile.DIRTYPE, 0o700))
            elif path.is_file():
                draft = _settled(path, Path(drafts)) if _is_database(path) else path
                if _holds(draft, needles):
                    if draft is not path and not keep_mentions:
                        raise KeysLeft(relative)
                    if draft is path:
                        packed.left.append(f"{relative}: it holds a key")
                        continue
                with draft.open("rb") as opened:
                    _add(archive, relative, opened, os.fstat(opened.fileno()).st_size, path.stat().st_mode & 0o100)
                packed.files += 1
    return packed


def _entries(folder: Path, packed: Packed) -> Iterator[tuple[str, Path]]:
    """All that may come along, each folder before what is in it."""
    for place, folders, files in os.walk(folder):
        inside = os.path.relpath(place, folder)
        prefix = "" if inside == "." else f"{inside}/"
        folders[:] = sorted(name for name in folders if not is_left(prefix + name))
        for name in (*folders, *sorted(files)):
            relative = prefix + name
            if name in files and KEY_FILES.fullmatch(relative):
                packed.left.append(f"{relative}: it is for keys")
            elif name in folders or not (is_left(relative) or _belongs_to_database(Path(place, name))):
                yield relative, Path(place, name)


def _is_database(path: Path) -> bool:
    with path.open("rb") as opened:
        return opened.read(len(MAGIC)) == MAGIC


def _belongs_to_database(path: Path) -> bool:
    suffix = next((each for each in SIDE_FILES if path.name.endswith(each) and path.name != each), None)
    if suffix is None:
        return False
    main = path.with_name(path.name.removesuffix(suffix))
    return main.is_file() and _is_database(main)


def _settled(path: Path, drafts: Path) -> Path:
    """A copy as one file, without the tables with keys."""
    draft = drafts / "database"
    draft.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(draft, isolation_level=None)) as copy,
    ):
        source.backup(copy)
        copy.create_function("octet_length", 1, _octets, deterministic=True)
        copy.execute("PRAGMA secure_delete=ON").fetchall()
        copy.execute("PRAGMA journal_mode=DELETE").fetchall()
        tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table in (KEY_TABLES.keys() | DEVICE_TABLES) & tables:
            copy.execute(f'DELETE FROM "{table}"')  # noqa: S608 - one of ours
        table, key, _, beginning = KEY_ROWS
        if table in tables:
            copy.execute(f'DELETE FROM "{table}" WHERE "{key}" LIKE ?', (f"{beginning}%",))  # noqa: S608 - one of ours
        copy.execute("VACUUM")
    return draft


def _octets(value: object) -> int | None:
    """What newer releases of SQLite call `octet_length`: OpenClaw's tables use it, and this Python's SQLite may be older."""
    return None if value is None else len(value if isinstance(value, bytes) else str(value).encode())


def _holds(path: Path, needles: list[bytes]) -> bool:
    longest = max(map(len, needles), default=0)
    tail = b""
    with path.open("rb") as opened:
        while block := opened.read(BLOCK_BYTES):
            if any(needle in tail + block for needle in needles):
                return True
            tail = (tail + block)[-longest:] if longest else b""
    return False


def _add_link(archive: tarfile.TarFile, relative: str, path: Path, packed: Packed) -> None:
    to = str(path.readlink())
    if not stays_inside(relative.split("/"), to):
        packed.left.append(f"{relative}: it is a link that leads out")
        return
    member = _member(relative, tarfile.SYMTYPE, 0o777)
    member.linkname = to
    archive.addfile(member)


def _add(archive: tarfile.TarFile, relative: str, content: IO[bytes], size: int, executable: int = 0) -> None:
    member = _member(relative, tarfile.REGTYPE, 0o600 | executable)
    member.size = size
    archive.addfile(member, content)


def _member(relative: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(f"{ROOT}/{relative}")
    member.type, member.mode = kind, mode
    return member
