"""The platform's API inside this process, over a data directory on which no platform runs. Loads the whole application."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

import httpx

from openclaw_hosted.bootstrap import local_api
from openclaw_hosted.cli.ways import OverHttp
from openclaw_hosted.logging import logging_to
from openclaw_hosted.settings import Settings

Opened = TypeVar("Opened")


class _InThisProcess(httpx.BaseTransport):
    """Sends requests to an application in this process, for a client that waits."""

    def __init__(self, runner: asyncio.Runner, transport: httpx.ASGITransport) -> None:
        self._runner = runner
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._runner.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = await self._transport.handle_async_request(request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


@contextmanager
def in_this_process(settings: Settings, headers: Mapping[str, str], *, create: bool) -> Iterator[OverHttp]:
    """The way to the API over `settings`, which sends `headers` with each request. Raises `Unavailable` where there is no platform, unless
    it is to `create` one."""
    with logging_to("warning", None), asyncio.Runner() as runner:
        opened = local_api(settings, create=create)
        app = runner.run(_enter(opened))
        try:
            transport = _InThisProcess(runner, httpx.ASGITransport(app))
            with httpx.Client(transport=transport, base_url="http://localhost", headers=headers) as client:
                yield OverHttp(client)
        finally:
            runner.run(_leave(opened))


async def _enter(opened: AbstractAsyncContextManager[Opened]) -> Opened:
    return await opened.__aenter__()


async def _leave(opened: AbstractAsyncContextManager[Opened]) -> None:
    await opened.__aexit__(None, None, None)
