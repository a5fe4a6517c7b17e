"""A search of what gateways printed, in the fast lab: by one call, and by reading each log where there is no log group."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from itertools import count

import pytest

from lab.plain import PlainLab
from lab.site import LOG_GROUP
from openclaw_hosted.adapters.aws import log_search
from openclaw_hosted.adapters.aws.client import AwsSdk
from openclaw_hosted.adapters.aws.log_search import LogSearch
from openclaw_hosted.adapters.aws.sdk import Call
from openclaw_hosted.domain.errors import NotFound, Unavailable
from openclaw_hosted.domain.key_refusal import MAYBE_REFUSED
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.ports.gateways import Seat
from tests.support.aws import provided_on, sdk_on

NUMBERS = count(1)
REFUSAL = '{"level":"error","message":"401 Incorrect API key provided: sk-0123456789abcdef","time":"2026-11-30T08:00:00.000+01:00"}'


@pytest.fixture
async def sdk(lab: PlainLab) -> AsyncIterator[AwsSdk]:
    async with sdk_on(lab) as made:
        yield made


def a_seat() -> Seat:
    number = next(NUMBERS)
    return Seat(f"i-{number:017x}", InstanceId(f"oc-2222222{number}"), 1)


def prints(lab: PlainLab, seat: Seat, lines: Sequence[str], at: float) -> None:
    """Have a machine's stream hold these lines."""
    logs = lab.site.client("logs")
    logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=seat.provider_ref)
    events = [{"timestamp": int(at * 1000), "message": line} for line in lines]
    logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=seat.provider_ref, logEvents=events)


async def test_lines_of_all_gateways_are_found_by_one_call_and_its_pages(lab: PlainLab, sdk: AwsSdk) -> None:
    now = time.time()
    first, second, quiet, other = (a_seat() for _ in range(4))
    prints(lab, first, [REFUSAL, "all is well"], now)
    prints(lab, second, ["Error: invalid x-api-key"], now)
    prints(lab, quiet, ["all is well"], now)
    prints(lab, other, [REFUSAL], now)
    found = await LogSearch(sdk, LOG_GROUP).lines([first, second, quiet], MAYBE_REFUSED, now - 60)
    assert found == {
        first.instance_id: ("2026-11-30 07:00:00 ERROR 401 Incorrect API key provided: ●●●",),
        second.instance_id: (f"{datetime.fromtimestamp(int(now * 1000) / 1000, UTC):%Y-%m-%d %H:%M:%S} Error: invalid x-api-key",),
    }
    assert sdk.stats[Call.FILTER_LOGS].made == 2, "the first page is empty"
    assert await LogSearch(sdk, LOG_GROUP).lines([first, second], MAYBE_REFUSED, now + 60) == {}


async def test_a_flood_of_lines_is_told_and_not_read_on(lab: PlainLab, sdk: AwsSdk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.cloud.logs.MOST_EVENTS", 10)
    monkeypatch.setattr(log_search, "MOST_PAGES", 3)
    now, seat = time.time(), a_seat()
    prints(lab, seat, ["401 key"] * 100, now)
    with pytest.raises(Unavailable, match="more lines of this kind"):
        await LogSearch(sdk, LOG_GROUP).lines([seat], MAYBE_REFUSED, now - 60)


async def test_a_group_that_is_not_there_is_told(sdk: AwsSdk) -> None:
    with pytest.raises(NotFound):
        await LogSearch(sdk, "/no/such/group").lines([a_seat()], MAYBE_REFUSED, 0.0)


async def test_without_a_log_group_each_log_is_read_by_itself(lab: PlainLab) -> None:
    async with provided_on(lab.site, GATEWAY_LOG_GROUP="") as provided:
        assert await provided.gateways.find_lines([a_seat()], MAYBE_REFUSED, 0.0) is None
    async with provided_on(lab.site) as provided:
        assert await provided.gateways.find_lines([a_seat()], MAYBE_REFUSED, time.time()) == {}
