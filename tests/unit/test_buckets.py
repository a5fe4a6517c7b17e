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


async def test_so_many_calls_go_at_once_and_the_others_as_the_bucket_fills() -> None:
    bucket = Bucket(3, 2, CLOCK)
    went: list[float] = []

    async def one() -> None:
        await bucket.take()
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
        await bucket.take()
        order.append(name)

    await bucket.take()
    spares = [asyncio.create_task(in_background(partial(one, f"spare {number}"))) for number in (1, 2, 3)]
    await CLOCK.sleep(0.1)
    users = [asyncio.create_task(one(f"user {number}")) for number in (1, 2)]
    await asyncio.gather(*spares, *users)
    assert order == ["user 1", "user 2", "spare 1", "spare 2", "spare 3"]


async def test_a_call_that_is_given_up_leaves_its_turn_to_the_next() -> None:
    bucket = Bucket(1, 1, CLOCK)
    await bucket.take()
    first, second = asyncio.create_task(bucket.take()), asyncio.create_task(bucket.take())
    await CLOCK.sleep(0.5)
    first.cancel()
    began = CLOCK.monotonic()
    await second
    assert CLOCK.monotonic() - began <= 1.51


async def test_a_refusal_empties_the_bucket() -> None:
    mine = Buckets(CLOCK)
    mine.empty(Call.MODIFY_RULE)
    began = CLOCK.monotonic()
    await mine.take(Call.MODIFY_RULE)
    assert CLOCK.monotonic() - began == pytest.approx(1 / (4 * buckets.SHARE), abs=0.01)
    await mine.take(Call.DESCRIBE_RULES)
    assert CLOCK.monotonic() - began == pytest.approx(1 / (4 * buckets.SHARE), abs=0.01)


async def test_no_more_wait_than_can_be_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "MOST_WAITING", 2)
    bucket = Bucket(1, 1, CLOCK)
    await bucket.take()
    waiting = [asyncio.create_task(bucket.take()) for _ in range(2)]
    await CLOCK.sleep(0.1)
    with pytest.raises(Throttled):
        await bucket.take()
    await asyncio.gather(*waiting)


def test_calls_share_a_bucket_as_aws_counts_them() -> None:
    names = {call: found[0] for call in Call if (found := limit_of(call)) is not None}
    assert names[Call.CREATE_RULE] == names[Call.REGISTER_TARGETS] != names[Call.DESCRIBE_RULES] == names[Call.DESCRIBE_HEALTH]
    assert names[Call.DESCRIBE_INSTANCES] != names[Call.DESCRIBE_VOLUMES]
    assert Call.GET_SECRET not in names
