"""Our own token buckets, in moved time."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from openclaw_hosted.adapters.aws import buckets
from openclaw_hosted.adapters.aws.buckets import Bucket, Buckets, limit_of
from openclaw_hosted.adapters.aws.sdk import Call
from openclaw_hosted.domain.errors import Throttled
from openclaw_hosted.ports.urgency import in_background
from tests.support.clock import LoopClock

pytestmark = pytest.mark.looptime
CLOCK = LoopClock()


async def take(bucket: Bucket) -> None:
    """A call that is answered at once."""
    async with bucket.turn():
        pass


async def test_so_many_calls_go_at_once_and_the_others_as_the_bucket_fills() -> None:
    bucket = Bucket(3, 2, CLOCK)
    went: list[float] = []

    async def one() -> None:
        await take(bucket)
        went.append(CLOCK.monotonic())

    began = CLOCK.monotonic()
    await asyncio.gather(*(one() for _ in range(7)))
    assert [at - began for at in went] == pytest.approx([0, 0, 0, 0.5, 1, 1.5, 2], abs=0.01)
    await CLOCK.sleep(10)
    began = CLOCK.monotonic()
    await asyncio.gather(*(one() for _ in range(3)))
    assert CLOCK.monotonic() == pytest.approx(began, abs=0.01)


async def test_those_go_first_for_which_a_user_waits_and_else_who_came_first() -> None:
    bucket = Bucket(1, 1, CLOCK)
    order: list[str] = []

    async def one(name: str) -> None:
        await take(bucket)
        order.append(name)

    await take(bucket)
    spares = [asyncio.create_task(in_background(partial(one, f"spare {number}"))) for number in (1, 2, 3)]
    await CLOCK.sleep(0.1)
    users = [asyncio.create_task(one(f"user {number}")) for number in (1, 2)]
    await asyncio.gather(*spares, *users)
    assert order == ["user 1", "user 2", "spare 1", "spare 2", "spare 3"]


async def test_a_call_that_is_given_up_leaves_its_turn_to_the_next() -> None:
    bucket = Bucket(1, 1, CLOCK)
    await take(bucket)
    first, second = asyncio.create_task(take(bucket)), asyncio.create_task(take(bucket))
    await CLOCK.sleep(0.5)
    first.cancel()
    began = CLOCK.monotonic()
    await second
    assert CLOCK.monotonic() - began <= 1.51


async def test_calls_that_are_held_up_are_never_more_than_fit_into_the_bucket() -> None:
    bucket, arrived = Bucket(3, 10, CLOCK), asyncio.Event()
    under_way = 0

    async def one() -> None:
        nonlocal under_way
        async with bucket.turn():
            under_way += 1
            await arrived.wait()

    calls = [asyncio.create_task(one()) for _ in range(9)]
    await CLOCK.sleep(60)
    assert under_way == 3
    arrived.set()
    await asyncio.gather(*calls)
    assert under_way == 9


async def test_a_refusal_empties_the_bucket() -> None:
    mine = Buckets(CLOCK)
    mine.empty(Call.MODIFY_RULE)
    began = CLOCK.monotonic()
    async with mine.turn(Call.MODIFY_RULE):
        pass
    assert CLOCK.monotonic() - began == pytest.approx(1 / (4 * buckets.SHARE), abs=0.01)
    async with mine.turn(Call.DESCRIBE_RULES):
        pass
    assert CLOCK.monotonic() - began == pytest.approx(1 / (4 * buckets.SHARE), abs=0.01)


async def test_no_more_wait_than_can_be_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "MOST_WAITING", 2)
    bucket = Bucket(1, 1, CLOCK)
    await take(bucket)
    waiting = [asyncio.create_task(take(bucket)) for _ in range(2)]
    await CLOCK.sleep(0.1)
    with pytest.raises(Throttled):
        await take(bucket)
    await asyncio.gather(*waiting)


def test_calls_share_a_bucket_as_aws_counts_them() -> None:
    names = {call: found[0] for call in Call if (found := limit_of(call)) is not None}
    assert names[Call.CREATE_RULE] == names[Call.REGISTER_TARGETS] != names[Call.DESCRIBE_RULES] == names[Call.DESCRIBE_HEALTH]
    assert names[Call.DESCRIBE_INSTANCES] != names[Call.DESCRIBE_VOLUMES]
    assert Call.GET_SECRET not in names
