"""The built-in echo model, asked as OpenClaw asks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import pytest

from openclaw_hosted.adapters.local.echo import echo_app

CONTEXT = {"role": "user", "content": "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\nsecret ways"}
WRAPPED = (
    "[Mon 2026-11-23 17:40 UTC] Conversation info: ⟦openclaw:ctx⟧\n```json\n{}\n```\n\nzebra [1] quagga\n\nRuntime: agent=main | session=x"
)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(cast("Any", echo_app)), base_url="http://echo/v1") as made:
        yield made


async def say(client: httpx.AsyncClient, *messages: Any) -> str:
    answer = await client.post("/chat/completions", json={"model": "echo", "messages": messages})
    content: str = answer.json()["choices"][0]["message"]["content"]
    return content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("hello", "hello"),
        ([{"type": "text", "text": "hello"}], "hello"),
        ("[Mon 2026-11-23 17:26 UTC] hello 3\n\nRuntime: agent=main | session=x", "hello 3"),
        (WRAPPED, "zebra [1] quagga"),
        ("[sic] as typed", "[sic] as typed"),
    ],
)
async def test_it_says_the_users_own_words(client: httpx.AsyncClient, content: Any, words: str) -> None:
    earlier = {"role": "user", "content": "before"}, {"role": "assistant", "content": "You said: before"}
    assert await say(client, *earlier, {"role": "user", "content": content}, CONTEXT) == f"You said: {words}"


async def test_it_streams(client: httpx.AsyncClient) -> None:
    request = {"stream": True, "messages": [{"role": "user", "content": "hello"}, CONTEXT]}
    answer = await client.post("/chat/completions", json=request)
    events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "You said: hello"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert answer.headers["content-type"] == "text/event-stream"


async def test_it_names_its_model(client: httpx.AsyncClient) -> None:
    assert [model["id"] for model in (await client.get("/models")).json()["data"]] == ["echo"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"messages": 3}', b'{"messages": [3]}'])
async def test_what_is_no_request_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    assert (await client.post("/chat/completions", content=body)).status_code == 400
    assert (await client.get("/elsewhere")).status_code == 404
