"""The contract of `Machines`."""

from __future__ import annotations

import pytest

from openclaw_hosted.domain.errors import NotFound
from openclaw_hosted.ports.machines import MachineHealth
from tests.contract.provider.harness import ProviderHarness, eventually, health_of, launch_spec, launched, terminated


class MachinesContract:
    async def test_a_launched_machine_is_listed_with_its_id_and_address(self, harness: ProviderHarness) -> None:
        spec = launch_spec(harness)
        ref = await launched(harness, spec)
        (machine,) = await harness.machines.observe()
        assert (machine.provider_ref, machine.machine_id, machine.health) == (ref, spec.machine_id, MachineHealth.UP)
        assert machine.address
        assert machine.launched_at > 0

    async def test_a_listing_tells_what_a_machine_was_launched_for_and_its_labels(self, harness: ProviderHarness) -> None:
        spec = launch_spec(harness)
        ref = await launched(harness, spec)
        labels = {"Status": "assigned", "UserId": "us-ada", "InstanceId": spec.reserved_instance_id}
        await harness.machines.label(ref, labels)

        async def is_labelled() -> bool:
            (machine,) = await harness.machines.observe()
            assert (machine.reserved_instance_id, machine.image) == (spec.reserved_instance_id, spec.image)
            return machine.serves_user and dict(machine.labels) == labels

        await eventually(harness, is_labelled)

    async def test_one_machine_is_found_by_either_name(self, harness: ProviderHarness) -> None:
        spec = launch_spec(harness)
        ref = await launched(harness, spec)
        unknown = launch_spec(harness).machine_id
        for labels in ({}, {"Status": "available"}):
            await harness.machines.label(ref, labels) if labels else None
            for found in (await harness.machines.look_for(spec.machine_id, None), await harness.machines.look_for(unknown, ref)):
                assert found is not None
                assert (found.machine_id, found.health, bool(found.address)) == (spec.machine_id, MachineHealth.UP, True)
        assert await harness.machines.look_for(unknown, None) is None
        await terminated(harness, ref)
        assert await harness.machines.look_for(spec.machine_id, ref) is None

    async def test_launching_twice_with_one_id_is_launching_once(self, harness: ProviderHarness) -> None:
        spec = launch_spec(harness)
        ref = await launched(harness, spec)
        assert await harness.machines.launch(spec) == ref
        assert len(await harness.machines.observe()) == 1

    async def test_two_machines_have_addresses_of_their_own(self, harness: ProviderHarness) -> None:
        for _ in range(2):
            await launched(harness, launch_spec(harness))
        assert len({machine.address for machine in await harness.machines.observe()}) == 2

    async def test_a_terminated_machine_leaves_the_listing(self, harness: ProviderHarness) -> None:
        ref = await launched(harness, launch_spec(harness))
        await terminated(harness, ref)
        assert not await harness.machines.observe()

    async def test_terminating_again_does_nothing(self, harness: ProviderHarness) -> None:
        ref = await launched(harness, launch_spec(harness))
        await terminated(harness, ref)
        await harness.machines.terminate(ref)
        await harness.machines.terminate("mc-unknown2")

    async def test_labels_are_for_machines_that_exist(self, harness: ProviderHarness) -> None:
        ref = await launched(harness, launch_spec(harness))
        await harness.machines.label(ref, {"Status": "assigned"})
        with pytest.raises(NotFound):
            await harness.machines.label("mc-unknown2", {"Status": "assigned"})

    async def test_a_stopped_machine_can_be_started_again(self, harness: ProviderHarness) -> None:
        ref = await launched(harness, launch_spec(harness))
        await harness.break_machine(ref)

        async def is_stopped() -> bool:
            return await health_of(harness, ref) is MachineHealth.STOPPED

        async def is_up() -> bool:
            return await health_of(harness, ref) is MachineHealth.UP

        await eventually(harness, is_stopped)
        await harness.machines.start(ref)
        await eventually(harness, is_up)

    async def test_starting_a_machine_that_is_up_does_nothing(self, harness: ProviderHarness) -> None:
        ref = await launched(harness, launch_spec(harness))
        await harness.machines.start(ref)
        assert await health_of(harness, ref) is MachineHealth.UP

    async def test_starting_what_does_not_exist_is_refused(self, harness: ProviderHarness) -> None:
        with pytest.raises(NotFound):
            await harness.machines.start("mc-unknown2")

    async def test_a_machine_that_stopped_can_be_terminated(self, harness: ProviderHarness) -> None:
        ref = await launched(harness, launch_spec(harness))
        await harness.break_machine(ref)
        await terminated(harness, ref)

    async def test_room_is_a_number_or_unknown(self, harness: ProviderHarness) -> None:
        room = await harness.machines.room()
        assert room is None or room >= 0
