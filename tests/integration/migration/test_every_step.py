"""Each call of each way: the run killed right after it, failing once and unanswered once, failing for good. One side serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from openclaw_hosted.domain.errors import OpenClawHostedError, Unavailable
from openclaw_hosted.domain.migration import MigrationState, Side
from openclaw_hosted.domain.old_things import OldThing, ThingKind
from tests.integration.migration.world import MigrationWorld
from tests.support.store import leases_run_out

pytestmark = pytest.mark.looptime


@dataclass(frozen=True)
class Way:
    """What is asked for, and the calls of the older system and of the copies that it makes."""

    ask: Callable[[MigrationWorld], Awaitable[object]]
    calls: tuple[str, ...]
    ends: Side
    lines: tuple[str, ...] = ("hello",)
    before: str = ""


async def move(world: MigrationWorld) -> None:
    await world.run()


async def roll_back(world: MigrationWorld) -> None:
    if await world.state() in (MigrationState.DONE, MigrationState.ROLLING_BACK):
        await world.rollback()


FORWARD = (
    "legacy.services", "legacy.settings", "copies.with_keys", "copies.check", "copies.bring", "legacy.status", "legacy.route",
    "gateways.stand_by", "legacy.hold", "legacy.scale", "copies.settle", "copies.install", "gateways.restart", "router.probe",
    "legacy.lead",
)  # fmt: skip
WITHOUT_LOADING = tuple("gateways.suspend" if call == "gateways.stand_by" else call for call in FORWARD)
BACKWARD = (
    "legacy.services", "legacy.hold", "legacy.status", "gateways.suspend", "copies.carry_back", "legacy.scale", "legacy.restore_route",
)  # fmt: skip
WAYS = {
    "move": Way(move, FORWARD, Side.NEW),
    "move_without_loading": Way(move, WITHOUT_LOADING, Side.NEW, before="cannot load"),
    "roll_back": Way(roll_back, BACKWARD, Side.OLD, ("hello", "later"), before="moved"),
}
STEPS = [pytest.param(way, call, id=f"{name}-{call}") for name, way in WAYS.items() for call in way.calls]
OWN = ("legacy.", "copies.")


async def arrive_before(world: MigrationWorld, way: Way) -> None:
    world.new.cloud.loads_ahead = way.before != "cannot load"
    if way.before == "moved":
        await world.run()
        world.old.say("user-1", "later")


@asynccontextmanager
async def watched(world: MigrationWorld) -> AsyncIterator[None]:
    """Look for two gateways on one state for the length of the block."""

    async def watch() -> None:
        while True:
            world.old.check_exclusive()
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    yield
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


@pytest.mark.parametrize("name", WAYS)
async def test_no_call_of_a_way_is_forgotten_here(world: MigrationWorld, name: str) -> None:
    way, seen = WAYS[name], set()

    async def record(call: str, _: str) -> None:
        seen.add(call)

    async with world.new.running(alone=True):
        await arrive_before(world, way)
        world.new.cloud.hook = record
        await way.ask(world)
        world.new.cloud.hook = None
    assert {call for call in seen if call.startswith(OWN)} == {call for call in way.calls if call.startswith(OWN)}
    assert seen >= set(way.calls)


@pytest.mark.parametrize(("way", "call"), STEPS)
async def test_a_run_that_is_killed_after_a_call_is_gone_on_with_by_the_next(world: MigrationWorld, way: Way, call: str) -> None:
    async with world.new.running():
        await arrive_before(world, way)
        working = asyncio.ensure_future(way.ask(world))

        async def kill(name: str, when: str) -> None:
            if (name, when) == (call, "after") and not working.done():
                world.new.cloud.hook = None
                working.cancel()
                await asyncio.sleep(0)

        async with watched(world):
            world.new.cloud.hook = kill
            with suppress(asyncio.CancelledError):
                await working
            world.new.cloud.calm()
            await leases_run_out(world.new.store)
            await world.run()
            await way.ask(world)
        await world.serves_from(way.ends, "user-1", *way.lines)


@pytest.mark.parametrize(("way", "call"), STEPS)
async def test_a_call_that_fails_and_then_has_its_answer_lost_is_made_again(world: MigrationWorld, way: Way, call: str) -> None:
    async with world.new.running():
        await arrive_before(world, way)
        world.new.cloud.fail_next(call, Unavailable("It did not work."))
        world.new.cloud.lose_answer(call)
        async with watched(world):
            for _ in range(2):
                with suppress(OpenClawHostedError):
                    await way.ask(world)
            await way.ask(world)
        await world.serves_from(way.ends, "user-1", *way.lines)


@pytest.mark.parametrize("call", [call for call in FORWARD if call not in ("legacy.services", "router.probe")])
async def test_where_a_call_never_works_before_the_switch_the_old_side_serves_unchanged(world: MigrationWorld, call: str) -> None:
    async with world.new.running():
        times = 4

        async def fail(name: str, when: str) -> None:
            nonlocal times
            if (name, when) == (call, "before") and times:
                times -= 1
                raise Unavailable("It never works.")

        async with watched(world):
            world.new.cloud.hook = fail
            await world.run()
            world.new.cloud.calm()
            if await world.state() is MigrationState.RETURNING:
                await world.run()
        row = await world.row()
        assert row.state in (MigrationState.RETURNED, MigrationState.DONE)
        if row.state is MigrationState.RETURNED:
            assert row.error == "It never works."
        await world.serves_from(row.side, "user-1", "hello")


async def decommission(world: MigrationWorld) -> None:
    service = world.service()
    await service.decommission(await service.belongings(), lambda _: None)


@pytest.fixture
def left(world: MigrationWorld) -> MigrationWorld:
    """Nobody is on the older system, and one of each kind of its things is left."""
    world.old.users.clear()
    world.old.belongings = [OldThing(kind, f"arn:{kind}", str(kind)) for kind in ThingKind]
    return world


@pytest.mark.parametrize("number", range(1, len(ThingKind) + 1))
async def test_a_decommissioning_that_is_killed_after_any_removal_is_gone_on_with(left: MigrationWorld, number: int) -> None:
    working, seen = asyncio.ensure_future(decommission(left)), 0

    async def kill(name: str, when: str) -> None:
        nonlocal seen
        seen += (name, when) == ("legacy.remove", "after")
        if seen == number and not working.done():
            left.new.cloud.hook = None
            working.cancel()
            await asyncio.sleep(0)

    left.new.cloud.hook = kill
    with suppress(asyncio.CancelledError):
        await working
    left.new.cloud.calm()
    await leases_run_out(left.new.store)
    assert len(left.old.belongings) == len(ThingKind) - number
    await decommission(left)
    assert left.old.belongings == []


@pytest.mark.parametrize("call", ["legacy.services", "legacy.things", "legacy.remove"])
async def test_a_decommissioning_with_a_call_that_fails_and_one_without_an_answer_is_done_by_asking_again(
    left: MigrationWorld, call: str
) -> None:
    left.new.cloud.fail_next(call, Unavailable("It did not work."))
    left.new.cloud.lose_answer(call)
    for _ in range(2):
        with suppress(OpenClawHostedError):
            await decommission(left)
    await decommission(left)
    assert left.old.belongings == []
