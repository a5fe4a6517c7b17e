"""What a tenant wrote into the own volume, or has its gateway answer: read within bounds, and harmless to everybody else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from openclaw_hosted.adapters.fetching import AnswerTooLong, fetch
from openclaw_hosted.adapters.keytester import Endpoints, HttpKeyTester
from openclaw_hosted.adapters.local.files import read_foreign_json
from openclaw_hosted.adapters.local.gateway_home import read_config
from openclaw_hosted.adapters.openclaw.logs import failure_since, readable
from openclaw_hosted.adapters.openclaw.rpc import GatewayClient
from openclaw_hosted.adapters.outgoing import Outgoing
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.gateway import Credential, GatewaySettings, ModelProvider

DEEP = b'{"data":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
Serve = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    """A server that reads a request's head and answers as `serve` does."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await serve(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def deep(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(DEEP) + DEEP)
    await writer.drain()


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        writer.write(b" " * 65_536)
        await writer.drain()


async def trickling(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


def test_a_configuration_nested_too_deep_is_none(tmp_path: Path) -> None:
    (tmp_path / "openclaw.json").write_bytes(DEEP)
    assert read_config(tmp_path) == {}


def test_pipes_links_and_huge_files_are_none(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("{}")
    (tmp_path / "link").symlink_to("real")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 1 << 40)
    assert read_foreign_json(tmp_path / "real") == {}
    assert [read_foreign_json(tmp_path / name) for name in ("link", "pipe", "huge", "missing")] == [None] * 4


def test_a_log_line_nested_too_deep_is_shown_as_it_is() -> None:
    line = '{"message":' + "[" * 200_000
    assert readable(line) == line
    assert readable('{"message":"x","_meta":{"name":"' + "[" * 200_000 + '"}}').endswith("x")
    assert failure_since(['{"message":"Gateway failed to start","time":"0001-01-01T00:00:00+23:00"}'], 5.0) is None


async def test_a_provider_that_answers_too_deep_is_a_report() -> None:
    async with serving(deep) as address:
        tester = HttpKeyTester(Outgoing(), Endpoints(openai=f"http://{address}/"))
        report = await tester.try_model_key(GatewaySettings(ModelProvider.OPENAI, "m"), {Credential.MODEL_API_KEY: "sk-0123456789"})
    assert report.message == "OpenAI takes this key."


async def test_a_gateway_that_answers_too_deep_or_without_end_does_not_answer() -> None:
    for serve in (deep, endless):
        async with serving(serve) as address, httpx.AsyncClient(trust_env=False) as http:
            with pytest.raises(Unavailable):
                await GatewayClient(http, address, "token").bridge("identity")


async def test_an_answer_that_trickles_ends_in_time() -> None:
    async with serving(trickling) as address, httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.ReadTimeout):
            await fetch(http, "GET", f"http://{address}/", seconds=0.3)
        with pytest.raises(AnswerTooLong):
            await fetch(http, "GET", f"http://{address}/", seconds=30, limit_bytes=5)
