"""The production controllers on a real store and the fake provider: whatever happens, they converge, and nothing leaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from openclaw_hosted.adapters.fake.access import FakeGate, FakeRouter, FakeSealer, FakeVault
from openclaw_hosted.adapters.fake.cloud import FakeCloud
from openclaw_hosted.adapters.fake.compute import FakeGateways, FakeMachines, FakeVolumes
from openclaw_hosted.adapters.system import SystemClock, SystemIds
from openclaw_hosted.controllers import ControllerOptions, ControlLoops, Ports
from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.errors import NoCapacity, Unavailable
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, UserId, volume_of
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.ports.stores import Caps, NewInstance
from openclaw_hosted.store import Store, open_store

OWNER = UserId("u-owner")
CAPS = Caps(100, 100)
ASKED = Event(EventName.INSTANCE_CHANGED, 1.0)
PLACEMENT_CALLS = (
    "vault.get", "vault.grant", "gateways.status", "gateways.apply", "machines.label", "router.prepare", "router.bind", "router.probe",
)  # fmt: skip
DELETION_CALLS = ("router.release", "gateways.stop", "volumes.detach", "machines.terminate", "machines.observe", "vault.retire")


class World:
    """A store, a fake cloud, and control loops that can be killed and started again."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.cloud = FakeCloud()
        self.options = ControllerOptions(
            policy=PoolPolicy(spares=1, fleet_cap=10, image="v1", backoff_seconds=0.05, backoff_cap_seconds=0.1),
            scan_seconds=0.05, poll_seconds=0.01, lease_seconds=1.0, retry_base_seconds=0.05, retry_cap_seconds=0.2,
            gateway_ready_seconds=1.0, liveness_seconds=0.1, dead_after_looks=2, orphans_seconds=0.2, orphan_grace_seconds=0.5,
        )  # fmt: skip

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(ControlLoops(self._ports(), self.options).run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _ports(self) -> Ports:
        cloud, store = self.cloud, self.store
        return Ports(
            FakeMachines(cloud), FakeGateways(cloud), FakeVault(cloud), FakeSealer(), FakeRouter(cloud), FakeGate(cloud),
            FakeVolumes(cloud), SystemClock(), SystemIds(), store.machines, store.instances, store.accounts, store.platform, store.hints,
        )  # fmt: skip

    async def create(self, number: int = 0) -> Instance:
        new = NewInstance(OWNER, f"n{number}", DEFAULT_SETTINGS, frozenset(), SystemIds().instance_id())
        instance, _ = await self.store.instances.create(new, lambda _: None, CAPS, None, SystemClock().now())
        await self.store.hints.hint("placement")
        return instance

    async def delete(self, instance_id: InstanceId) -> None:
        await self.store.instances.ask_delete(instance_id, SystemClock().now(), ASKED)
        await self.store.hints.hint("placement")

    async def until_phase(self, instance_id: InstanceId, phase: Phase) -> Instance:
        async def reached() -> bool:
            return (await self.store.instances.get(instance_id)).phase is phase

        await eventually(reached, lambda: f"{instance_id} never was {phase}")
        return await self.store.instances.get(instance_id)

    async def until_full(self) -> None:
        async def full() -> bool:
            live = await self.store.machines.list_live()
            unsettled = any(machine.state in (MachineState.INITIALIZING, MachineState.TERMINATING) for machine in live)
            return not unsettled and sum(machine.state is MachineState.AVAILABLE for machine in live) == 1

        await eventually(full, lambda: "the pool never was full")

    async def nothing_leaked(self) -> None:
        """Everything that exists belongs to a live machine or to an instance that keeps it, and each machine to one."""
        live = await self.store.machines.list_live()
        instances = await self.store.instances.list_all()
        reserved = {machine.reserved_instance_id for machine in live if machine.state is MachineState.AVAILABLE}
        kept = {instance.id for instance in instances}
        running = {instance.id for instance in instances if instance.phase is Phase.RUNNING}
        found = self.cloud.inventory()
        assert found["machines"] == {machine.id for machine in live}
        assert found["routes"] == running | reserved
        assert found["secrets"] == kept | reserved
        assert found["volumes"] == {volume_of(each) for each in kept | reserved}
        bound = [machine.instance_id for machine in live if machine.state is MachineState.ASSIGNED]
        assert len(bound) == len(set(bound))


async def eventually(condition: Callable[[], object], message: Callable[[], str], seconds: float = 20.0) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not await condition():  # type: ignore[misc]
        assert asyncio.get_running_loop().time() < deadline, message()
        await asyncio.sleep(0.02)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await open_store(f"sqlite:///{tmp_path}/platform.sqlite")
    await store.accounts.add_user(User(OWNER, "owner@example.com", Role.ADMIN, 1.0), None, None)
    yield World(store)
    await store.aclose()


async def test_an_instance_takes_the_id_of_the_spare_that_was_ready(world: World) -> None:
    async with world.running():
        await world.until_full()
        (spare,) = await world.store.machines.list_live()
        instance = await world.create()
        assert (instance.id, instance.machine_id) == (spare.reserved_instance_id, spare.id)
        await world.until_phase(instance.id, Phase.RUNNING)
        await world.until_full()
        await world.nothing_leaked()


async def test_an_instance_without_a_spare_waits_and_then_runs_under_its_own_id(world: World) -> None:
    instance = await world.create()
    assert instance.phase is Phase.PENDING
    async with world.running():
        assert (await world.until_phase(instance.id, Phase.RUNNING)).id == instance.id
        await world.until_full()
        await world.delete(instance.id)
        await world.until_phase(instance.id, Phase.DELETED)
        await world.until_full()


async def test_a_deleted_instance_keeps_its_volume_and_comes_back_with_it(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await world.create()
        await world.until_phase(instance.id, Phase.RUNNING)
        await world.delete(instance.id)
        await world.until_phase(instance.id, Phase.DELETED)
        await world.until_full()
        await world.nothing_leaked()
        await world.store.instances.ask_restore(instance.id, CAPS, SystemClock().now(), ASKED)
        back = await world.until_phase(instance.id, Phase.RUNNING)
        assert (back.generation, back.volume_id) == (2, instance.volume_id)


async def test_a_machine_that_dies_is_replaced_on_the_same_volume(world: World) -> None:
    async with world.running():
        await world.until_full()
        instance = await world.until_phase((await world.create()).id, Phase.RUNNING)
        assert instance.machine_id is not None
        world.cloud.kill(instance.machine_id)

        async def replaced() -> bool:
            now = await world.store.instances.get(instance.id)
            return now.phase is Phase.RUNNING and now.generation == 2

        await eventually(replaced, lambda: "it was not replaced")
        assert world.cloud.volumes[volume_of(instance.id)].instance_id == instance.id


async def test_a_deletion_during_placement_wins(world: World) -> None:
    async with world.running():
        await world.until_full()
        world.cloud.fail_next("router.bind", Unavailable())
        instance = await world.create()
        await world.delete(instance.id)
        await world.until_phase(instance.id, Phase.DELETED)
        await world.until_full()
        await world.nothing_leaked()


async def test_a_pool_that_keeps_failing_stops_and_can_be_resumed(world: World) -> None:
    for _ in range(40):
        world.cloud.fail_next("machines.launch", NoCapacity())

    async def stopped() -> bool:
        return (await world.store.platform.pool_memory()).status == "stopped"

    async with world.running():
        await eventually(stopped, lambda: "it never stopped")
        world.cloud._failures.clear()
        await world.store.platform.set_pool(paused=False)
        await world.until_full()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", PLACEMENT_CALLS)
async def test_a_control_plane_killed_in_a_placement_converges_when_it_starts_again(world: World, call: str, moment: str) -> None:
    async with world.running():
        await world.until_full()
    instance = await world.create()
    await killed_at(world, call, moment)
    async with world.running():
        await world.until_phase(instance.id, Phase.RUNNING)
        await world.until_full()
        await world.nothing_leaked()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", DELETION_CALLS)
async def test_a_control_plane_killed_in_a_deletion_converges_when_it_starts_again(world: World, call: str, moment: str) -> None:
    async with world.running():
        await world.until_full()
        instance = await world.create()
        await world.until_phase(instance.id, Phase.RUNNING)
        await world.until_full()
    await world.delete(instance.id)
    await killed_at(world, call, moment)
    async with world.running():
        await world.until_phase(instance.id, Phase.DELETED)
        await world.until_full()
        await world.nothing_leaked()


@pytest.mark.parametrize("call", ["vault.grant", "gateways.apply", "machines.label", "router.prepare", "router.bind"])
async def test_a_step_whose_answer_was_lost_is_simply_taken_again(world: World, call: str) -> None:
    async with world.running():
        await world.until_full()
    instance = await world.create()
    world.cloud.lose_answer(call)
    async with world.running():
        await world.until_phase(instance.id, Phase.RUNNING)
        await world.until_full()
        await world.nothing_leaked()


async def killed_at(world: World, call: str, moment: str) -> None:
    """Run the loops until they come to this call, and end them right there, as a kill does."""
    reached = asyncio.Event()

    async def hang(name: str, when: str) -> None:
        if name == call and when in (moment, "before" if not _has_effect(call) else moment):
            reached.set()
            await asyncio.Event().wait()

    world.cloud.hook = hang
    async with world.running():
        await asyncio.wait_for(reached.wait(), 10)
    world.cloud.hook = None


def _has_effect(call: str) -> bool:
    return call not in ("vault.get", "gateways.status", "router.probe", "machines.observe")
