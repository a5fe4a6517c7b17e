"""A tar that anybody may have written is unpacked below its folder, and nowhere else."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from openclaw_hosted.untar import untar


def member(name: str, kind: bytes = tarfile.REGTYPE, *, linkname: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode, made.mtime = kind, linkname, mode, 1_790_000_000
    made.size = len(b"text") if kind == tarfile.REGTYPE else 0
    return made


def unpacked(tmp_path: Path, *members: tarfile.TarInfo) -> dict[str, str]:
    """What is in the folder afterwards: the text of files, where links lead."""
    packed, folder = io.BytesIO(), tmp_path / "folder"
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for each in members:
            archive.addfile(each, io.BytesIO(b"text") if each.isreg() else None)
    packed.seek(0)
    folder.mkdir()
    with tarfile.open(fileobj=packed) as archive:
        untar(archive, folder)
    found = sorted(path for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    return {str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_text() for path in found}


def test_files_folders_and_links_are_unpacked(tmp_path: Path) -> None:
    found = unpacked(
        tmp_path,
        member("a", tarfile.DIRTYPE),
        member("a/run", mode=0o4777),
        member("b/link", tarfile.SYMTYPE, linkname="../a/run"),
        member("b/same", tarfile.LNKTYPE, linkname="a/run"),
    )
    assert found == {"a/run": "text", "b/link": "../a/run", "b/same": "text"}
    told = (tmp_path / "folder/a/run").stat()
    assert (told.st_mode & 0o7777, told.st_mtime, told.st_nlink) == (0o700, 1_790_000_000, 1)


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(tarfile.TarError, match="leads out"):
        unpacked(tmp_path, member(name))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("second", [member("a/x"), member("a", tarfile.DIRTYPE)], ids=["below", "folder"])
def test_a_file_that_is_a_folder_as_well_is_refused(tmp_path: Path, second: tarfile.TarInfo) -> None:
    with pytest.raises(tarfile.TarError, match="as a file and as a folder"):
        unpacked(tmp_path, member("a"), second)


def test_links_that_lead_out_and_devices_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    found = unpacked(
        tmp_path,
        member("etc", tarfile.SYMTYPE, linkname="/etc"),
        member("up", tarfile.SYMTYPE, linkname="../secret"),
        member("pipe", tarfile.FIFOTYPE),
        member("null", tarfile.CHRTYPE),
        member("hard", tarfile.LNKTYPE, linkname="gone"),
    )
    assert found == {}


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    found = unpacked(tmp_path, member("a", tarfile.SYMTYPE, linkname="../outside"), member("a/x"))
    assert found == {"a/x": "text"}
    assert not list(outside.iterdir())
