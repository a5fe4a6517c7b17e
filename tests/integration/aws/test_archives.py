"""Archives of running instances, by the script that ships and through a bucket, in the fast lab."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sqlite3
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_hosted.adapters.aws import archives
from openclaw_hosted.adapters.local.backup.strangers import ArchiveLimits, take_in
from openclaw_hosted.bootstrap.doctor.aws import CHECKS
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.domain.errors import NotFound, StateConflict, Unavailable
from openclaw_hosted.domain.naming import volume_of
from openclaw_hosted.settings_aws import load_aws_settings
from tests.integration.aws.running import BUCKET, IDS, Running, left_behind, running, with_bucket
from tests.integration.aws.world import AwsWorld
from tests.support.aws import aws_environment, provided_on, sdk_on

TOKEN = "a-token"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def provided(world: AwsWorld, data: Path) -> AsyncIterator[Provided]:
    with_bucket(world)
    async with provided_on(world.lab.site, ARCHIVES_BUCKET=BUCKET, OPENCLAW_HOSTED_DATA_DIR=str(data)) as made:
        yield made


@pytest.fixture
async def instance(world: AwsWorld, provided: Provided) -> AsyncIterator[Running]:
    async with running(world, provided) as made:
        yield made


async def whole(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


def furnish(folder: Path) -> sqlite3.Connection:
    """What users and OpenClaw have on a volume; the connection keeps the database's log from being taken into it."""
    state = folder / "state"
    (state / "workspace").mkdir()
    (state / "workspace" / "plan.md").write_text("later")
    (state / "workspace" / "été\n.txt").write_text("odd")
    (state / "workspace" / "tool.sh").write_text("#!/bin/sh")
    (state / "workspace" / "tool.sh").chmod(0o755)
    (state / "workspace" / "latest").symlink_to("plan.md")
    (state / "workspace" / "out").symlink_to("/etc/passwd")
    os.link(state / "workspace" / "plan.md", state / "workspace" / "same.md")
    os.mkfifo(state / "workspace" / "pipe")
    (state / "cache").mkdir()
    (state / "cache" / "big").write_text("made anew")
    (state / "openclaw.json.bak").write_text('{"gateway": {"auth": {"token": "an-older-token"}}}')
    (folder / "home" / ".profile").write_text("export EDITOR=vi")
    (state / "state").mkdir(exist_ok=True)
    database = sqlite3.connect(state / "state" / "openclaw.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE said (line TEXT)")
    database.execute("CREATE TABLE state_leases (holder TEXT)")
    database.execute("INSERT INTO said VALUES ('only in the log')")
    database.execute("INSERT INTO state_leases VALUES ('this gateway')")
    assert (state / "state" / "openclaw.sqlite-wal").stat().st_size > 0
    return database


def members(archive: bytes) -> dict[str, Any]:
    """Each member's content, None for a folder."""
    found: dict[str, Any] = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        for each in tar:
            assert each.name not in found
            content = tar.extractfile(each)
            found[each.name] = None if content is None else content.read()
    return found


async def test_all_that_a_running_instance_holds_is_in_its_archive_and_nothing_of_the_platforms(
    world: AwsWorld, provided: Provided, instance: Running, tmp_path: Path, data: Path
) -> None:
    crashed, going = data / "archives" / "crashed", data / "archives" / "going"
    for folder in (crashed, going):
        folder.mkdir(parents=True)
        (folder / "sent.sqlite").write_text("a database")
    os.utime(crashed, (1, 1))
    assert provided.points.exports_volumes
    assert not provided.points.carries_archives
    assert provided.points.brings_archives
    database = furnish(instance.volume.folder)
    archive = await whole(await provided.points.export_volume(instance.volume_id))
    database.close()

    found = members(archive)
    manifest = json.loads(found.pop("manifest.json"))
    state = "openclaw-volume/state"
    assert found[f"{state}/workspace/plan.md"] == found[f"{state}/workspace/same.md"] == b"later"
    assert found[f"{state}/workspace/été\n.txt"] == b"odd"
    assert found["openclaw-volume/home/.profile"] == b"export EDITOR=vi"
    assert manifest["links"] == {f"{state}/workspace/latest": "plan.md"}
    assert [line for line in manifest["left_out"] if "link" in line] != []
    assert {name: entry["sha256"] for name, entry in manifest["members"].items()} == {
        name: hashlib.sha256(content).hexdigest() for name, content in found.items() if content is not None
    }
    names = " ".join(found)
    for absent in ("cache", "pipe", "openclaw.json.bak", "-wal", "-shm", "instance-id", "lost+found"):
        assert absent not in names
    assert TOKEN.encode() not in b"".join(content or b"" for content in found.values())
    assert "gateway" not in json.loads(found[f"{state}/openclaw.json"])

    (tmp_path / "archive").write_bytes(archive)
    volume = take_in(tmp_path / "archive", tmp_path / "draft", ArchiveLimits(), lambda: None)
    assert os.access(volume / "state" / "workspace" / "tool.sh", os.X_OK)
    restored = sqlite3.connect(volume / "state" / "state" / "openclaw.sqlite")
    assert restored.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert restored.execute("SELECT line FROM said").fetchall() == [("only in the log",)]
    assert restored.execute("SELECT * FROM state_leases").fetchall() == []
    restored.close()
    assert left_behind(world, "archive") == []
    assert list((data / "archives").iterdir()) == [going]
    assert not instance.volume.frozen
    assert list(world.lab.machines.folder.rglob("archive.tar")) == []


async def test_one_archive_of_an_instance_at_a_time_and_one_that_is_given_up_leaves_nothing(
    world: AwsWorld, provided: Provided, instance: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "RANGE_BYTES", 1 << 18)
    (instance.volume.folder / "state" / "noise").write_bytes(os.urandom(5 << 20))
    pieces = await provided.points.export_volume(instance.volume_id)
    await anext(pieces)
    with pytest.raises(StateConflict, match="being downloaded"):
        await provided.points.export_volume(instance.volume_id)
    assert left_behind(world, "archive") != []
    await pieces.aclose()  # type: ignore[attr-defined]
    assert left_behind(world, "archive") == []
    again = await whole(await provided.points.export_volume(instance.volume_id))
    assert len(members(again)["openclaw-volume/state/noise"]) == 5 << 20


async def test_a_file_that_would_fill_the_machines_disk_fails_the_archive_and_nothing_else(
    world: AwsWorld, provided: Provided, instance: Running
) -> None:
    with (instance.volume.folder / "state" / "huge").open("wb") as huge:
        huge.truncate(1 << 40)
    with pytest.raises(Unavailable, match="a file is larger than"):
        await provided.points.export_volume(instance.volume_id)
    assert left_behind(world, "archive") == []
    assert not instance.volume.frozen
    assert (await provided.gateways.status(instance.place)).running


async def test_what_does_not_run_is_told_so(world: AwsWorld, provided: Provided, instance: Running) -> None:
    with pytest.raises(NotFound):
        await provided.points.export_volume(volume_of(IDS.instance_id(0)))
    await provided.gateways.stop(instance.place)
    with pytest.raises(Unavailable, match="not on its machine"):
        await provided.points.export_volume(instance.volume_id)
    machine_id = next(each.machine_id for each in await provided.machines.observe() if each.provider_ref == instance.ref)
    assert machine_id is not None
    await provided.volumes.detach(instance.volume_id, machine_id)
    with pytest.raises(StateConflict, match="has to run"):
        await provided.points.export_volume(instance.volume_id)
    assert left_behind(world, "archive") == []


async def test_doctor_tries_the_bucket(world: AwsWorld) -> None:
    with_bucket(world)
    check, _ = CHECKS["aws archives"]
    async with sdk_on(world.lab) as sdk:
        with aws_environment(world.lab.site, ARCHIVES_BUCKET=BUCKET):
            assert await check(sdk, load_aws_settings()) == BUCKET
        with aws_environment(world.lab.site, ARCHIVES_BUCKET="not-there"), pytest.raises(Unavailable, match="not-there"):
            await check(sdk, load_aws_settings())
    assert left_behind(world, "archive") == []


async def test_without_a_bucket_there_is_no_archive(world: AwsWorld) -> None:
    async with provided_on(world.lab.site) as provided:
        assert not provided.points.exports_volumes
        with pytest.raises(StateConflict, match="ARCHIVES_BUCKET"):
            await provided.points.export_volume(volume_of(IDS.instance_id(0)))
