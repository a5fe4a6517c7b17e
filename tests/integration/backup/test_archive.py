"""The archive itself: whole or refused, encrypted or not, and never outside of where it is unpacked."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.backup import encryption
from openclaw_hosted.adapters.local.backup.archive import Manifest, is_encrypted, make_links, unpack, writing
from openclaw_hosted.adapters.local.backup.encryption import CHUNK_BYTES, HEADER_BYTES, DecryptingReader, EncryptingWriter
from openclaw_hosted.adapters.local.backup.errors import BackupUnreadable

PASSPHRASE = "correct horse battery"
BIG = bytes(range(256)) * 12_000


@pytest.fixture(autouse=True)
def quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption.EncryptingWriter.__init__, "__defaults__", (10,))


def make(path: Path, passphrase: str | None = None, links: dict[str, str] | None = None) -> Manifest:
    with writing(path, passphrase) as archive:
        archive.add_directory("volumes/a/empty", 0o755)
        archive.add("volumes/a/small", io.BytesIO(b"hello"), 0o640, 1_700_000_000.0)
        archive.add("volumes/a/big", io.BytesIO(BIG))
        manifest = Manifest("0.1", "0001", "sqlite", "2026-01-01T00:00:00+00:00", 1, archive.members, links or {})
        archive.finish(manifest)
    return manifest


def unpacked(path: Path, into: Path, passphrase: str | None = None) -> Manifest:
    into.mkdir()
    return unpack(path, passphrase, into, lambda _: None)


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_what_went_in_comes_out(tmp_path: Path, passphrase: str | None) -> None:
    made = make(tmp_path / "b", passphrase)
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    assert is_encrypted(tmp_path / "b") == (passphrase is not None)
    assert unpacked(tmp_path / "b", tmp_path / "out", passphrase) == made
    assert (tmp_path / "out/volumes/a/small").read_bytes() == b"hello"
    assert (tmp_path / "out/volumes/a/small").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "out/volumes/a/small").stat().st_mtime == 1_700_000_000.0
    assert (tmp_path / "out/volumes/a/big").read_bytes() == BIG
    assert (tmp_path / "out/volumes/a/empty").is_dir()
    assert {path.name for path in tmp_path.iterdir()} == {"b", "out"}


def test_nothing_is_left_of_a_backup_that_failed(tmp_path: Path) -> None:
    with suppress(ZeroDivisionError), writing(tmp_path / "b", PASSPHRASE) as archive:
        archive.add("x", io.BytesIO(BIG))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_another_passphrase_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "b", PASSPHRASE)
    with pytest.raises(BackupUnreadable, match="passphrase"):
        unpacked(tmp_path / "b", tmp_path / "out", "another horse battery")


def test_an_encrypted_backup_shows_nothing(tmp_path: Path) -> None:
    make(tmp_path / "b", PASSPHRASE)
    content = (tmp_path / "b").read_bytes()
    assert b"hello" not in content
    assert b"volumes" not in content
    assert PASSPHRASE.encode() not in content


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
@pytest.mark.parametrize("damage", ["cut in half", "last byte gone", "a bit turned", "first bytes only"])
def test_a_damaged_backup_is_refused(tmp_path: Path, passphrase: str | None, damage: str) -> None:
    make(tmp_path / "b", passphrase)
    content = bytearray((tmp_path / "b").read_bytes())
    match damage:
        case "cut in half":
            content = content[: len(content) // 2]
        case "last byte gone":
            content = content[: len(content) // 2 - 1] if passphrase is None else content[:-1]
        case "a bit turned":
            content[len(content) // 2] ^= 4
        case _:
            content = content[:20]
    (tmp_path / "b").write_bytes(content)
    with pytest.raises(BackupUnreadable):
        unpacked(tmp_path / "b", tmp_path / "out", passphrase)


def test_a_stranger_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"PK\3\4 some other archive")
    with pytest.raises(BackupUnreadable, match="not a backup"):
        is_encrypted(tmp_path / "b")
    with pytest.raises(BackupUnreadable, match="can't be read"):
        is_encrypted(tmp_path / "missing")


def test_chunks_can_neither_be_exchanged_nor_cut_off() -> None:
    target = io.BytesIO()
    with EncryptingWriter(target, PASSPHRASE) as writer:
        writer.write(b"a" * CHUNK_BYTES + b"b" * CHUNK_BYTES + b"c" * 10)
    whole, size = target.getvalue(), CHUNK_BYTES + 16
    header, first, second = whole[:HEADER_BYTES], whole[HEADER_BYTES:][:size], whole[HEADER_BYTES:][size : 2 * size]
    assert len(DecryptingReader(io.BytesIO(whole), PASSPHRASE).readall()) == 2 * CHUNK_BYTES + 10
    for forged in (header + second + first, header + first + second, header + first, header, whole[:8] + b"\x1e" + whole[9:]):
        with pytest.raises(BackupUnreadable):
            read_to_end(forged)


def read_to_end(content: bytes) -> bytes:
    """A `RawIOBase` has no end before its first byte: nothing at all is not a whole stream either."""
    read = DecryptingReader(io.BytesIO(content), PASSPHRASE).readall()
    if not read:
        raise BackupUnreadable
    return read


def hostile(path: Path, fill: Callable[[tarfile.TarFile], None], manifest: dict[str, object] | None = None) -> Path:
    with gzip.open(path, "wb") as compressed, tarfile.open(fileobj=compressed, mode="w|") as tar:
        fill(tar)
        body = json.dumps(
            {
                "platform_version": "0", "schema": "0001", "database": "sqlite", "created_at": "", "instances": 0, "links": {},
                "left_out": [], "format": 1, "members": {}, **(manifest or {}),
            }
        ).encode()  # fmt: skip
        add(tar, "manifest.json", body)
    return path


def add(tar: tarfile.TarFile, name: str, body: bytes = b"x", kind: bytes = tarfile.REGTYPE, target: str = "") -> None:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(body) if kind == tarfile.REGTYPE else 0, kind, target
    tar.addfile(info, io.BytesIO(body) if kind == tarfile.REGTYPE else None)


@pytest.mark.parametrize("name", ["../evil", "/evil", "volumes/../../evil", "./volumes/x", "volumes//x"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BackupUnreadable, match="leads out"):
        unpacked(hostile(tmp_path / "b", lambda tar: add(tar, name)), tmp_path / "out")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_no_members(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(BackupUnreadable, match="neither file nor directory"):
        unpacked(hostile(tmp_path / "b", lambda tar: add(tar, "volumes/x", kind=kind, target="../../evil")), tmp_path / "out")


def test_a_file_twice_or_one_that_the_manifest_does_not_name_is_refused(tmp_path: Path) -> None:
    def twice(tar: tarfile.TarFile) -> None:
        add(tar, "volumes/x")
        add(tar, "volumes/x")

    with pytest.raises(BackupUnreadable, match="twice"):
        unpacked(hostile(tmp_path / "a", twice), tmp_path / "one")
    with pytest.raises(BackupUnreadable, match="manifest"):
        unpacked(hostile(tmp_path / "b", lambda tar: add(tar, "volumes/x")), tmp_path / "two")


def test_a_later_format_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(BackupUnreadable, match=r"format 3, made by OpenClaw Hosted 9\.9"):
        unpacked(hostile(tmp_path / "b", lambda _: None, {"format": 3, "platform_version": "9.9"}), tmp_path / "out")


def test_links_inside_are_made_and_others_refused(tmp_path: Path) -> None:
    manifest = make(tmp_path / "b", links={"volumes/a/current": "small"})
    unpacked(tmp_path / "b", tmp_path / "out")
    make_links(manifest, tmp_path / "out")
    assert (tmp_path / "out/volumes/a/current").read_text() == "hello"
    for number, (name, target) in enumerate({"x": "../../evil", "y": "/etc/passwd", "../z": "a", "volumes/q": "../../out2"}.items()):
        wrong = Manifest("0", "0", "sqlite", "", links={name: target})
        (tmp_path / str(number)).mkdir()
        with pytest.raises(BackupUnreadable, match="leads out"):
            make_links(wrong, tmp_path / str(number))


def test_a_link_is_not_made_through_another(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a").symlink_to("../outside")
    with pytest.raises(BackupUnreadable, match="leads out"):
        make_links(Manifest("0", "0", "sqlite", "", links={"a/b": "c"}), tmp_path / "in")
    assert list((tmp_path / "outside").iterdir()) == []
