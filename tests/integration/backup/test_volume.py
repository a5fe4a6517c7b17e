"""What of a volume is kept while OpenClaw works on it."""

from __future__ import annotations

import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.backup import volume as module
from openclaw_hosted.adapters.local.backup.errors import BackupFailed
from openclaw_hosted.adapters.local.backup.volume import Kept
from tests.integration.backup.owner import kept_of, owner_does

STAY = ("print('at work', flush=True)", "time.sleep(600)")
MAKE_LIVE = (
    "live = sqlite3.connect('state/state/openclaw.sqlite', isolation_level=None)",
    "live.execute('PRAGMA journal_mode=WAL')",
    "live.execute('PRAGMA wal_autocheckpoint=0')",
    "live.execute('CREATE TABLE notes (text)')",
    "live.execute('CREATE TABLE state_leases (owner)')",
    "live.execute('CREATE TABLE delivery_queue_entries (message)')",
    "live.execute(\"INSERT INTO notes VALUES ('zebra')\")",
    "live.execute('INSERT INTO state_leases VALUES (1)')",
    "live.execute(\"INSERT INTO delivery_queue_entries VALUES ('once only')\")",
)
"""A database as OpenClaw has it open: nearly all of it in the write-ahead log."""
KEEP_WRITING = (
    "live.execute('PRAGMA wal_autocheckpoint=20')",
    "live.execute('CREATE TABLE pairs (a, b)')",
    "live.execute('CREATE INDEX by_b ON pairs (b)')",
    "number = 0",
    "while True:",
    "    number += 1",
    "    live.execute('BEGIN IMMEDIATE')",
    "    live.execute('DELETE FROM pairs WHERE a < ?', (number - 300,))",
    "    for _ in range(2):",
    "        live.execute('INSERT INTO pairs VALUES (?, randomblob(2000))', (number,))",
    "    live.execute('COMMIT')",
    "    if number == 100:",
    "        print('at work', flush=True)",
)
"""Checkpoints all the time, and the log begun anew each time."""


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    made = tmp_path / "volumes" / "vol-a"
    (made / "state" / "state").mkdir(parents=True)
    (made / "instance-id").write_text("oc-a")
    return made


def test_a_database_in_use_is_kept_with_its_log_and_without_its_locks(volume: Path) -> None:
    with owner_does(*MAKE_LIVE, *STAY, folder=volume):
        assert (volume / "state/state/openclaw.sqlite-wal").stat().st_size > 0
        out, kept = kept_of(volume)
        with closing(sqlite3.connect(volume / "state/state/openclaw.sqlite")) as live:
            assert live.execute("SELECT owner FROM state_leases").fetchall() == [(1,)]
    assert sorted(path.name for path in (out / "state/state").iterdir()) == ["openclaw.sqlite"]
    with closing(sqlite3.connect(out / "state/state/openclaw.sqlite")) as copy:
        assert copy.execute("SELECT text FROM notes").fetchall() == [("zebra",)]
        assert copy.execute("SELECT * FROM state_leases").fetchall() == []
        assert copy.execute("SELECT * FROM delivery_queue_entries").fetchall() == []
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert kept.left_out == []


def test_a_database_that_is_being_written_is_kept_whole_each_time(volume: Path) -> None:
    copies = []
    with owner_does(*MAKE_LIVE, *KEEP_WRITING, folder=volume) as owner:
        for _ in range(8):
            out, kept = kept_of(volume)
            assert kept.left_out == []
            copies.append(out / "state/state/openclaw.sqlite")
        assert owner.poll() is None
    seen = set()
    for path in copies:
        with closing(sqlite3.connect(path)) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert copy.execute("SELECT a FROM pairs GROUP BY a HAVING count(*) <> 2").fetchall() == []
            seen.add(copy.execute("SELECT max(a) FROM pairs").fetchone())
    assert len(seen) == len(copies)


@pytest.mark.parametrize("mode", ["DELETE", "TRUNCATE", "PERSIST"])
def test_a_database_with_a_journal_is_kept_whole_while_it_is_written(volume: Path, mode: str) -> None:
    with owner_does(
        "live = sqlite3.connect('state/a.db', isolation_level=None, timeout=60)", f"live.execute('PRAGMA journal_mode={mode}')",
        *KEEP_WRITING[1:], folder=volume,
    ):  # fmt: skip
        out, kept = kept_of(volume)
    assert kept.left_out == []
    assert [path.name for path in (out / "state").glob("a.db*")] == ["a.db"]
    with closing(sqlite3.connect(out / "state/a.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT a FROM pairs GROUP BY a HAVING count(*) <> 2").fetchall() == []


def test_a_database_whose_owner_was_killed_while_it_wrote_is_for_its_owner_to_mend(volume: Path) -> None:
    with owner_does(
        "live = sqlite3.connect('state/a.db', isolation_level=None)", "live.execute('PRAGMA cache_size=1')",
        "live.execute('CREATE TABLE notes (text)')", "live.execute(\"INSERT INTO notes VALUES ('before')\")", "live.execute('BEGIN')",
        "live.execute('UPDATE notes SET text = randomblob(500000)')", *STAY, folder=volume,
    ):  # fmt: skip
        assert (volume / "state/a.db-journal").exists()
    out, kept = kept_of(volume)
    assert "never finished" in kept.left_out[0]
    with closing(sqlite3.connect(out / "state/a.db")) as copy:
        assert copy.execute("SELECT text FROM notes").fetchall() == [("before",)]


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
    lock = (
        "live = sqlite3.connect('locked.db', isolation_level=None)",
        "live.execute('CREATE TABLE t (x)')", "live.execute('BEGIN EXCLUSIVE')",
    )  # fmt: skip
    with owner_does(*lock, *STAY, folder=volume):
        out, kept = kept_of(volume)
    assert (out / "fake.sqlite").read_bytes() == (volume / "fake.sqlite").read_bytes()
    assert (out / "locked.db").exists()
    assert len(kept.left_out) == 2


def test_a_backup_that_nobody_wants_any_more_ends(volume: Path) -> None:
    kept = Kept()
    kept.stopped.set()
    with pytest.raises(BackupFailed, match="stopped"):
        kept_of(volume, kept)
    assert not list(volume.parents[1].glob("b*"))


def test_what_a_user_installed_is_kept_and_its_caches_are_not(volume: Path) -> None:
    for name in (".local/bin/tool", ".config/tool.json", ".cache/tool/part", ".npm/_cacache/part", ".npm/_logs/part"):
        (volume / "home" / name).parent.mkdir(parents=True)
        (volume / "home" / name).write_text("content")
    out, kept = kept_of(volume)
    files = {str(path.relative_to(out / "home")) for path in (out / "home").rglob("*") if path.is_file()}
    assert files == {".local/bin/tool", ".config/tool.json"}
    assert kept.left_out == []
