"""Half of a fleet is taken away within one second; afterwards its database is lost as well."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import volume_of
from openclaw_hosted.domain.notice import NoticeKind
from tests.integration.convergence.test_adoption import without_database
from tests.integration.convergence.test_moves import answering, until_moved
from tests.integration.convergence.world import World, eventually

pytestmark = pytest.mark.looptime
SPARES, COUNT, CAP = 2, 40, 64


async def is_full(world: World) -> bool:
    return Counter(each.state for each in await world.store.machines.list_live()) == {
        MachineState.ASSIGNED: COUNT,
        MachineState.AVAILABLE: SPARES,
    }


async def test_in_a_storm_half_of_all_machines_are_taken_away_at_once_and_after_it_a_lost_database_is_adopted(
    world: World, tmp_path: Path
) -> None:
    policy = replace(world.options.policy, spares=SPARES, fleet_cap=CAP, max_launches_at_once=10)
    world.options = replace(world.options, policy=policy, scan_seconds=0.5, poll_seconds=0.1, liveness_seconds=2.0, lease_seconds=10.0)
    world.cloud.pace.boot = lambda: 3.0
    world.cloud.pace.gateway = lambda: 2.0
    most = 0

    async def count_machines(_: str, __: str) -> None:
        nonlocal most
        most = max(most, len(world.cloud.machines))

    async with world.running():
        made = [await world.create(number) for number in range(COUNT)]
        placed = [await world.until_phase(instance.id, Phase.RUNNING) for instance in made]
        for number, instance in enumerate(placed):
            world.cloud.volumes[volume_of(instance.id)].written = number + 1
        world.cloud.hook = count_machines
        taken = [str(instance.machine_id) for instance in placed[: COUNT // 2]]
        for ref in taken:
            world.cloud.give_notice(NoticeKind.INTERRUPTION, ref, times=2)
        for instance in placed[: COUNT // 2]:
            await until_moved(world, instance)
        assert not set(taken) & {machine.machine_id for machine in world.cloud.machines.values() if machine.spec is not None}
        assert most <= CAP
        for number, instance in enumerate(placed):
            now = await world.store.instances.get(instance.id)
            assert (now.phase, now.generation) == (Phase.RUNNING, 2 if number < COUNT // 2 else 1)
            volume = world.cloud.volumes[volume_of(instance.id)]
            assert (volume.written, volume.attached_to) == (number + 1, now.machine_id)
            assert answering(world, instance) == [now.machine_id]
        await eventually(partial(is_full, world), lambda: "the pool never was full")
    settled = {each.id: each.machine_id for each in await world.store.instances.list_all()}
    async with without_database(world, tmp_path) as lost:
        plan = await lost.adopt()
        assert ({found.id for found in plan.instances}, plan.held_back) == (set(settled), {})
        async with world.running():
            await eventually(partial(is_full, world), lambda: "the pool never was full")
            await world.clock.sleep(20 * world.options.orphan_grace_seconds)
            await world.nothing_leaked()
        for number, instance in enumerate(placed):
            now = await world.store.instances.get(instance.id)
            assert (now.phase, now.machine_id) == (Phase.RUNNING, settled[instance.id])
            assert world.cloud.volumes[volume_of(instance.id)].written == number + 1
        assert most <= CAP
