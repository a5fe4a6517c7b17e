"""One row's surprise is that row's alone: whatever a look at one machine raises, and however long it takes, the others are looked after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from openclaw_hosted.adapters.fake.cloud import FakeCloud
from openclaw_hosted.adapters.fake.compute import FakeGateways
from openclaw_hosted.adapters.system import SystemClock
from openclaw_hosted.controllers import ControllerOptions, Ports, liveness
from openclaw_hosted.controllers.edge import EdgeController
from openclaw_hosted.controllers.liveness import LivenessController
from openclaw_hosted.controllers.mishaps import Mishaps
from openclaw_hosted.controllers.orphans import OrphansController
from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.ports.gateways import GatewayStatus, Seat
from tests.integration.convergence.world import OWNER, World, eventually
from tests.support.waiting import until

SURPRISES = [RecursionError("tenant's text"), KeyError("x"), UnicodeEncodeError("utf-8", "\udc80", 0, 1, "no"), MemoryError()]


class Haunted(FakeGateways):
    """Gateways of which some surprise whoever looks at them."""

    def __init__(self, cloud: FakeCloud, spell: Callable[[], Awaitable[None]]) -> None:
        super().__init__(cloud)
        self.spell = spell
        self.cursed: set[str] = set()
        self.looked_at: list[str] = []

    async def status(self, seat: Seat) -> GatewayStatus:
        self.looked_at.append(seat.provider_ref)
        if seat.provider_ref in self.cursed:
            await self.spell()
        return await super().status(seat)


def haunted(world: World, monkeypatch: pytest.MonkeyPatch, spell: Callable[[], Awaitable[None]]) -> Haunted:
    gateways = Haunted(world.cloud, spell)
    monkeypatch.setattr("tests.integration.convergence.world.FakeGateways", lambda _: gateways)
    return gateways


async def surprised(world: World) -> Sequence[Event]:
    return [event for event in await world.store.platform.events(limit=500) if event.name is EventName.LOOP_ROW_FAILED]


async def two_running(world: World) -> tuple[InstanceId, MachineId, MachineId]:
    """The second's id, and both machines."""
    await world.until_full()
    first = await world.until_phase((await world.create(1)).id, Phase.RUNNING)
    await world.until_full()
    second = await world.until_phase((await world.create(2)).id, Phase.RUNNING)
    await world.until_full()
    assert first.machine_id
    assert second.machine_id
    return second.id, first.machine_id, second.machine_id


@pytest.mark.parametrize("surprise", SURPRISES, ids=lambda error: type(error).__name__)
async def test_a_machine_that_surprises_leaves_the_others_to_liveness(
    world: World, monkeypatch: pytest.MonkeyPatch, surprise: Exception
) -> None:
    async def raising() -> None:
        raise surprise

    gateways = haunted(world, monkeypatch, raising)
    async with world.running():
        second, cursed, other = await two_running(world)
        gateways.cursed.add(cursed)
        await until(lambda: _happened(world))
        world.cloud.kill(other)

        async def replaced() -> bool:
            now = await world.store.instances.get(second)
            return now.phase is Phase.RUNNING and now.generation == 2

        await eventually(replaced, lambda: "the other machine was not replaced")
        (told,) = await surprised(world)
        assert (told.machine_id, told.detail["error"]) == (cursed, f"Unexpected {type(surprise).__name__}.")
        assert (await world.store.machines.get(cursed)).state is MachineState.ASSIGNED


async def _happened(world: World) -> bool:
    return bool(await surprised(world))


async def test_a_machine_that_keeps_liveness_waiting_leaves_sessions_and_others_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never() -> None:
        await SystemClock().sleep(3600)

    gateways = haunted(world, monkeypatch, never)
    async with world.running():
        _, cursed, _ = await two_running(world)
        gateways.cursed.add(cursed)
        now = SystemClock().now()
        await world.store.accounts.add_session(Session("hash", OWNER, now, now + 600), None)
        await until(lambda: "hash" in world.cloud.sessions)


async def test_liveness_looks_at_a_few_at_once_and_first_at_those_that_the_last_tick_did_not_come_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "LOOKS_AT_ONCE", 1)
    goes_on, looked_at = asyncio.Event(), list[str]()

    async def held() -> None:
        await goes_on.wait()

    gateways = haunted(world, monkeypatch, held)
    async with world.running(alone=True):
        await two_running(world)
    gateways.looked_at = looked_at
    gateways.cursed.update(str(machine.provider_ref) for machine in await world.store.machines.list_live())
    controller = LivenessController(world.ports(), replace(world.options, lease_seconds=1000.0))
    tick = asyncio.create_task(controller.tick())
    await until(lambda: looked_at)
    tick.cancel()
    await asyncio.gather(tick, return_exceptions=True)
    assert len(looked_at) == 1, "the others wait for their turn"
    goes_on.set()
    await controller.tick()
    assert len(looked_at) > 2
    assert looked_at[0] not in looked_at[1:-1]
    assert looked_at[-1] == looked_at[0]


async def test_it_is_told_once_asked_ever_more_slowly_and_told_again_after_it_had_passed(world: World) -> None:
    clock = _Clock()
    ports = _ports(world, clock)
    mishaps = Mishaps("loop", ports, ControllerOptions(retry_base_seconds=1.0, retry_cap_seconds=8.0))
    rests = []
    for _ in range(6):
        assert not await mishaps.guard("row", _raise(RecursionError()))
        began = clock.at
        while mishaps.rests("row"):
            clock.at += 0.25
        rests.append(clock.at - began)
    assert rests[0] <= 1.5
    assert rests[:4] == sorted(rests[:4])
    assert rests[-1] <= 10.25
    assert len(await surprised(world)) == 1
    assert await mishaps.guard("row", _raise(None))
    assert not mishaps.rests("row")
    assert not await mishaps.guard("row", _raise(RecursionError()))
    assert not await mishaps.guard("row", _raise(KeyError()))
    assert len(await surprised(world)) == 3
    assert not await mishaps.guard("away", _raise(Unavailable()))
    assert not mishaps.rests("away")
    assert len(await surprised(world)) == 3


async def test_an_orphan_that_surprises_leaves_the_others_to_be_removed(world: World) -> None:
    ports = _ports(world, _Clock())
    for name in ("oc-aaaaaaaa", "oc-bbbbbbbb"):
        await ports.vault.put(InstanceId(name), {}, 0)
    world.cloud.fail_next("vault.purge", RecursionError())
    controller = OrphansController(ports, ControllerOptions(orphan_grace_seconds=0.0, quarantine_seconds=0.0))
    await controller.tick()
    assert set(world.cloud.secrets) == {"oc-aaaaaaaa"}
    assert [event.detail["what"] for event in await surprised(world)] == ["secret oc-aaaaaaaa"]


async def test_a_session_that_the_edge_refuses_leaves_the_others_in(world: World) -> None:
    now = SystemClock().now()
    for name in ("a", "b"):
        await world.store.accounts.add_session(Session(name, OWNER, now, now + 600), None)
    world.cloud.fail_next("gate.allow", KeyError("x"))
    await EdgeController(_ports(world, _Clock()), ControllerOptions()).tick()
    assert len(world.cloud.sessions) == 1


class _Clock(SystemClock):
    """A monotonic clock that the test moves."""

    at = 100.0

    def monotonic(self) -> float:
        return self.at


def _ports(world: World, clock: SystemClock) -> Ports:
    return replace(world.ports(), clock=clock)


async def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error
