"""Runs the web application on a Unix socket or a port, inside the loop of whoever asks; signals stay with the caller."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import uvicorn

from openclaw_hosted.domain.errors import Unavailable

GRACE_SECONDS = 3
POLL_SECONDS = 0.02


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: Any, socket: Path) -> AsyncIterator[None]:
    """Serve `app` on a Unix socket for the length of the block. Only the edge reaches the socket, so its X-Forwarded headers count."""
    config = uvicorn.Config(
        app,
        uds=str(socket),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips="*",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(), name="web")
    try:
        while not server.started:
            if task.done():
                raise Unavailable(f"The web application can't listen on {socket}; the log says why.")
            await asyncio.sleep(POLL_SECONDS)
        yield
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(socket.unlink, missing_ok=True)
