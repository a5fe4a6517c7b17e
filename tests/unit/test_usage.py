"""What a gateway says that it used is a tenant's word."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from openclaw_hosted.adapters.openclaw.rpc import GatewayClient
from openclaw_hosted.adapters.openclaw.usage import usage
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.usage import DayOfUse, tokens_of, usd_of

TODAY = {"date": "2026-11-30", "totalTokens": 1200, "totalCost": 0.25}


async def one_chunk(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def said(answer: Any) -> list[DayOfUse]:
    def respond(request: httpx.Request) -> httpx.Response:
        assert json.loads(request.content) == {"method": "usage.cost", "params": {"days": 3, "mode": "utc", "agentScope": "all"}}
        return httpx.Response(200, content=one_chunk(json.dumps(answer).encode()))

    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as http:
        return list(await usage(GatewayClient(http, "gateway", "token"), 3))


async def test_days_are_told_as_openclaw_counts_them() -> None:
    days = await said({"ok": True, "payload": {"daily": [{"date": "2026-11-29", "totalTokens": 0, "totalCost": 0}, TODAY]}})
    assert days == [DayOfUse("2026-11-29", 0, 0.0), DayOfUse("2026-11-30", 1200, 0.25)]
    assert (tokens_of(days), usd_of(days)) == (1200, 0.25)


async def test_what_is_no_day_or_no_number_counts_for_nothing() -> None:
    strange = [
        7,
        {"date": "<b>"},
        {"date": "2026-11-28", "totalTokens": "many", "totalCost": True},
        {"date": "2026-11-29", "totalTokens": -5},
    ]
    days = await said({"ok": True, "payload": {"daily": [TODAY, TODAY, *strange]}})
    assert days == [DayOfUse("2026-11-28", 0, 0.0), DayOfUse("2026-11-29", 0, 0.0)]
    assert (await said({"ok": True, "payload": {"daily": [{**TODAY, "totalTokens": 10**40}]}}))[0].tokens == 10**15


@pytest.mark.parametrize("answer", [{"ok": False, "error": {"code": "X", "message": "no"}}, {"ok": True, "payload": {"daily": {}}}])
async def test_a_gateway_that_does_not_say_is_unavailable(answer: Any) -> None:
    with pytest.raises(Unavailable):
        await said(answer)
