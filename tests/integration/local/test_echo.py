"""The built-in echo model, asked as OpenClaw asks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from openclaw_hosted.adapters.local.install import NODE_DIR, PLUGIN_DIR

CONTEXT = {"role": "user", "content": "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\nsecret ways"}
WRAPPED = (
    "[Mon 2026-11-23 17:40 UTC] Conversation info: ⟦openclaw:ctx⟧\n```json\n{}\n```\n\nzebra [1] quagga\n\nRuntime: agent=main | session=x"
)


SERVER = f"""
import {{ createServer }} from "node:http";
import {{ echo }} from "{PLUGIN_DIR}/echo.js";
createServer(echo).listen(0, "127.0.0.1", function () {{ console.log(this.address().port); }});
"""


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    command = (str(NODE_DIR / "bin" / "node"), "--input-type=module", "--eval", SERVER)
    server = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert server.stdout
    port = int(await server.stdout.readline())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as made:
        yield made
    server.kill()
    await server.wait()


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
    deltas = [choice for chunk in chunks for choice in chunk["choices"]]
    assert "".join(delta["delta"].get("content", "") for delta in deltas) == "You said: hello"
    assert deltas[-1]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["total_tokens"] == 0
    assert answer.headers["content-type"] == "text/event-stream"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"messages": 3}', b'{"messages": [3]}'])
async def test_what_is_no_request_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    assert (await client.post("/chat/completions", content=body)).status_code == 400
