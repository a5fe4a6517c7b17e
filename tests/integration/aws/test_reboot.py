"""Machines that reboot: they serve again by themselves, or liveness sees to that, and none is replaced."""

from __future__ import annotations

import asyncio

import pytest

from lab.cloud.calls import Call
from openclaw_hosted.controllers.gateways import seat_of
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.machine import Machine, MachineState
from tests.integration.aws.test_platform import conversation, say
from tests.integration.aws.world import AwsWorld, ControlPlane
from tests.support.waiting import until


async def machine_of(plane: ControlPlane, instance: Instance) -> Machine:
    assert instance.machine_id is not None
    return await plane.store.machines.get(instance.machine_id)


async def reboot(world: AwsWorld, ref: str, how: str) -> None:
    """`asked`: by RebootInstances; `by itself`: nobody asked; `older`: the same, on a machine that an older platform set up."""
    machine = world.lab.machines._machine(ref)
    if how == "asked":
        await asyncio.to_thread(lambda: world.lab.site.client("ec2").reboot_instances(InstanceIds=[ref]))
    else:
        if how == "older":
            machine.host.enabled.clear()
        await asyncio.to_thread(world.lab.machines.reboot, ref)
    await until(lambda: machine.boots == 1)


async def is_ready(plane: ControlPlane, machine: Machine) -> bool:
    assert machine.provider_ref is not None
    return (await plane.provided.gateways.status(seat_of(machine))).ready


@pytest.mark.parametrize("how", ["asked", "by itself", "older"])
async def test_a_machine_that_reboots_serves_the_same_conversation_again_and_is_not_replaced(world: AwsWorld, how: str) -> None:
    async with world.control_plane() as plane:
        await plane.until_full()
        instance = await plane.until_phase((await plane.create()).id, Phase.RUNNING)
        machine = await machine_of(plane, instance)
        await say(plane, instance.id, "zebra")
        await plane.until_full()
        await reboot(world, str(machine.provider_ref), how)
        await until(lambda: is_ready(plane, machine), 90)
        await plane.until_phase(instance.id, Phase.RUNNING)
        await say(plane, instance.id, "giraffe")
        said = await conversation(world, str(machine.provider_ref))
        assert "zebra" in said
        assert "giraffe" in said
        again = await plane.store.instances.get(instance.id)
        assert (again.machine_id, again.generation) == (instance.machine_id, 1)
        assert world.lab.machines._machine(str(machine.provider_ref)).host.metadata_closed
        await plane.until_full()
        await plane.until_clean()


@pytest.mark.parametrize("how", ["by itself", "older"])
async def test_a_spare_that_reboots_stays_one_and_is_taken_by_the_next_user(world: AwsWorld, how: str) -> None:
    async with world.control_plane() as plane:
        await plane.until_full()
        (spare,) = await plane.store.machines.list_live()
        await reboot(world, str(spare.provider_ref), how)
        await until(lambda: is_ready(plane, spare), 90)
        (kept,) = await plane.store.machines.list_live()
        assert (kept.id, kept.state) == (spare.id, MachineState.AVAILABLE)
        instance = await plane.until_phase((await plane.create()).id, Phase.RUNNING)
        assert instance.machine_id == spare.id


async def test_a_reboot_in_the_middle_of_a_placement_costs_an_attempt_and_no_machine(world: AwsWorld) -> None:
    async with world.control_plane() as plane:
        await plane.until_full()
        instance = await plane.until_phase((await plane.create()).id, Phase.RUNNING)
        await say(plane, instance.id, "zebra")
        await plane.until_full()
        spare = next(m for m in await plane.store.machines.list_live() if m.state is MachineState.AVAILABLE)
        lost, rebooted = await machine_of(plane, instance), str(spare.provider_ref)

        def reboot_once(call: Call, when: str) -> None:
            fetching = call.action == "secretsmanager:GetSecretValue" and call.caller.instance_id == rebooted
            if fetching and when == "before" and not world.lab.machines._machine(rebooted).boots:
                world.lab.machines.reboot(rebooted)

        world.lab.cloud.faults.hook = reboot_once
        ec2 = world.lab.site.client("ec2")
        await asyncio.to_thread(lambda: ec2.terminate_instances(InstanceIds=[lost.provider_ref]))

        async def replaced() -> bool:
            now = await plane.store.instances.get(instance.id)
            return now.generation == 2 and now.phase is Phase.RUNNING

        await until(replaced, every=0.2)
        again = await plane.store.instances.get(instance.id)
        assert (again.machine_id, world.lab.machines._machine(rebooted).boots) == (spare.id, 1)
        assert "zebra" in await conversation(world, rebooted)
        await plane.until_full()
        await plane.until_clean()
