"""The contract of `RestorePoints`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from openclaw_hosted.domain.errors import Conflict, NotFound, PortError, StateConflict
from openclaw_hosted.domain.naming import InstanceId, RestorePointId, VolumeId, aside_of, volume_of
from openclaw_hosted.ports.restore_points import MadePoint, RestorePoints, Stage
from tests.contract.provider.harness import ProviderHarness, eventually, launch_spec, launched, volume


class PointsHarness(ProviderHarness, Protocol):
    """A provider with restore points, whose volumes can be written to."""

    @property
    def points(self) -> RestorePoints: ...

    async def write(self, volume_id: VolumeId, number: int) -> None:
        """Have a volume hold this, as what OpenClaw wrote on it."""
        ...

    async def written(self, volume_id: VolumeId) -> int:
        """What it holds; 0 where nothing was written."""
        ...


async def a_volume(harness: PointsHarness, number: int) -> tuple[InstanceId, VolumeId, str]:
    """One that an instance has its data on, on no machine; and a machine that could have it."""
    spec, instance_id = launch_spec(harness), harness.ids.instance_id()
    ref, volume_id = await launched(harness, spec), volume_of(instance_id)
    await harness.volumes.create(volume_id, ref)
    await harness.volumes.mark(volume_id, instance_id)
    await harness.volumes.detach(volume_id, spec.machine_id)
    await harness.write(volume_id, number)
    return instance_id, volume_id, ref


async def ready(harness: PointsHarness, volume_id: VolumeId, point_id: RestorePointId | None = None) -> RestorePointId:
    made_id = point_id or harness.ids.restore_point_id()

    async def is_ready() -> bool:
        return (await harness.points.make(made_id, volume_id)).stage is Stage.READY

    await eventually(harness, is_ready)
    return made_id


async def listed(harness: PointsHarness, point_id: RestorePointId) -> MadePoint | None:
    return next((each for each in await harness.points.list() if each.point_id == point_id), None)


class RestorePointsContract:
    async def test_a_point_is_made_once_names_whose_it_is_and_tells_its_size(self, harness: PointsHarness) -> None:
        instance_id, volume_id, _ = await a_volume(harness, 7)
        point_id = await ready(harness, volume_id)
        await ready(harness, volume_id, point_id)
        found = await listed(harness, point_id)
        assert found is not None
        assert (found.instance_id, found.stage) == (instance_id, Stage.READY)
        assert found.made_at is not None
        assert (found.size_bytes or 0) > 0
        assert [each.point_id for each in await harness.points.list()].count(point_id) == 1

    async def test_what_was_held_then_comes_back_and_what_is_there_now_is_set_aside(self, harness: PointsHarness) -> None:
        instance_id, volume_id, ref = await a_volume(harness, 7)
        point_id = await ready(harness, volume_id)
        await harness.write(volume_id, 8)
        for _ in range(2):
            await harness.points.restore(point_id, volume_id, instance_id, "rp-mark", ref)
            assert await harness.written(volume_id) == 7
        aside = await volume(harness, aside_of(instance_id, "rp-mark"))
        assert aside is not None
        assert (aside.instance_id, aside.attached_to) == (instance_id, None)
        assert await harness.written(aside.volume_id) == 8
        await harness.write(volume_id, 9)
        await harness.points.restore(point_id, volume_id, instance_id, "rp-mark", ref)
        assert await harness.written(volume_id) == 9, "the same restoring is done once"
        await harness.points.restore(point_id, volume_id, instance_id, "rp-next", ref)
        assert await harness.written(volume_id) == 7
        for mark in ("rp-mark", "rp-next"):
            await harness.volumes.purge(aside_of(instance_id, mark), instance_id)

    async def test_another_instance_begins_with_what_a_point_holds(self, harness: PointsHarness) -> None:
        _, volume_id, ref = await a_volume(harness, 7)
        point_id, other = await ready(harness, volume_id), harness.ids.instance_id()
        await harness.points.restore(point_id, volume_of(other), other, other, ref)
        found = await volume(harness, volume_of(other))
        assert found is not None
        assert found.instance_id == other
        assert await harness.written(volume_of(other)) == 7
        assert await harness.written(volume_id) == 7

    async def test_a_point_outlives_its_volume(self, harness: PointsHarness) -> None:
        instance_id, volume_id, ref = await a_volume(harness, 7)
        point_id = await ready(harness, volume_id)
        await harness.volumes.purge(volume_id, instance_id)
        assert (await harness.points.make(point_id, volume_id)).stage is Stage.READY
        await harness.points.restore(point_id, volume_id, instance_id, "rp-mark", ref)
        assert await harness.written(volume_id) == 7

    async def test_a_volume_in_use_is_not_replaced(self, harness: PointsHarness) -> None:
        instance_id, volume_id, ref = await a_volume(harness, 7)
        point_id = await ready(harness, volume_id)
        await harness.write(volume_id, 8)
        machine = next(each for each in await harness.machines.observe() if each.provider_ref == ref)
        assert machine.machine_id is not None
        await harness.volumes.attach(volume_id, machine.machine_id)
        with pytest.raises(Conflict):
            await harness.points.restore(point_id, volume_id, instance_id, "rp-mark", ref)
        assert await harness.written(volume_id) == 8
        await harness.volumes.detach(volume_id, machine.machine_id)

    async def test_nothing_is_made_of_what_is_not_there(self, harness: PointsHarness) -> None:
        instance_id, volume_id, ref = await a_volume(harness, 7)
        with pytest.raises(NotFound):
            await harness.points.make(harness.ids.restore_point_id(), volume_of(harness.ids.instance_id()))
        with pytest.raises(NotFound):
            await harness.points.restore(harness.ids.restore_point_id(), volume_id, instance_id, "rp-mark", ref)
        assert await harness.written(volume_id) == 7

    async def test_a_removed_point_is_gone_and_may_be_removed_again(self, harness: PointsHarness) -> None:
        _, volume_id, _ = await a_volume(harness, 7)
        point_id = await ready(harness, volume_id)
        for _ in range(2):
            await harness.points.remove(point_id)
        assert await listed(harness, point_id) is None

    async def test_an_archive_carries_an_instance_from_one_to_another(self, harness: PointsHarness) -> None:
        _, volume_id, ref = await a_volume(harness, 7)
        point_id, brought = await ready(harness, volume_id), harness.ids.restore_point_id()
        if not harness.points.brings_archives:
            with pytest.raises(StateConflict):
                await harness.points.bring(brought, _nothing())
        if not harness.points.carries_archives:
            with pytest.raises(StateConflict):
                await harness.points.export(point_id)
            return
        for archive in (await harness.points.export(point_id), await harness.points.export_volume(volume_id)):
            made = await harness.points.bring(brought, archive)
            assert (made.stage, made.instance_id) == (Stage.READY, None)
            other = harness.ids.instance_id()
            await harness.points.restore(brought, volume_of(other), other, other, ref)
            assert await harness.written(volume_of(other)) == 7
            await harness.points.remove(brought)
        with pytest.raises(PortError):
            await harness.points.export(harness.ids.restore_point_id())


async def _nothing() -> AsyncIterator[bytes]:
    yield b""
