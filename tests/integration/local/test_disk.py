"""A tenant who fills the disk is named, and nothing is taken away."""

from __future__ import annotations

from pathlib import Path

from openclaw_hosted.adapters.fake.access import FakeGate, FakeRouter, FakeSealer, FakeVault
from openclaw_hosted.adapters.fake.cloud import FakeCloud
from openclaw_hosted.adapters.fake.compute import FakeGateways, FakeMachines, FakeVolumes
from openclaw_hosted.adapters.fake.restore_points import FakeRestorePoints
from openclaw_hosted.adapters.local.volumes import LocalVolumes
from openclaw_hosted.adapters.meter import KeptMeter
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.bootstrap.doctor import local as checks
from openclaw_hosted.bootstrap.doctor.computer import Verdict
from openclaw_hosted.controllers.context import Ports
from openclaw_hosted.controllers.disk import DiskController
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.naming import InstanceId, MachineId, VolumeId
from openclaw_hosted.ports.volumes import LargeVolume
from tests.support.store import new_store

LARGE, SMALL = VolumeId("v-large"), VolumeId("v-small")
FULL = 1 << 62
"""More than any disk has free."""


async def two_volumes(data_dir: Path, **limits: int) -> LocalVolumes:
    volumes = LocalVolumes(data_dir, **limits)
    for volume_id, megabytes in ((LARGE, 3), (SMALL, 0)):
        await volumes.create(volume_id, MachineId("m"))
        await volumes.mark(volume_id, InstanceId(f"oc-{volume_id}"))
        (volumes.ensure_home(volume_id) / "kept").write_bytes(b"x" * (megabytes << 20))
    return volumes


async def test_nothing_is_measured_while_there_is_room(tmp_path: Path) -> None:
    assert await (await two_volumes(tmp_path, free_bytes_wanted=0, large_bytes=0)).crowding() == []


async def test_the_volumes_that_hold_most_of_a_full_disk_are_named(tmp_path: Path) -> None:
    volumes = await two_volumes(tmp_path, free_bytes_wanted=FULL, large_bytes=1 << 20)
    (volumes.home_dir(SMALL) / "link").symlink_to(volumes.home_dir(LARGE))
    (volumes.home_dir(SMALL) / "nothing").touch()
    with (volumes.home_dir(SMALL) / "hole").open("wb") as hole:
        hole.truncate(1 << 40)
    (found,) = await volumes.crowding()
    assert (found.volume_id, found.instance_id) == (LARGE, "oc-v-large")
    assert 3 << 20 <= found.held_bytes < 4 << 20
    assert found.free_bytes > 0


async def test_doctor_says_which_instance_how_much_and_what_to_do(tmp_path: Path) -> None:
    volumes = await two_volumes(tmp_path, free_bytes_wanted=FULL, large_bytes=1 << 20)
    finding = await checks._check_volumes(volumes)
    assert finding.verdict is Verdict.PROBLEM
    assert "oc-v-large holds 0.0 GB" in finding.message
    assert "delete files" in (finding.fix or "")
    assert (await checks._check_volumes(None)).verdict is Verdict.OK


async def test_each_instance_is_named_once_and_again_after_there_was_room(tmp_path: Path) -> None:
    store, clock, cloud = await new_store(tmp_path / "platform.sqlite"), SystemClock(), FakeCloud(SystemClock())
    volumes = FakeVolumes(cloud)
    ports = Ports(
        FakeMachines(cloud), FakeGateways(cloud), FakeVault(cloud), FakeSealer(), FakeRouter(cloud), FakeGate(cloud), volumes, KeptMeter(),
        clock, SystemIds(), store.machines, store.instances, store.accounts, store.platform, FakeRestorePoints(cloud),
            store.restore_points, store.hints,
    )  # fmt: skip
    controller, filled = DiskController(ports), (LargeVolume(LARGE, InstanceId("oc-22222222"), 41_200_000_000, 800_000_000),)
    for seen in ((), filled, filled, (), filled):
        volumes.large = seen
        await controller.tick()
    events = await store.platform.events()
    assert [(event.name, event.instance_id) for event in events] == [(EventName.INSTANCE_FILLED_DISK, "oc-22222222")] * 2
    assert events[0].detail["holds"] == "41.2 GB"
    assert events[0].detail["free"] == "0.8 GB"
    assert "delete files" in str(events[0].detail["what_to_do"])
    await store.aclose()
