"""The contract of `Volumes`."""

from __future__ import annotations

import pytest

from openclaw_hosted.domain.errors import Conflict, NotFound
from tests.contract.provider.harness import ProviderHarness, eventually, launch_spec, launched, terminated, volume


class VolumesContract:
    async def test_a_new_volume_holds_nobodys_data_and_is_free_or_where_it_came_with(self, harness: ProviderHarness) -> None:
        spec = launch_spec(harness)
        ref = await launched(harness, spec)
        await harness.volumes.create(spec.volume_id, ref)
        found = await volume(harness, spec.volume_id)
        assert found is not None
        assert found.instance_id is None
        assert found.attached_to in (None, spec.machine_id)

    async def test_a_look_at_one_says_what_the_listing_comes_to_say(self, harness: ProviderHarness) -> None:
        spec = launch_spec(harness)
        ref = await launched(harness, spec)
        assert await harness.volumes.look_at(spec.volume_id) is None
        await harness.volumes.create(spec.volume_id, ref)
        await harness.volumes.mark(spec.volume_id, harness.ids.instance_id())
        await harness.volumes.attach(spec.volume_id, spec.machine_id)
        found = await harness.volumes.look_at(spec.volume_id)
        assert found is not None
        assert found.attached_to == spec.machine_id

        async def is_listed() -> bool:
            return await volume(harness, spec.volume_id) == found

        await eventually(harness, is_listed)

    async def test_creating_again_keeps_what_is_there(self, harness: ProviderHarness) -> None:
        spec = launch_spec(harness)
        ref, volume_id, instance_id = await launched(harness, spec), spec.volume_id, harness.ids.instance_id()
        await harness.volumes.create(volume_id, ref)
        await harness.volumes.mark(volume_id, instance_id)
        await harness.volumes.create(volume_id, ref)
        found = await volume(harness, volume_id)
        assert found is not None
        assert found.instance_id == instance_id

    async def test_a_missing_volume_is_never_made_by_attaching(self, harness: ProviderHarness) -> None:
        spec = launch_spec(harness)
        await launched(harness, spec)
        with pytest.raises(NotFound):
            await harness.volumes.attach(spec.volume_id, spec.machine_id)
        assert await volume(harness, spec.volume_id) is None

    async def test_a_volume_is_attached_to_one_machine_at_most(self, harness: ProviderHarness) -> None:
        one, other = launch_spec(harness), launch_spec(harness)
        ref, _ = [await launched(harness, spec) for spec in (one, other)]
        await harness.volumes.create(one.volume_id, ref)
        await harness.volumes.attach(one.volume_id, one.machine_id)
        await harness.volumes.attach(one.volume_id, one.machine_id)
        with pytest.raises(Conflict):
            await harness.volumes.attach(one.volume_id, other.machine_id)
        await harness.volumes.detach(one.volume_id, other.machine_id)
        found = await volume(harness, one.volume_id)
        assert found is not None
        assert found.attached_to == one.machine_id
        await harness.volumes.detach(one.volume_id, one.machine_id)
        await harness.volumes.attach(one.volume_id, other.machine_id)

    async def test_a_machine_that_is_gone_has_nothing_attached(self, harness: ProviderHarness) -> None:
        one, other = launch_spec(harness), launch_spec(harness)
        ref = await launched(harness, one)
        await launched(harness, other)
        await harness.volumes.create(one.volume_id, ref)
        await harness.volumes.attach(one.volume_id, one.machine_id)
        await terminated(harness, ref)
        await harness.volumes.attach(one.volume_id, other.machine_id)

    async def test_a_mark_is_never_overwritten(self, harness: ProviderHarness) -> None:
        spec = launch_spec(harness)
        ref, volume_id, instance_id = await launched(harness, spec), spec.volume_id, harness.ids.instance_id()
        await harness.volumes.create(volume_id, ref)
        await harness.volumes.mark(volume_id, instance_id)
        await harness.volumes.mark(volume_id, instance_id)
        with pytest.raises(Conflict):
            await harness.volumes.mark(volume_id, harness.ids.instance_id())

    async def test_a_volume_in_use_or_of_another_is_not_purged(self, harness: ProviderHarness) -> None:
        spec = launch_spec(harness)
        ref = await launched(harness, spec)
        await harness.volumes.create(spec.volume_id, ref)
        await harness.volumes.mark(spec.volume_id, spec.reserved_instance_id)
        await harness.volumes.attach(spec.volume_id, spec.machine_id)
        with pytest.raises(Conflict):
            await harness.volumes.purge(spec.volume_id, spec.reserved_instance_id)
        await harness.volumes.detach(spec.volume_id, spec.machine_id)
        with pytest.raises(Conflict):
            await harness.volumes.purge(spec.volume_id, harness.ids.instance_id())
        assert await volume(harness, spec.volume_id) is not None

    async def test_purging_destroys_and_may_be_repeated(self, harness: ProviderHarness) -> None:
        spec = launch_spec(harness)
        ref, volume_id, instance_id = await launched(harness, spec), spec.volume_id, harness.ids.instance_id()
        await harness.volumes.create(volume_id, ref)
        await harness.volumes.mark(volume_id, instance_id)
        await harness.volumes.detach(volume_id, spec.machine_id)
        for _ in range(2):
            await harness.volumes.purge(volume_id, instance_id)
        assert not await harness.volumes.list()
