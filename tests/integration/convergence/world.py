"""A store, a fake cloud, and control loops that can be killed and started again, all in the time of the loop, which moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from openclaw_hosted.adapters.fake.access import FakeGate, FakeRouter, FakeSealer, FakeVault
from openclaw_hosted.adapters.fake.cloud import FakeCloud
from openclaw_hosted.adapters.fake.compute import FakeGateways, FakeMachines, FakeVolumes
from openclaw_hosted.adapters.fake.notices import FakeNotices
from openclaw_hosted.adapters.fake.restore_points import FakeRestorePoints
from openclaw_hosted.adapters.meter import KeptMeter
from openclaw_hosted.adapters.system import SystemIds
from openclaw_hosted.controllers import ControllerOptions, ControlLoops, Ports
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.machine import MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, UserId, volume_of
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.domain.restore_point import RestorePointPolicy
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.stores import Caps, NewInstance
from openclaw_hosted.store import Store
from tests.support.actors import acting_as
from tests.support.life import ask_delete

OWNER = UserId("u-owner")
CAPS = Caps(100, 100)
LISTENING = "notices.receive"
"""The call that is made all the time."""


class World:
    """A store, a fake cloud, and control loops that can be killed and started again."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.cloud = FakeCloud(clock)
        self.sealer = FakeSealer()
        self.options = ControllerOptions(
            policy=PoolPolicy(spares=1, fleet_cap=10, image="v1", backoff_seconds=0.05, backoff_cap_seconds=0.1),
            scan_seconds=0.05, poll_seconds=0.01, lease_seconds=0.4, retry_base_seconds=0.05, retry_cap_seconds=0.2,
            gateway_ready_seconds=1.0, liveness_seconds=0.1, dead_after_looks=2, orphans_seconds=0.2, orphan_grace_seconds=0.5,
            away_seconds=0.1, restore_points_seconds=0.2, restore_points=RestorePointPolicy(every_seconds=0.0),
        )  # fmt: skip

    @asynccontextmanager
    async def running(self, *, alone: bool = False) -> AsyncIterator[asyncio.Task[None]]:
        """Control loops for the length of the block, then killed; `alone`: liveness, orphans and restore points are looked at once."""
        rarely = {"liveness_seconds": 1000.0, "orphans_seconds": 1000.0, "restore_points_seconds": 1000.0}
        options = replace(self.options, **rarely) if alone else self.options  # type: ignore[arg-type]
        task = asyncio.create_task(ControlLoops(self.ports(), options).run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def ports(self) -> Ports:
        cloud, store = self.cloud, self.store
        return Ports(
            FakeMachines(cloud), FakeGateways(cloud), FakeVault(cloud), self.sealer, FakeRouter(cloud), FakeGate(cloud),
            FakeVolumes(cloud), KeptMeter(), self.clock, SystemIds(),
            store.machines, store.instances, store.accounts, store.platform, FakeRestorePoints(cloud), store.restore_points, store.hints,
            notices=FakeNotices(cloud),
        )  # fmt: skip

    async def create(self, number: int = 0) -> Instance:
        new = NewInstance(OWNER, f"n{number}", DEFAULT_SETTINGS, frozenset(), SystemIds().instance_id(), actor=acting_as(OWNER))
        instance, _ = await self.store.instances.create(new, lambda _: None, CAPS, None, self.clock.now())
        return instance

    async def delete(self, instance_id: InstanceId) -> None:
        await ask_delete(self.store, instance_id, self.clock.now())

    async def until_phase(self, instance_id: InstanceId, phase: Phase) -> Instance:
        """Wait until it is there, and all is written that nobody waits for."""

        async def reached() -> bool:
            instance = await self.store.instances.get(instance_id)
            return instance.phase is phase and (instance.is_filed or phase is not Phase.RUNNING)

        await eventually(reached, lambda: f"{instance_id} never was {phase}")
        return await self.store.instances.get(instance_id)

    async def until_full(self) -> None:
        async def full() -> bool:
            live = await self.store.machines.list_live()
            unsettled = any(machine.state in (MachineState.INITIALIZING, MachineState.TERMINATING) for machine in live)
            return not unsettled and sum(machine.state is MachineState.AVAILABLE for machine in live) == 1

        await eventually(full, lambda: "the pool never was full")

    async def until_quiet(self) -> None:
        """Wait until the loops have had their first look, and have not called the provider for a while but to hear of notices."""
        calls = 0

        async def count(call: str, _: str) -> None:
            nonlocal calls
            calls += call != LISTENING

        self.cloud.hook, seen = count, -1
        while calls == 0 or seen != calls:
            seen = calls
            await self.clock.sleep(0.1)
        self.cloud.hook = None

    async def is_clean(self) -> bool:
        try:
            await self.nothing_leaked()
        except AssertionError:
            return False
        return True

    async def nothing_leaked(self) -> None:
        """Everything that exists belongs to a live machine or to an instance that keeps it, and each machine to one.

        A machine that serves another id than the one it was made for keeps the secret and the volume that were made for that until it ends.
        """
        live = await self.store.machines.list_live()
        instances = await self.store.instances.list_all()
        warm = [m for m in live if m.warmth is Warmth.HOT and m.state in (MachineState.AVAILABLE, MachineState.ASSIGNED)]
        reserved = {machine.reserved_instance_id for machine in warm}
        spare = {machine.reserved_instance_id for machine in warm if machine.state is MachineState.AVAILABLE}
        kept = {instance.id for instance in instances}
        running = {instance.id for instance in instances if instance.phase is Phase.RUNNING}
        found = self.cloud.inventory()
        assert found["machines"] == {machine.id for machine in live}
        assert found["routes"] == running | spare
        assert found["secrets"] == kept | reserved
        assert found["volumes"] == {volume_of(each) for each in kept | reserved}
        assert found["groups"] <= {machine.id for machine in live}
        bound = [machine.instance_id for machine in live if machine.state is MachineState.ASSIGNED]
        assert len(bound) == len(set(bound))


async def eventually(condition: Callable[[], object], message: Callable[[], str], seconds: float = 20.0) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not await condition():  # type: ignore[misc]
        assert asyncio.get_running_loop().time() < deadline, message()
        await asyncio.sleep(0.02)
