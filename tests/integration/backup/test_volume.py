"""What of a volume is kept while OpenClaw works on it."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.backup import volume as module
from openclaw_hosted.adapters.local.backup.archive import Manifest, unpack, writing
from openclaw_hosted.adapters.local.backup.errors import BackupFailed
from openclaw_hosted.adapters.local.backup.volume import Kept, add_volume


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    made = tmp_path / "volumes" / "vol-a"
    (made / "state" / "state").mkdir(parents=True)
    (made / "instance-id").write_text("oc-a")
    return made


@pytest.fixture
def live(volume: Path) -> Iterator[sqlite3.Connection]:
    """A database as OpenClaw has it open: nearly all of it in the write-ahead log."""
    with closing(sqlite3.connect(volume / "state/state/openclaw.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("CREATE TABLE notes (text)")
        connection.execute("CREATE TABLE state_leases (owner)")
        connection.execute("CREATE TABLE delivery_queue_entries (message)")
        connection.execute("INSERT INTO notes VALUES ('zebra')")
        connection.execute("INSERT INTO state_leases VALUES (1)")
        connection.execute("INSERT INTO delivery_queue_entries VALUES ('once only')")
        yield connection


def kept_of(volume: Path, kept: Kept | None = None) -> tuple[Path, Kept]:
    """Back the volume up and unpack it again."""
    base = volume.parents[1]
    scratch, out, kept = base / "scratch", base / "out", kept or Kept()
    scratch.mkdir()
    out.mkdir()
    with writing(base / "b", None) as archive:
        add_volume(archive, volume, "v", scratch, kept)
        archive.finish(Manifest("0", "0", "sqlite", "", 0, archive.members))
    unpack(base / "b", None, out, lambda _: None)
    assert list(scratch.iterdir()) == []
    return out / "v", kept


def test_a_database_in_use_is_kept_with_its_log_and_without_its_locks(volume: Path, live: sqlite3.Connection) -> None:
    assert (volume / "state/state/openclaw.sqlite-wal").stat().st_size > 0
    out, kept = kept_of(volume)
    assert sorted(path.name for path in (out / "state/state").iterdir()) == ["openclaw.sqlite"]
    with closing(sqlite3.connect(out / "state/state/openclaw.sqlite")) as copy:
        assert copy.execute("SELECT text FROM notes").fetchall() == [("zebra",)]
        assert copy.execute("SELECT * FROM state_leases").fetchall() == []
        assert copy.execute("SELECT * FROM delivery_queue_entries").fetchall() == []
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert live.execute("SELECT owner FROM state_leases").fetchall() == [(1,)]
    assert kept.left_out == []


def test_a_database_that_is_being_written_is_kept_whole(volume: Path, live: sqlite3.Connection) -> None:
    live.execute("CREATE TABLE pairs (a, b)")
    stop = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(volume / "state/state/openclaw.sqlite", isolation_level=None, timeout=10)) as writer:
            number = 0
            while not stop.is_set():
                number += 1
                writer.execute("BEGIN IMMEDIATE")
                writer.execute("INSERT INTO pairs VALUES (?, randomblob(2000))", (number,))
                writer.execute("INSERT INTO pairs VALUES (?, randomblob(2000))", (number,))
                writer.execute("COMMIT")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        out, _ = kept_of(volume)
    finally:
        stop.set()
        thread.join()
    with closing(sqlite3.connect(out / "state/state/openclaw.sqlite")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT a FROM pairs GROUP BY a HAVING count(*) <> 2").fetchall() == []


def test_caches_locks_sockets_and_who_has_the_volume_are_left_out(volume: Path) -> None:
    for name in (
        "attached-to", "state/cache/control-ui-assets/x.js", "state/tmp/capture/y", "state/workspace/cache/mine.txt",
        "state/workspace/.git/HEAD", "state/agents/a.sqlite.generation-lock.sqlite", "state/agents/a.sqlite.reindex-lock.sqlite",
        "state/gateway.pid",
    ):  # fmt: skip
        (volume / name).parent.mkdir(parents=True, exist_ok=True)
        (volume / name).write_text("content")
    (volume / "state/workspace/.git/refs").mkdir()
    os.mkfifo(volume / "state/pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(volume / "state/s"))
        out, kept = kept_of(volume)
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert found == {"instance-id", "state/workspace/cache/mine.txt", "state/workspace/.git/HEAD"}
    assert (out / "state/workspace/.git/refs").is_dir()
    assert kept.left_out == []


def test_links_inside_are_noted_and_those_out_of_the_volume_left_out(volume: Path) -> None:
    (volume / "state/target").mkdir()
    (volume / "state/in").symlink_to("target")
    (volume / "state/broken").symlink_to("nowhere")
    (volume / "state/out").symlink_to("../../../secret")
    (volume / "state/absolute").symlink_to(volume / "state/target")
    _, kept = kept_of(volume)
    assert kept.links == {"v/state/in": "target", "v/state/broken": "nowhere"}
    assert sorted(line.split(":")[0] for line in kept.left_out) == ["v/state/absolute", "v/state/out"]


def test_what_only_looks_like_a_database_or_stays_locked_is_copied_as_it_is(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.1)
    (volume / "fake.sqlite").write_bytes(b"SQLite format 3\x00 and then something else entirely" * 50)
    with closing(sqlite3.connect(volume / "locked.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("BEGIN EXCLUSIVE")
        out, kept = kept_of(volume)
    assert (out / "fake.sqlite").read_bytes() == (volume / "fake.sqlite").read_bytes()
    assert (out / "locked.db").exists()
    assert len(kept.left_out) == 2


def test_a_backup_that_nobody_wants_any_more_ends(volume: Path) -> None:
    kept = Kept()
    kept.stopped.set()
    with pytest.raises(BackupFailed, match="stopped"):
        kept_of(volume, kept)
    assert not (volume.parents[1] / "b").exists()
