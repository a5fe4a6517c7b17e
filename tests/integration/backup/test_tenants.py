"""A tenant that exchanges files for links while the volume is read gets nothing of the computer into the archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.backup.volume import opened_below


def test_a_plain_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "volume" / "state").mkdir(parents=True)
    (tmp_path / "volume" / "state" / "note.txt").write_text("mine")
    with opened_below(tmp_path / "volume", "state/note.txt") as (folder, source):
        assert source.read() == b"mine"
        assert (folder / "note.txt").read_text() == "mine"


@pytest.mark.parametrize("exchanged", ["state", "state/note.txt"])
def test_neither_a_folder_nor_a_file_that_became_a_link_is_followed(tmp_path: Path, exchanged: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "note.txt").write_text("the computer's")
    (tmp_path / "volume" / "state").mkdir(parents=True)
    link = tmp_path / "volume" / exchanged
    if link.is_dir():
        link.rmdir()
    link.symlink_to(outside if exchanged == "state" else outside / "note.txt")
    with pytest.raises(OSError), opened_below(tmp_path / "volume", "state/note.txt"):
        raise AssertionError("it was opened")
