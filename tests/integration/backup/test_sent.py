"""What a machine sends of a volume becomes an archive, whatever its tenant put there."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openclaw_hosted.adapters.local.backup.archive import writing_to
from openclaw_hosted.adapters.local.backup.errors import BackupFailed, BackupUnreadable
from openclaw_hosted.adapters.local.backup.sent import write_sent
from openclaw_hosted.adapters.local.backup.volume import Kept

MOST = 1 << 30
STATE = "openclaw-volume/state"
Added = tuple[str, bytes]


def sent(*files: Added, more: Callable[[tarfile.TarFile], None] = lambda _: None, form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar of these files, in their order."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        more(tar)
    return made.getvalue()


def archived(content: bytes, scratch: Path, kept: Kept | None = None) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of the archive that it becomes, and its manifest."""
    target = io.BytesIO()
    write_sent(writing_to(target), io.BytesIO(content), MOST, scratch, kept or Kept())
    with tarfile.open(fileobj=io.BytesIO(target.getvalue())) as tar:
        files = {each.name: tar.extractfile(each) for each in tar if each.isfile()}
        found = {name: file.read() for name, file in files.items() if file is not None}
    assert list(scratch.iterdir()) == []
    return found, json.loads(found.pop("manifest.json"))


def database(path: Path, line: str, *, mode: str = "DELETE") -> bytes:
    made = sqlite3.connect(path, isolation_level=None)
    made.execute(f"PRAGMA journal_mode={mode}")
    made.execute("CREATE TABLE said (line TEXT)")
    made.execute("INSERT INTO said VALUES (?)", (line,))
    made.close()
    return path.read_bytes()


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def test_the_first_of_a_name_counts_and_a_log_only_right_behind_its_database(scratch: Path, tmp_path: Path) -> None:
    whole = database(tmp_path / "a.sqlite", "then")
    found, manifest = archived(
        sent(
            ("state/a.sqlite", whole), ("state/other", b"1"), ("state/a.sqlite", b"torn"), ("state/a.sqlite-wal", b"of another moment"),
            ("state/a.sqlite-shm", b"index"), ("state/other", b"2"),
        ),
        scratch,
    )  # fmt: skip
    assert found.keys() == {f"{STATE}/a.sqlite", f"{STATE}/other"}
    assert found[f"{STATE}/other"] == b"1"
    (tmp_path / "back.sqlite").write_bytes(found[f"{STATE}/a.sqlite"])
    assert sqlite3.connect(tmp_path / "back.sqlite").execute("SELECT line FROM said").fetchall() == [("then",)]
    assert manifest["left_out"] == []


def test_what_can_not_be_settled_is_there_as_it_was_and_told(scratch: Path, tmp_path: Path) -> None:
    whole = database(tmp_path / "a.sqlite", "then")
    broken, journal = whole[:100] + b"\xff" * 400, bytes.fromhex("d9d505f920a163d7") + bytes(504)
    found, manifest = archived(
        sent(("state/broken.db", broken), ("state/hot.db", whole), ("state/hot.db-journal", journal), ("state/z", b"z")), scratch
    )
    assert found == {
        f"{STATE}/broken.db": broken, f"{STATE}/hot.db": whole, f"{STATE}/hot.db-journal": journal, f"{STATE}/z": b"z",
    }  # fmt: skip
    assert ["broken.db" in manifest["left_out"][0], "hot.db" in manifest["left_out"][1]] == [True, True]


def test_what_is_the_platforms_or_no_file_is_left_out(scratch: Path) -> None:
    def more(tar: tarfile.TarFile) -> None:
        for name, kind, target in (
            ("state/pipe", tarfile.FIFOTYPE, ""), ("state/disk", tarfile.BLKTYPE, ""), ("state/hard", tarfile.LNKTYPE, "state/plan"),
            ("state/in", tarfile.SYMTYPE, "plan"), ("state/out", tarfile.SYMTYPE, "/etc/passwd"),
        ):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)

    files = (
        ("instance-id", b"oc-1"), ("migrated", b"m"), ("state/plan", b"plan"), ("state/cache/a/b", b"c"),
        ("state/openclaw.json.bak", b"{}"),
        ("state/openclaw.json", b'{"gateway": {"auth": {"token": "t"}}}'), ("home/.npm/_cacache/x", b"x"), ("etc/passwd", b"root"),
    )  # fmt: skip
    found, manifest = archived(sent(*files, more=more), scratch)
    assert found == {f"{STATE}/plan": b"plan", f"{STATE}/openclaw.json": found[f"{STATE}/openclaw.json"]}
    assert b"token" not in found[f"{STATE}/openclaw.json"]
    assert manifest["links"] == {f"{STATE}/in": "plan"}


def huge_header() -> bytes:
    return sent(("state/" + "a" * (2 << 20), b""))


def sparse() -> bytes:
    def more(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("state/holes")
        info.type = tarfile.GNUTYPE_SPARSE
        tar.addfile(info)

    return sent(more=more)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: sent(("../state/a", b"a")), id="out"),
        pytest.param(lambda: sent(("/state/a", b"a")), id="absolute"),
        pytest.param(lambda: sent(("state/a", bytes(4096)))[:1024], id="cut"),
        pytest.param(lambda: sent(("state/a.db", b"SQLite format 3\0" + bytes(4096)))[:1024], id="cut in a database"),
        pytest.param(lambda: b"nonsense" * 1000, id="nonsense"),
        pytest.param(lambda: gzip.compress(sent(("state/a", b"a"))), id="packed"),
        pytest.param(huge_header, id="header"),
        pytest.param(sparse, id="sparse"),
    ],
)
def test_what_no_machine_of_ours_sends_becomes_no_archive(scratch: Path, content: Callable[[], bytes]) -> None:
    with pytest.raises(BackupUnreadable):
        archived(content(), scratch)
    assert list(scratch.iterdir()) == []


def test_a_file_with_holes_in_its_headers_is_left_out(scratch: Path) -> None:
    """As POSIX headers tell it; its size would be whatever they say."""

    def more(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("state/holes")
        info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.size": str(1 << 50), "GNU.sparse.map": "0,0"}
        tar.addfile(info)

    found, _ = archived(sent(("state/a", b"a"), more=more, form=tarfile.PAX_FORMAT), scratch)
    assert found == {f"{STATE}/a": b"a"}


def test_one_that_nobody_wants_any_more_ends(scratch: Path) -> None:
    kept = Kept()
    kept.stopped.set()
    with pytest.raises(BackupFailed):
        archived(sent(("state/a", b"a")), scratch, kept)
