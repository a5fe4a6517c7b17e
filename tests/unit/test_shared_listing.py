"""A listing that those share who ask at the same time."""

from __future__ import annotations

import asyncio

import pytest

from openclaw_hosted.adapters.aws.listing import SharedListing
from tests.support.clock import LoopClock

pytestmark = pytest.mark.looptime


class World:
    """Something that changes, and takes a moment to look at."""

    def __init__(self) -> None:
        self.looks = 0
        self.value = 0
        self.broken = False
        self.clock = LoopClock()
        self.listing = SharedListing(self._look, self.clock)

    async def _look(self) -> list[int]:
        self.looks += 1
        seen = self.value
        await self.clock.sleep(0.02)
        if self.broken:
            raise ConnectionError
        return [seen]


async def test_whoever_asks_during_a_look_shares_the_next_one() -> None:
    world = World()
    first = asyncio.create_task(world.listing.get(0))
    await world.clock.sleep(0.005)
    world.value = 1
    later = await asyncio.gather(*(world.listing.get(0) for _ in range(50)))
    assert list(await first) == [0]
    assert [list(seen) for seen in later] == [[1]] * 50
    assert world.looks == 2


async def test_what_was_seen_serves_until_it_is_old_or_forgotten() -> None:
    world = World()
    await world.listing.get(60)
    world.value = 1
    assert list(await world.listing.get(60)) == [0]
    assert list(await world.listing.get(0)) == [1]
    world.value = 2
    world.listing.forget()
    assert list(await world.listing.get(60)) == [2]
    assert world.looks == 3


async def test_a_look_that_takes_long_serves_longer() -> None:
    world = World()
    await world.listing.get(0.01)
    await world.clock.sleep(0.05)
    await world.listing.get(0.01)
    assert world.looks == 1
    await world.clock.sleep(0.05)
    await world.listing.get(0.01)
    assert world.looks == 2


async def test_what_others_change_meanwhile_makes_nobody_look_again_who_asked_before() -> None:
    world = World()
    first = asyncio.create_task(world.listing.get(0))
    await world.clock.sleep(0.005)
    waiting = [asyncio.create_task(world.listing.get(0)) for _ in range(10)]
    await first
    await world.clock.sleep(0.005)
    world.listing.forget()
    await asyncio.gather(*waiting)
    assert world.looks == 2


async def test_a_look_that_fails_or_is_cancelled_is_nobodys_answer() -> None:
    world = World()
    world.broken = True
    with pytest.raises(ConnectionError):
        await world.listing.get(60)
    world.broken = False
    looking = asyncio.create_task(world.listing.get(60))
    await world.clock.sleep(0.005)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert list(await world.listing.get(60)) == [0]
    assert world.looks == 3
