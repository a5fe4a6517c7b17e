"""Archives that users bring to machines on AWS: checked here, through a bucket, by the script that ships, in the fast lab."""

from __future__ import annotations

import sqlite3
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw_hosted.adapters.aws.brought import pack
from openclaw_hosted.adapters.local.backup.strangers import ArchiveLimits
from openclaw_hosted.bootstrap.provided import Provided
from openclaw_hosted.domain.errors import Conflict, InvalidInput, NotFound, StateConflict
from openclaw_hosted.domain.gateway import Credential, GatewaySpec
from openclaw_hosted.domain.naming import InstanceId, RestorePointId, aside_of, volume_of
from openclaw_hosted.ports.machines import LaunchSpec
from openclaw_hosted.ports.restore_points import Stage
from tests.integration.aws.running import BUCKET, IDS, left_behind, with_bucket
from tests.integration.aws.world import AwsWorld
from tests.integration.backup.test_strangers import REFUSED, add, packed, sent
from tests.support.aws import provided_on
from tests.support.seats import seat
from tests.support.waiting import until


@pytest.fixture
async def provided(world: AwsWorld, tmp_path: Path) -> AsyncIterator[Provided]:
    with_bucket(world)
    settings = {"ARCHIVES_BUCKET": BUCKET, "OPENCLAW_HOSTED_DATA_DIR": str(tmp_path / "data"), "ARCHIVE_MB": "1"}
    async with provided_on(world.lab.site, **settings) as made:
        yield made


def an_openclaw(tar: tarfile.TarFile, folder: Path) -> None:
    """What a user has at home: files, a link, and a database whose last words are in its log."""
    add(tar, ".openclaw/workspace/plan.md", b"later")
    add(tar, ".openclaw/workspace/été\n.txt", b"odd")
    add(tar, ".openclaw/workspace/latest", b"", type=tarfile.SYMTYPE, linkname="plan.md")
    add(tar, ".openclaw/workspace/tool.sh", b"#!/bin/sh", mode=0o6755)
    database = sqlite3.connect(folder / "openclaw.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE said (line TEXT)")
    database.execute("INSERT INTO said VALUES ('only in the log')")
    for name in ("openclaw.sqlite", "openclaw.sqlite-wal"):
        add(tar, f".openclaw/state/{name}", (folder / name).read_bytes())
    database.close()


async def a_machine(provided: Provided) -> tuple[str, LaunchSpec]:
    spare = LaunchSpec(IDS.machine_id(), IDS.volume_id(), IDS.instance_id(0), "lab")
    return await provided.machines.launch(spare), spare


async def up(provided: Provided, ref: str) -> None:
    """Until EC2 lists it."""

    async def seen() -> bool:
        return any(each.provider_ref == ref for each in await provided.machines.observe())

    await until(seen)


async def restored(provided: Provided, point_id: RestorePointId, instance_id: InstanceId, ref: str) -> None:
    """On this machine, once it listens."""

    async def done() -> bool:
        try:
            await provided.points.restore(point_id, volume_of(instance_id), instance_id, instance_id, ref)
        except NotFound:
            return False
        return True

    await until(done)


async def test_what_ran_at_home_runs_on_a_machine_of_its_users_new_instance(world: AwsWorld, provided: Provided, tmp_path: Path) -> None:
    point_id, instance_id = IDS.restore_point_id(), IDS.instance_id(0)
    assert provided.points.brings_archives
    made = await provided.points.bring(point_id, sent(packed(lambda tar: an_openclaw(tar, tmp_path))))
    assert (made.stage, made.instance_id) == (Stage.READY, None)
    assert (await provided.points.make(point_id, volume_of(instance_id))).stage is Stage.READY
    assert [each.point_id for each in await provided.points.list()] == [point_id]
    assert list((tmp_path / "data" / "archives").iterdir()) == []

    ref, spare = await a_machine(provided)
    await restored(provided, point_id, instance_id, ref)
    (volume,) = [each for each in world.lab.machines.volumes.attached_to(ref) if each.mark == instance_id]
    state = volume.folder / "state"
    assert (state / "workspace" / "latest").read_text() == "later"
    assert (state / "workspace" / "été\n.txt").read_text() == "odd"
    assert (state / "workspace" / "tool.sh").stat().st_mode & 0o7777 == 0o755
    assert "from home" in (state / "openclaw.json.brought").read_text()
    database = sqlite3.connect(state / "state" / "openclaw.sqlite")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert database.execute("SELECT line FROM said").fetchall() == [("only in the log",)]
    database.close()
    assert not (volume.folder / "incoming").exists()
    assert not (volume.folder / "parcel.tar").exists()

    (state / "workspace" / "plan.md").write_text("changed since")
    await restored(provided, point_id, instance_id, ref)
    assert (state / "workspace" / "plan.md").read_text() == "changed since", "the same restoring is done once"
    await provided.vault.put(instance_id, {Credential.GATEWAY_TOKEN: "a-token"}, 0)
    await provided.vault.grant(instance_id, ref)
    gateway = GatewaySpec(instance_id, 1, volume_of(instance_id), "lab")
    await provided.gateways.start(seat(ref, gateway), gateway)
    assert (await provided.gateways.status(seat(ref, gateway))).instance_id == instance_id
    await provided.points.remove(point_id)
    assert left_behind(world, "brought") == []
    assert spare.volume_id != volume_of(instance_id)


async def test_a_volume_that_holds_data_is_never_written_over_and_one_in_another_zone_is_set_aside(
    world: AwsWorld, provided: Provided, tmp_path: Path
) -> None:
    point_id, instance_id = IDS.restore_point_id(), IDS.instance_id(0)
    await provided.points.bring(point_id, sent(packed(lambda tar: an_openclaw(tar, tmp_path))))
    ref, spare = await a_machine(provided)
    await restored(provided, point_id, instance_id, ref)
    (volume,) = [each for each in world.lab.machines.volumes.attached_to(ref) if each.mark == instance_id]
    (volume.folder / "brought").unlink()
    with pytest.raises(Conflict, match="holds data already"):
        await provided.points.restore(point_id, volume_of(instance_id), instance_id, instance_id, ref)
    assert (volume.folder / "state" / "workspace" / "plan.md").read_text() == "later"
    await provided.gateways.stop(seat(ref, GatewaySpec(instance_id, 1, volume_of(instance_id), "lab")))
    await provided.volumes.detach(volume_of(instance_id), spare.machine_id)

    (zone,) = [each.zone for each in await provided.volumes.list() if each.volume_id == volume_of(instance_id)]
    for market in ("spot", "on-demand"):
        world.lab.cloud.run_dry(zone, 1e6, market)
    other, _ = await a_machine(provided)
    world.lab.cloud.shortages.clear()
    await restored(provided, point_id, instance_id, other)
    zones = {each.volume_id: each.zone for each in await provided.volumes.list()}
    assert zones[aside_of(instance_id, instance_id)] == zone != zones[volume_of(instance_id)]
    await provided.points.remove(point_id)


async def test_what_is_refused_reaches_neither_bucket_nor_machine(world: AwsWorld, provided: Provided, tmp_path: Path) -> None:
    bomb = (lambda tar: add(tar, ".openclaw/zeros", bytes(80 << 20)), "Unpacked it is larger than 4 MB")
    before = left_behind(world, "brought")
    for what, (fill, reason) in {**REFUSED, "a bomb": bomb}.items():
        if what == "too many entries":
            continue  # of 200,000, which no setting changes
        with pytest.raises(InvalidInput, match=reason):
            await provided.points.bring(IDS.restore_point_id(), sent(packed(fill)))
    assert left_behind(world, "brought") == before
    assert list((tmp_path / "data" / "archives").iterdir()) == []


async def test_what_is_too_large_for_a_volume_is_refused(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "state").mkdir(parents=True)
    (volume / "home").mkdir()
    with (volume / "state" / "holes").open("wb") as holes:
        holes.truncate(1 << 40)
    with pytest.raises(InvalidInput, match="larger than"):
        pack(volume, tmp_path / "parcel.tar", ArchiveLimits().unpacked_bytes)
    assert not (tmp_path / "parcel.tar").exists()


async def test_an_archive_that_is_no_longer_kept_makes_no_empty_instance(provided: Provided, tmp_path: Path) -> None:
    point_id, instance_id = IDS.restore_point_id(), IDS.instance_id(0)
    await provided.points.bring(point_id, sent(packed(lambda tar: an_openclaw(tar, tmp_path))))
    await provided.points.remove(point_id)
    ref, _ = await a_machine(provided)
    await up(provided, ref)
    with pytest.raises(NotFound, match="no restore point"):
        await provided.points.restore(point_id, volume_of(instance_id), instance_id, instance_id, ref)
    assert await provided.points.list() == []


async def test_without_a_bucket_nothing_can_be_brought(world: AwsWorld) -> None:
    async with provided_on(world.lab.site) as provided:
        assert not provided.points.brings_archives
        with pytest.raises(StateConflict, match="ARCHIVES_BUCKET"):
            await provided.points.bring(IDS.restore_point_id(), sent(b""))
