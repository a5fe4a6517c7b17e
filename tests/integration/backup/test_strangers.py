"""Archives that people bring: what is taken, and what is refused, each by name."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import tarfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest

from openclaw_hosted.adapters.local.backup.strangers import ArchiveLimits
from openclaw_hosted.adapters.local.restore_points import LocalRestorePoints
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.domain.errors import InvalidInput, Unavailable
from openclaw_hosted.domain.naming import InstanceId, RestorePointId, VolumeId

POINT = RestorePointId("rp-brought")
INSTANCE, VOLUME = InstanceId("oc-22222222"), VolumeId("vol-22222222")
LIMITS = ArchiveLimits(packed_bytes=4 << 20, unpacked_bytes=96 << 20, entries=50, ratio=200)


@pytest.fixture
def points(tmp_path: Path) -> LocalRestorePoints:
    return LocalRestorePoints(tmp_path, LocalVolumes(tmp_path), LIMITS, free_bytes_wanted=0)


async def sent(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 1 << 16):
        yield content[at : at + (1 << 16)]


def packed(fill: Callable[[tarfile.TarFile], None], *, config: str = ".openclaw/openclaw.json") -> bytes:
    """An archive of a folder ~/.openclaw with something more in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        add(tar, config, b'{"gateway": {"auth": {"token": "from home"}}}')
        fill(tar)
    return buffer.getvalue()


def add(tar: tarfile.TarFile, name: str, content: bytes = b"x", **facts: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for fact, value in facts.items():
        setattr(info, fact, value)
    tar.addfile(info, io.BytesIO(content) if info.isreg() else None)


def add_all(tar: tarfile.TarFile, names: Iterable[str]) -> None:
    for name in names:
        add(tar, f".openclaw/{name}")


def special(name: str, kind: bytes, linkname: str = "") -> Callable[[tarfile.TarFile], None]:
    return lambda tar: add(tar, f".openclaw/{name}", b"", type=kind, linkname=linkname)


REFUSED = {
    "a name that leads out": (lambda tar: add(tar, "../../etc/passwd"), "leads out"),
    "a name in the middle that leads out": (lambda tar: add(tar, ".openclaw/a/../../../x"), "leads out"),
    "an absolute name": (lambda tar: add(tar, "/etc/passwd"), "leads out"),
    "a hard link": (special("hard", tarfile.LNKTYPE, ".openclaw/openclaw.json"), "hard link, “.openclaw/hard”"),
    "a link that leads out": (special("out", tarfile.SYMTYPE, "../../../etc"), "link that leads out of it: “out”"),
    "an absolute link": (special("out", tarfile.SYMTYPE, "/etc/passwd"), "link that leads out"),
    "a device": (special("sda", tarfile.BLKTYPE), "neither file nor folder: “.openclaw/sda”"),
    "a terminal": (special("tty", tarfile.CHRTYPE), "neither file nor folder"),
    "a pipe": (special("pipe", tarfile.FIFOTYPE), "neither file nor folder"),
    "a file twice": (lambda tar: add_all(tar, ["twice", "twice"]), "twice"),
    "a file below a file": (lambda tar: add_all(tar, ["a", "a/b"]), "twice"),
    "too many entries": (lambda tar: add_all(tar, map(str, range(60))), "more than 50 files"),
    "very deep folders": (lambda tar: add(tar, ".openclaw/" + "a/" * 95 + "b"), "deep"),
    "a header of megabytes": (lambda tar: add(tar, ".openclaw/x", pax_headers={"comment": "x" * (2 << 20)}), "headers is too large"),
    "a second OpenClaw": (lambda tar: add(tar, "other/openclaw.json"), "more than one OpenClaw"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
async def test_an_archive_is_refused_as_a_whole_and_nothing_of_it_stays(points: LocalRestorePoints, tmp_path: Path, what: str) -> None:
    fill, said = REFUSED[what]
    with pytest.raises(InvalidInput, match=said):
        await points.bring(POINT, sent(packed(fill)))
    assert list((tmp_path / "restore-points").iterdir()) == []
    assert not (tmp_path.parent / "etc").exists()


async def test_one_that_unpacks_to_very_much_is_refused_before_it_fills_the_disk(points: LocalRestorePoints) -> None:
    bomb = packed(lambda tar: add(tar, ".openclaw/zeros", bytes(80 << 20)))
    assert len(bomb) < 200_000
    with pytest.raises(InvalidInput, match="very much more than it is"):
        await points.bring(POINT, sent(bomb))


async def test_one_that_is_too_large_packed_or_unpacked_is_refused(points: LocalRestorePoints) -> None:
    with pytest.raises(InvalidInput, match="larger than 4 MB"):
        await points.bring(POINT, sent(b"\x1f\x8b" + bytes(5 << 20)))
    points._limits = ArchiveLimits(packed_bytes=4 << 20, unpacked_bytes=1 << 20)
    with pytest.raises(InvalidInput, match="Unpacked it is larger than 1 MB"):
        await points.bring(POINT, sent(packed(lambda tar: add(tar, ".openclaw/zeros", bytes(2 << 20)))))


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", gzip.compress(b"hello"), packed(lambda _: None)[:-30], packed(lambda _: None, config="a")],
    ids=["empty", "text", "packed text", "cut short", "no configuration"],
)
async def test_what_is_no_archive_of_an_openclaw_is_told_so(points: LocalRestorePoints, content: bytes) -> None:
    with pytest.raises(InvalidInput, match="not an archive of an OpenClaw"):
        await points.bring(POINT, sent(content))


async def test_nothing_is_taken_where_the_disk_is_nearly_full(tmp_path: Path) -> None:
    points = LocalRestorePoints(tmp_path, LocalVolumes(tmp_path), LIMITS, free_bytes_wanted=1 << 60)
    with pytest.raises(Unavailable, match="nearly full"):
        await points.bring(POINT, sent(packed(lambda _: None)))


@pytest.mark.parametrize("config", ["openclaw.json", ".openclaw/openclaw.json", "./home/me/.openclaw/openclaw.json"])
async def test_an_openclaw_that_ran_at_home_comes_with_all_but_its_configuration(tmp_path: Path, config: str) -> None:
    volumes = LocalVolumes(tmp_path)
    points = LocalRestorePoints(tmp_path, volumes, LIMITS, free_bytes_wanted=0)
    root = config.removesuffix("openclaw.json")
    database = tmp_path / "memory.sqlite"
    with closing(sqlite3.connect(database)) as opened:
        opened.execute("CREATE TABLE kept (number INTEGER)")
        opened.commit()

    def fill(tar: tarfile.TarFile) -> None:
        add(tar, f"{root}workspace/SOUL.md", b"kind")
        add(tar, f"{root}memory.sqlite", database.read_bytes())
        add(tar, f"{root}gateway.pid", b"1")
        add(tar, f"{root}latest", b"", type=tarfile.SYMTYPE, linkname="workspace/SOUL.md")

    await points.bring(POINT, sent(packed(fill, config=config)))
    await points.restore(POINT, VOLUME, INSTANCE, INSTANCE, "mc-1")
    state = volumes.state_dir(VOLUME)
    assert sorted(path.name for path in state.iterdir()) == ["latest", "memory.sqlite", "openclaw.json.brought", "workspace"]
    assert (state / "latest").readlink() == Path("workspace/SOUL.md")
    assert (state / "latest").read_text() == "kind"
    assert "from home" in (state / "openclaw.json.brought").read_text()
    with closing(sqlite3.connect(state / "memory.sqlite")) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_an_archive_of_ours_holds_the_users_settings_and_nothing_of_the_platforms(tmp_path: Path) -> None:
    volumes = LocalVolumes(tmp_path)
    points = LocalRestorePoints(tmp_path, volumes, LIMITS, free_bytes_wanted=0)
    await volumes.create(VOLUME, "mc-1")
    await volumes.mark(VOLUME, INSTANCE)
    state = volumes.state_dir(VOLUME)
    config = {
        "gateway": {"port": 8080, "trustedProxies": ["10.0.0.1"]},
        "secrets": {"providers": {"platform": {"source": "file", "path": "/run/secrets.json"}}},
        "plugins": {"load": {"paths": ["/opt/oc-hosted"]}, "entries": {"oc-hosted": {"enabled": True}, "mine": {"enabled": True}}},
        "models": {"providers": {"echo": {"apiKey": {"source": "file", "provider": "platform", "id": "/gatewayToken"}}, "own": {"a": 1}}},
        "agents": {"defaults": {"model": {"primary": "echo/echo"}, "userTimezone": "Europe/Berlin"}},
    }
    (state / "openclaw.json").write_text(json.dumps(config))
    (state / "openclaw.json.bak").write_text("gatewayToken")
    volumes.proven_config(VOLUME).write_text("gatewayToken")
    archive = b"".join([piece async for piece in await points.export_volume(VOLUME)])
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = [name.removeprefix("openclaw-volume/") for name in tar.getnames()]
        kept = json.loads(tar.extractfile("openclaw-volume/state/openclaw.json").read())  # type: ignore[union-attr]
    assert not {"state/openclaw.json.bak", "proven-config.json", "instance-id", "attached-to"} & set(names)
    assert kept == {
        "plugins": {"entries": {"mine": {"enabled": True}}},
        "models": {"providers": {"own": {"a": 1}}},
        "agents": {"defaults": {"userTimezone": "Europe/Berlin"}},
    }
    assert b"gatewayToken" not in gzip.decompress(archive)


async def test_an_archive_of_ours_that_was_altered_is_refused(points: LocalRestorePoints, tmp_path: Path) -> None:
    volumes = LocalVolumes(tmp_path)
    await volumes.create(VOLUME, "mc-1")
    (volumes.state_dir(VOLUME) / "note").write_text("as it was")
    archive = gzip.decompress(b"".join([piece async for piece in await points.export_volume(VOLUME)]))
    with pytest.raises(InvalidInput, match="altered"):
        await points.bring(POINT, sent(archive.replace(b"as it was", b"as it is.")))
    await points.bring(POINT, sent(archive))


async def test_a_download_that_nobody_reads_on_ends_and_leaves_nothing(points: LocalRestorePoints, tmp_path: Path) -> None:
    volumes = LocalVolumes(tmp_path)
    await volumes.create(VOLUME, "mc-1")
    (volumes.state_dir(VOLUME) / "noise").write_bytes(bytes(range(256)) * 40_000)
    pieces = await points.export_volume(VOLUME)
    assert await anext(pieces)
    await pieces.aclose()  # type: ignore[attr-defined]
    assert list((tmp_path / "restore-points").iterdir()) == []
