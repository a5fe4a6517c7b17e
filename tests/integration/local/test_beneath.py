"""Trees that a tenant made: walked, handed over and removed from descriptor to descriptor, whatever stands in them."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.beneath import MOST_LEVELS, Walk, chown_tree, folder_of, open_plain, remove_tree, unlink_beneath
from openclaw_hosted.adapters.local.gateway_home import write_config
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.domain.errors import Conflict
from openclaw_hosted.domain.naming import InstanceId, VolumeId
from tests.support.trees import deep_tree


@contextmanager
def descriptors_kept() -> Iterator[None]:
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def open_below(root: Path, relative: str) -> None:
    with folder_of(root, relative) as (folder, name):
        os.close(open_plain(folder, name))


def all_kinds(root: Path) -> None:
    (root / "folder").mkdir(parents=True)
    (root / "folder" / "file").write_text("x")
    (root / "link").symlink_to("folder")
    (root / "loop").symlink_to("loop")
    (root / ("n" * 255)).write_text("long")
    (root / os.fsdecode(b"\xff\n\x1b[2J")).write_text("strange")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        before = Path.cwd()
        os.chdir(root)
        try:
            listening.bind("socket")
        finally:
            os.chdir(before)


def test_a_walk_comes_by_everything_once_and_through_no_link(tmp_path: Path) -> None:
    all_kinds(tmp_path / "t")
    with descriptors_kept():
        walk = Walk(tmp_path / "t", 100, skip=lambda relative: relative == "loop")
        found = [entry.relative for entry in walk]
    assert sorted(found) == sorted(["folder", "folder/file", "link", "n" * 255, os.fsdecode(b"\xff\n\x1b[2J"), "pipe", "socket"])
    assert found.index("folder") < found.index("folder/file")
    assert walk.left_out == []


def test_a_walk_ends_at_its_bounds_and_says_so(tmp_path: Path) -> None:
    deep_tree(tmp_path / "deep", 150)
    for number in range(30):
        (tmp_path / "wide" / str(number)).mkdir(parents=True)
    with descriptors_kept():
        deep, wide = Walk(tmp_path / "deep", 10_000), Walk(tmp_path / "wide", 10)
        assert len(list(deep)) == MOST_LEVELS
        assert len(list(wide)) == 10
    assert "folders deep" in deep.left_out[0][1]
    assert "more than 10 entries" in wide.left_out[0][1]


def test_a_walk_that_is_given_up_leaves_nothing_open(tmp_path: Path) -> None:
    deep_tree(tmp_path / "deep", 20)
    with descriptors_kept():
        walking = iter(Walk(tmp_path / "deep", 100))
        for _ in range(10):
            next(walking)
        walking.close()  # type: ignore[attr-defined]


def test_every_tree_can_be_removed(tmp_path: Path) -> None:
    tree = tmp_path / "t"
    all_kinds(tree)
    deep_tree(tree / "deep")
    (tree / "closed" / "in").mkdir(parents=True)
    (tree / "closed" / "in").chmod(0o000)
    (tree / "closed").chmod(0o000)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (tree / "out").symlink_to(outside)
    with descriptors_kept():
        remove_tree(tree)
        remove_tree(tree)
    assert not tree.exists()
    assert (outside / "kept").read_text() == "kept"


def test_a_link_is_not_removed_as_a_tree(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OSError):
        remove_tree(tmp_path / "link")
    assert (tmp_path / "real").is_dir()


async def test_a_volume_with_any_tree_is_purged_and_so_is_what_an_earlier_purge_left(tmp_path: Path) -> None:
    volumes, volume = LocalVolumes(tmp_path), VolumeId("vol-a")
    await volumes.create(volume, "m")
    deep_tree(volumes.state_dir(volume) / "deep")
    await volumes.purge(volume, InstanceId("oc-a"))
    deep_tree(tmp_path / "volumes" / ".vol-a.purged" / "left")
    await volumes.purge(volume, InstanceId("oc-a"))
    assert [path.name for path in (tmp_path / "volumes").iterdir()] == [".lock"]


async def test_a_volume_whose_mark_can_not_be_read_is_left_alone_and_hides_no_other(tmp_path: Path) -> None:
    volumes = LocalVolumes(tmp_path)
    for name in ("vol-a", "vol-b"):
        await volumes.create(VolumeId(name), "m")
    (tmp_path / "volumes/vol-a/instance-id").write_bytes(b"\xff\xfe")
    assert [seen.volume_id for seen in await volumes.list()] == ["vol-b"]


@pytest.mark.parametrize("exchanged", ["folder", "folder/name"])
def test_nothing_is_opened_or_removed_through_a_link(tmp_path: Path, exchanged: str) -> None:
    outside, volume = tmp_path / "outside", tmp_path / "volume"
    outside.mkdir()
    (outside / "name").write_text("the computer's")
    (volume / "folder").mkdir(parents=True)
    if exchanged == "folder":
        (volume / "folder").rmdir()
    (volume / exchanged).symlink_to(outside if exchanged == "folder" else outside / "name")
    with pytest.raises(OSError):
        open_below(volume, "folder/name")
    unlink_beneath(volume, "folder/name")
    unlink_beneath(volume, "../outside/name")
    unlink_beneath(volume, str(outside / "name"))
    assert (outside / "name").read_text() == "the computer's"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with descriptors_kept(), folder_of(tmp_path, "pipe") as (folder, name), pytest.raises(OSError, match="not a plain file"):
        open_plain(folder, name)


def test_a_folder_in_the_way_of_the_configuration_is_said(tmp_path: Path) -> None:
    (tmp_path / "openclaw.json" / "x").mkdir(parents=True)
    with pytest.raises(Conflict, match=r"openclaw\.json is a folder"):
        write_config(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["openclaw.json"]


def test_a_configuration_that_is_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("kept")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "openclaw.json").symlink_to("../outside")
    write_config(tmp_path / "state", {"a": 1})
    assert (tmp_path / "outside").read_text() == "kept"
    assert stat.S_ISREG((tmp_path / "state" / "openclaw.json").lstat().st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands files over")
def test_a_tree_is_handed_over_and_nothing_outside_of_it(tmp_path: Path) -> None:
    outside, tree = tmp_path / "outside", tmp_path / "tree"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    all_kinds(tree)
    (tree / "out").symlink_to(outside)
    deep_tree(tree / "deep", 150)
    chown_tree(tree, 1000)
    assert {entry.status.st_uid for entry in Walk(tree, 10_000)} == {1000}
    assert tree.lstat().st_uid == 1000
    assert (outside.stat().st_uid, (outside / "kept").stat().st_uid) == (0, 0)
    (tree / "link").unlink()
    (tree / "top").symlink_to(outside)
    chown_tree(tree / "top", 1001)
    assert (tree / "top").lstat().st_uid == 1001
    assert outside.stat().st_uid == 0
    remove_tree(tree)
