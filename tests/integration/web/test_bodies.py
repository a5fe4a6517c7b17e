"""Bodies that come slowly, in great number, or not to their end; without an edge in front."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import structlog
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from openclaw_hosted.limits import raise_file_limit
from openclaw_hosted.web.middleware import BODIES_PER_ADDRESS, BodyGuard
from tests.integration.web.conftest import World
from tests.support.waiting import PATIENCE_SECONDS

FORM = [(b"content-type", b"application/x-www-form-urlencoded")]


def scope_of(world: World, client: str = "192.0.2.7") -> Scope:
    return {
        "type": "http", "method": "POST", "path": "/sign-in", "raw_path": b"/sign-in", "query_string": b"", "root_path": "",
        "scheme": "http", "http_version": "1.1", "headers": [*FORM, (b"content-length", b"1000"), (b"host", b"localhost:8080")],
        "client": (client, 1), "server": ("localhost", 8080), "app": world.app,
    }  # fmt: skip


async def never() -> Message:
    """Of a body that does not end."""
    await asyncio.Event().wait()
    raise AssertionError


@asynccontextmanager
async def asking(app: Any, scope: Scope, receive: Receive) -> AsyncIterator[asyncio.Future[int]]:
    """A request; its status is known once it is answered."""
    status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start" and not status.done():
            status.set_result(message["status"])

    task = asyncio.create_task(app(scope, receive, send))
    try:
        yield status
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await PlainTextResponse("read")(scope, receive, send)


async def test_one_address_has_a_bounded_number_of_bodies_on_their_way(world: World) -> None:
    waiting = [asking(world.app, scope_of(world), never) for _ in range(BODIES_PER_ADDRESS)]
    for each in waiting:
        await each.__aenter__()
    await asyncio.sleep(0)
    async with asking(world.app, scope_of(world), never) as refused:
        assert await asyncio.wait_for(refused, PATIENCE_SECONDS) == 429
    async with asking(world.app, scope_of(world, "192.0.2.8"), never) as another:
        await asyncio.sleep(0)
        assert not another.done()
    for each in waiting:
        await each.__aexit__(None, None, None)
    async with world.client() as client:
        assert (await client.get("/healthz")).status_code == 200


async def test_a_body_that_does_not_come_is_not_waited_for(world: World) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await BodyGuard(world.app, seconds=0.01)(scope, receive, send)

    async with asking(app, scope_of(world), never) as status:
        assert await asyncio.wait_for(status, PATIENCE_SECONDS) == 408


async def test_a_body_that_breaks_off_is_no_failure_of_ours(world: World) -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    with structlog.testing.capture_logs() as logs:
        async with asking(world.app, scope_of(world), gone) as status:
            assert await asyncio.wait_for(status, PATIENCE_SECONDS) == 400
    assert [entry for entry in logs if entry["log_level"] == "error"] == []


async def test_a_body_counts_until_it_is_here() -> None:
    guard = BodyGuard(read_all)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://x") as client:
        for _ in range(BODIES_PER_ADDRESS + 1):
            assert (await client.post("/sign-in", data={"a": "b"})).status_code == 200


@pytest.fixture
def few_files() -> Any:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, before[1]), before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_of_open_files_is_raised_to_what_may_be(few_files: int) -> None:
    raise_file_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (few_files, few_files)
