"""Bad nights: whatever breaks, an alarm or the diagnosis names it, and what the runbook says mends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from openclaw_hosted.adapters.fake.access import FakeRouter
from openclaw_hosted.adapters.fake.cloud import FakeMachine
from openclaw_hosted.adapters.fake.compute import FakeGateways, FakeMachines, FakeVolumes
from openclaw_hosted.domain.actor import SETUP
from openclaw_hosted.domain.causes import LikelyCause
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.domain.pool import PoolStatus
from openclaw_hosted.ports.volumes import LargeVolume
from openclaw_hosted.services import DiagnosisService
from tests.integration.convergence.world import World
from tests.support.life import ask_restart

pytestmark = pytest.mark.looptime
WITHIN_SECONDS = 1800.0
LOOK_EVERY_SECONDS = 5.0
"""Of the loop's time: an alarm may look back ten minutes, and needs five good ones to end."""


class Names:
    """All host names are known."""

    async def resolves(self, host: str) -> bool:  # noqa: ARG002 - it takes what its port says
        return True


class Night:
    """A platform that judges its alarms each minute."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.volumes = FakeVolumes(world.cloud)
        world.options = replace(
            world.options, alarms_seconds=60.0, scan_seconds=5.0, poll_seconds=1.0, liveness_seconds=5.0, orphans_seconds=1e4,
            lease_seconds=60.0, restore_points_seconds=1e4, metering_seconds=1e4, disk_seconds=1e4, gateway_ready_seconds=30.0,
            keep_warm_seconds=1e4, housekeeping_seconds=1e4, retry_base_seconds=5.0, retry_cap_seconds=60.0, hung_after_looks=4,
        )  # fmt: skip
        ports = replace(world.ports(), alarms=world.store.alarms, volumes=self.volumes)
        world.ports = lambda: ports  # type: ignore[method-assign]
        fakes = FakeMachines(world.cloud), FakeGateways(world.cloud), FakeRouter(world.cloud), self.volumes, Names()
        store = world.store
        self.diagnosis = DiagnosisService(store.instances, store.machines, store.platform, *fakes, world.clock)

    async def until_alarm(self, name: str, *, on: bool = True) -> None:
        async def is_so() -> bool:
            return on is (name in {state.name for state in await self.world.store.alarms.list() if state.is_on})

        await self.until(is_so, f"{name} is {'on' if on else 'off'}")

    async def until(self, is_so: Callable[[], Awaitable[bool]], what: str) -> None:
        """Look every few seconds, which pass at once."""
        for _ in range(int(WITHIN_SECONDS / LOOK_EVERY_SECONDS)):
            if await is_so():
                return
            await self.world.clock.sleep(LOOK_EVERY_SECONDS)
        raise AssertionError(f"never: {what}")

    async def until_running(self, instance_id: InstanceId) -> Instance:
        async def is_so() -> bool:
            return (await self.world.store.instances.get(instance_id)).phase is Phase.RUNNING

        await self.until(is_so, f"{instance_id} runs")
        return await self.world.store.instances.get(instance_id)

    async def cause(self, instance_id: InstanceId) -> LikelyCause | None:
        return (await self.diagnosis.instance(SETUP, instance_id)).cause

    async def until_cause(self, instance_id: InstanceId, cause: LikelyCause | None) -> None:
        async def is_so() -> bool:
            return await self.cause(instance_id) is cause

        await self.until(is_so, f"the cause is {cause}")

    async def running(self) -> tuple[Instance, FakeMachine]:
        instance = await self.world.create()
        instance = await self.until_running(instance.id)
        assert instance.machine_id is not None
        machine = await self.world.store.machines.get(instance.machine_id)
        return instance, self.world.cloud.machine(machine.provider_ref or "")

    def says(self, machine: FakeMachine, text: str) -> None:
        """Its gateway writes this into its log, a little later."""
        at = datetime.fromtimestamp(self.world.clock.now() + 1, UTC)
        machine.log.append(f"{at:%Y-%m-%d %H:%M:%S} ERROR [agent] {text}")


@pytest.fixture
def night(world: World) -> Night:
    return Night(world)


async def test_spot_capacity_is_gone(night: Night) -> None:
    world = night.world
    world.cloud.capacity = {"fake-1": 0}
    async with world.running():
        waiting = await world.create()
        await night.until_alarm("pool-depleted")
        await night.until_cause(waiting.id, LikelyCause.NO_CAPACITY)
        world.cloud.capacity = {}
        await night.until_running(waiting.id)
        await night.until_alarm("pool-depleted", on=False)
        assert await night.cause(waiting.id) is None


async def test_a_bad_image(night: Night) -> None:
    world = night.world
    world.cloud.pace.boot = lambda: float("inf")
    world.options = replace(world.options, policy=replace(world.options.policy, ready_timeout_seconds=20.0))
    async with world.running():
        waiting = await world.create()
        await night.until_alarm("launch-failures")
        await night.until_cause(waiting.id, LikelyCause.LAUNCHES_FAIL)
        world.cloud.pace.boot = lambda: 0.0
        await world.store.platform.set_pool(paused=False)
        await night.until_running(waiting.id)
        await night.until_alarm("launch-failures", on=False)


async def test_a_full_disk(night: Night) -> None:
    world = night.world
    async with world.running():
        instance, machine = await night.running()
        night.volumes.large = [LargeVolume(world.ports().ids.volume_id(), instance.id, 90_000_000_000, 1_000_000)]
        await night.until_alarm("disk-full")
        assert await night.cause(instance.id) is LikelyCause.DISK_FULL
        night.volumes.large = []
        await night.until_alarm("disk-full", on=False)
        night.says(machine, "ENOSPC: no space left on device, write")
        await night.until_cause(instance.id, LikelyCause.DISK_FULL)


async def test_a_refused_key(night: Night) -> None:
    world = night.world
    async with world.running():
        instance, machine = await night.running()
        assert await night.cause(instance.id) is None
        night.says(machine, "401 Incorrect API key provided: ●●●")
        await night.until_cause(instance.id, LikelyCause.KEY_REFUSED)
        await world.clock.sleep(5)
        await ask_restart(world.store, await world.store.instances.get(instance.id), world.clock.now())
        await night.until_running(instance.id)
        await night.until_cause(instance.id, None)


async def test_a_hanging_gateway(night: Night) -> None:
    world = night.world
    async with world.running():
        instance, machine = await night.running()
        await world.clock.sleep(30)
        machine.hangs = True
        await night.until_cause(instance.id, LikelyCause.GATEWAY_HANGS)
        await night.until_alarm("gateway-hangs")
        await night.until_cause(instance.id, None)
        await night.until_alarm("gateway-hangs", on=False)


async def test_an_operator_paused_the_pool(night: Night) -> None:
    world = night.world
    await world.store.platform.set_pool(paused=True)
    async with world.running():
        waiting = await world.create()
        await night.until_cause(waiting.id, LikelyCause.POOL_PAUSED)
        assert (await world.store.platform.pool_memory()).status is PoolStatus.PAUSED
        await world.store.platform.set_pool(paused=False)
        await night.until_running(waiting.id)
