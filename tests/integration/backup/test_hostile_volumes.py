"""A tenant that attacks the backup: nothing of the computer gets into the archive, and nobody else's volume is missing from it."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.backup import allowance as bounds
from openclaw_hosted.adapters.local.backup import databases, settle
from openclaw_hosted.adapters.local.backup.allowance import Allowance, Shares
from openclaw_hosted.adapters.local.backup.archive import ArchiveWriter, Manifest, make_links, unpack
from openclaw_hosted.adapters.local.backup.backups import Plan, make_backup
from openclaw_hosted.adapters.local.backup.errors import BackupFailed, BackupUnreadable, TargetFailed
from openclaw_hosted.adapters.local.backup.volume import Kept, add_volume
from openclaw_hosted.adapters.local.beneath import remove_tree
from openclaw_hosted.domain.links import stays_inside
from openclaw_hosted.domain.naming import InstanceId, volume_of
from openclaw_hosted.ports.backups import Backup, DatabaseSnapshot
from tests.integration.backup.owner import PLENTY, kept_of, owner_does
from tests.support.trees import deep_tree
from tests.support.waiting import PATIENCE_SECONDS

CANARY = b"the sealed credentials of everybody"
GLOBAL = "state/state/openclaw.sqlite"
ENDLESS = (
    "CREATE TRIGGER endless BEFORE DELETE ON state_leases"
    " WHEN (SELECT count(*) FROM many a, many b, many c, many d, many e, many f) > 0 BEGIN SELECT 1; END"
)
MANY = "CREATE TABLE many AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1000) SELECT x FROM c"
LEASES = "CREATE TABLE state_leases (owner)"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    made = tmp_path / "volumes" / "vol-a"
    (made / "state" / "state").mkdir(parents=True)
    return made


def make_database(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def test_a_file_that_is_exchanged_for_a_link_while_it_is_copied_brings_nothing_of_the_platform(volume: Path) -> None:
    platform = volume.parents[1] / "platform.sqlite"
    make_database(platform, f"CREATE TABLE users (secret DEFAULT '{CANARY.decode()}')")
    make_database(volume / "mine.sqlite", "CREATE TABLE mine (x)")
    (volume / "race").mkdir()
    attack = (
        "print('at work', flush=True)",
        "while True:",
        "    for number in range(200):",
        "        os.link('mine.sqlite', 'race/new')",
        "        os.replace('race/new', f'race/f{number}.sqlite')",
        "    for number in range(200):",
        "        os.symlink('../../../platform.sqlite', 'race/new')",
        "        os.replace('race/new', f'race/f{number}.sqlite')",
    )
    with owner_does(*attack, folder=volume):
        for _ in range(3):
            out, kept = kept_of(volume)
            assert CANARY not in contents(out)
            assert not kept.links


@pytest.mark.parametrize(
    "schema",
    [
        (MANY, LEASES, "INSERT INTO state_leases VALUES (1)", ENDLESS),
        (MANY, "CREATE VIEW state_leases AS SELECT * FROM many a, many b, many c, many d, many e, many f"),
        ("CREATE VIRTUAL TABLE state_leases USING fts5(x)",),
    ],
    ids=["trigger", "view", "virtual table"],
)  # fmt: skip
def test_what_a_database_would_run_is_not_run_and_it_is_kept_as_it_is(volume: Path, schema: tuple[str, ...]) -> None:
    make_database(volume / GLOBAL, *schema)
    out, kept = kept_of(volume)
    (line,) = kept.left_out
    assert line.startswith(f"v/{GLOBAL}: copied as it was")
    assert (out / GLOBAL).read_bytes() == (volume / GLOBAL).read_bytes()


def test_a_harmless_schema_with_triggers_elsewhere_is_settled(volume: Path) -> None:
    make_database(
        volume / GLOBAL, MANY, LEASES, "INSERT INTO state_leases VALUES (1)", "CREATE VIEW seen AS SELECT * FROM many",
        "CREATE TRIGGER t AFTER DELETE ON many BEGIN SELECT 1; END", "CREATE INDEX i ON many (abs(x))",
    )  # fmt: skip
    out, kept = kept_of(volume)
    assert kept.left_out == []
    with closing(sqlite3.connect(out / GLOBAL)) as copy:
        assert copy.execute("SELECT count(*) FROM state_leases").fetchone() == (0,)
        assert copy.execute("SELECT count(*) FROM seen").fetchone() == (1000,)
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_copy_that_takes_too_long_to_settle_is_given_up(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(settle, "__file__", str(volume / "endless.py"))
    (volume / "endless.py").write_text("while True: pass")
    make_database(volume / "a.db", LEASES)
    out, kept = kept_of(volume)
    assert "it took too long" in kept.left_out[0]
    assert (out / "a.db").exists()


def test_a_file_with_holes_takes_what_it_holds_and_comes_back_with_them(volume: Path) -> None:
    huge = volume / "huge"
    with huge.open("wb") as file:
        for at, block in ((0, b"start"), (5 << 30, b"middle"), ((1 << 40) - 3, b"end")):
            file.seek(at)
            file.write(block)
    os.truncate(volume / "huge", 1 << 40)
    (volume / "empty").touch()
    os.truncate(volume / "empty", 3 << 30)
    (volume / "short").write_bytes(b"x" * 10)
    os.truncate(volume / "short", 5000)
    huge.chmod(0o640)
    out, kept = kept_of(volume)
    assert kept.left_out == []
    assert [(out / name).stat().st_size for name in ("huge", "empty", "short")] == [1 << 40, 3 << 30, 5000]
    assert sum((out / name).stat().st_blocks * 512 for name in ("huge", "empty", "short")) < 4 << 20
    assert (out / "huge").stat().st_mode & 0o777 == 0o640
    assert (out / "short").read_bytes() == b"x" * 10 + bytes(4990)
    with (out / "huge").open("rb") as file:
        for at, block in ((0, b"start"), (5 << 30, b"middle"), ((1 << 40) - 3, b"end")):
            file.seek(at)
            assert file.read(len(block)) == block


def test_a_database_with_a_huge_hole_is_kept_as_such(volume: Path) -> None:
    make_database(volume / "a.db", LEASES)
    os.truncate(volume / "a.db", 1 << 36)
    out, _ = kept_of(volume)
    assert (out / "a.db").stat().st_blocks * 512 < 4 << 20


def test_a_file_that_claims_more_than_any_disk_is_left_out(volume: Path) -> None:
    (volume / "huge").touch()
    os.truncate(volume / "huge", (1 << 40) + 1)
    out, kept = kept_of(volume)
    assert kept.left_out == ["v/huge: it is 1,099,511,627,777 bytes long"]
    assert not (out / "huge").exists()


def test_everything_odd_is_passed_by_and_the_rest_comes_back(volume: Path) -> None:
    strange = os.fsdecode(b"\xff\xc3\n\x1b[2J\xf0\x9f")
    os.mkfifo(volume / "pipe.sqlite")
    (volume / "pipe.sqlite-wal").write_text("not the pipe's")
    (volume / "loop").symlink_to("loop")
    (volume / ("n" * 255)).write_text("long")
    (volume / strange).write_text("strange")
    (volume / "back\\slash").write_text("back")
    (volume / "old").write_text("old")
    os.utime(volume / "old", (0, -(1 << 40)))
    (volume / "new").write_text("new")
    os.utime(volume / "new", (0, 1 << 40))
    deep_tree(volume / "deep")
    try:
        out, kept = kept_of(volume)
    finally:
        remove_tree(volume / "deep")
    assert {path.name for path in out.iterdir()} == {
        "n" * 255, "loop", strange, "back\\slash", "old", "new", "deep", "pipe.sqlite-wal", "state",
    }  # fmt: skip
    assert len(kept.left_out) == 1
    assert "folders deep" in kept.left_out[0]


def test_a_file_that_is_cut_while_it_is_read_is_filled_up_and_said() -> None:
    class Cut(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(size)[:3] if self.tell() == 0 else b""

    target = io.BytesIO()
    writer = ArchiveWriter(target)
    assert not writer.add("a", Cut(b"0123456789"))
    assert writer.add("b", io.BytesIO(b"whole"))
    writer.finish(Manifest("0", "0", "sqlite", "", 0, writer.members))
    assert writer.members["a"].size_bytes == 10


def test_too_many_entries_and_names_and_bytes_are_left_out_and_said(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_NOTES", 3)
    for number in range(20):
        (volume / f"{number:02}").write_text("x" * 100_000)
    out, kept = kept_of(volume, allowance=Allowance(PLENTY, PLENTY, entries=5))
    assert len(list(out.iterdir())) == 5
    assert "more than 5 entries" in kept.left_out[0]
    out, kept = kept_of(volume, allowance=Allowance(5 * 102_400, PLENTY))
    assert len([path for path in out.iterdir() if path.is_file()]) == 5
    assert (len(kept.left_out), kept.left_out[-1]) == (4, "v: 12 more")
    out, _ = kept_of(volume, allowance=Allowance(PLENTY, 3000))
    assert 5 < len([path for path in out.iterdir() if path.is_file()]) < 20


def test_what_one_volume_leaves_of_its_share_is_there_for_the_others(tmp_path: Path) -> None:
    shares = Shares(tmp_path, 4, manifest_bytes=4000)
    first = shares.next()
    assert (first.manifest_bytes, first.take_name("a" * 838)) == (1000, True)
    assert not first.take_name("")
    shares.give_back(first)
    second = shares.next()
    assert second.manifest_bytes == 1000
    shares.give_back(second)
    assert shares.next().manifest_bytes == 1500
    assert first.data_bytes >= bounds.LEAST_DATA_BYTES


async def backed_up(base: Path, instances: list[InstanceId]) -> Backup:
    async def snapshot(into: Path) -> DatabaseSnapshot:
        make_database(into, "CREATE TABLE t (x)")
        return DatabaseSnapshot("0", "sqlite", frozenset(instances))

    (base / "vault").mkdir(exist_ok=True)
    return await make_backup(Plan(base, None, "0"), base / "b", snapshot, lambda _: None)


async def test_one_volume_that_can_not_be_copied_is_named_and_the_backup_goes_on(tmp_path: Path) -> None:
    instances = [InstanceId(f"oc-{letter * 8}") for letter in "abc"]
    first, second, third = (tmp_path / "volumes" / volume_of(instance) for instance in instances)
    (first / "state" / "state").mkdir(parents=True)
    make_database(first / GLOBAL, MANY, LEASES, "INSERT INTO state_leases VALUES (1)", ENDLESS)
    (tmp_path / "elsewhere").mkdir()
    second.symlink_to(tmp_path / "elsewhere")
    third.mkdir()
    (third / "note").write_text("mine")
    made = await asyncio.wait_for(backed_up(tmp_path, instances), PATIENCE_SECONDS)
    assert sorted(made.incomplete) == sorted([volume_of(instances[0]), volume_of(instances[1])])
    assert any(str(second.name) in line for line in made.left_out)
    out = tmp_path / "out"
    out.mkdir()
    unpack(tmp_path / "b", None, out, lambda _: None)
    assert (out / "volumes" / third.name / "note").read_text() == "mine"


def test_an_archive_that_can_not_be_written_is_no_fault_of_a_volume(volume: Path, tmp_path: Path) -> None:
    class Full(io.BytesIO):
        was_full = False

        def write(self, data: object, /) -> int:
            if not self.was_full:
                self.was_full = True
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)  # type: ignore[arg-type]

    (volume / "note").write_text("x" * 100_000)
    with pytest.raises(TargetFailed):
        add_volume(ArchiveWriter(Full()), volume, "v", tmp_path, Kept(), Allowance(PLENTY, PLENTY))


def test_a_backup_is_stopped_within_a_file(volume: Path) -> None:
    kept = Kept()

    class Stopping(Allowance):
        def take_data(self, amount: int) -> bool:
            kept.stopped.set()
            return super().take_data(amount)

    (volume / "note").write_text("x" * 100_000)
    with pytest.raises(BackupFailed, match="stopped"):
        kept_of(volume, kept, Stopping(PLENTY, PLENTY))


@pytest.mark.parametrize(
    ("parts", "target", "inside"),
    [
        ("state/a/l1", "../..", True), ("state/l", "x/../y", False), ("state/a/l2", "l1/../..", False), ("l", "..", False),
        ("l", ".", True), ("state/l", "../../x", False), ("state/l", "./../a//b/", True), ("state/l", "/etc", False), ("l", "", False),
    ],
)  # fmt: skip
def test_a_link_goes_up_first_and_no_further_than_its_volume(parts: str, target: str, inside: bool) -> None:
    assert stays_inside(parts.split("/"), target) is inside


def test_a_chain_of_links_does_not_lead_out_of_a_volume(volume: Path) -> None:
    (volume / "state/a").mkdir()
    (volume / "state/a/l1").symlink_to("../..")
    (volume / "state/a/l2").symlink_to("l1/../../../../../../../..")
    (volume / "state/a/l3").symlink_to("l1/../..")
    (volume / "state/a/l4").symlink_to("l1/state")
    out, kept = kept_of(volume)
    assert sorted(path.name for path in (out / "state/a").iterdir()) == ["l1", "l4"]
    assert len(kept.left_out) == 2
    for link in (out / "state/a").iterdir():
        assert link.resolve().is_relative_to(out)


def test_a_chain_of_links_in_an_archive_is_not_made(tmp_path: Path) -> None:
    links = {
        "volumes/vol-a/state/a/l1": "../..",
        "volumes/vol-a/state/a/l2": "l1/../..",
        "volumes/vol-a/state/a/l3": "../../../vol-b",
        "tls/l": "../vault.key",
        "tls/m": "certificates",
    }
    left_out = make_links(Manifest("0", "0", "sqlite", "", links=links), tmp_path)
    assert [line.split(":")[0].rpartition("/")[2] for line in left_out] == ["l", "l2", "l3"]
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_symlink()) == [
        "tls/m",
        "volumes/vol-a/state/a/l1",
    ]


def test_no_link_is_made_through_another_of_the_archive(tmp_path: Path) -> None:
    (tmp_path / "volumes/vol-a/state").mkdir(parents=True)
    links = {"volumes/vol-a/here": "state", "volumes/vol-a/here/x": "y"}
    with pytest.raises(BackupUnreadable, match="leads out"):
        make_links(Manifest("0", "0", "sqlite", "", links=links), tmp_path)
