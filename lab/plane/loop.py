"""An event loop in a thread of its own, for servers that callers in other threads steer."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

CALL_SECONDS = 30.0
BACKLOG = 1024
CLOSING_ROUNDS = 5

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def listen(serve: Serve, host: str | None = None, *, sock: socket.socket | None = None) -> asyncio.Server:
    """Serve connections on a free port of `host`, or on this socket. Connections that are cut when the loop ends are no error."""
    serving: set[asyncio.Task[Any] | None] = set()
    """Nothing else holds a task that waits for a connection whose other end says nothing."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        serving.add(task)
        try:
            await serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            serving.discard(task)

    if sock is not None:
        return await asyncio.start_server(connected, sock=sock, backlog=BACKLOG)
    return await asyncio.start_server(connected, host, 0, backlog=BACKLOG)


class LoopThread:
    """Runs until `close`, which cancels what still runs on it."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run it on the loop, and wait for its result. Not for callers on the loop itself."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)

    def soon(self, work: Callable[[], object]) -> None:
        """Have the loop do this next; does not wait."""
        self._loop.call_soon_threadsafe(work)

    def close(self) -> None:
        """Cancel every task and end the thread. Does nothing twice."""
        if not self._loop.is_closed():
            self.call(_cancel_all())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


async def _cancel_all() -> None:
    """Also the tasks that come up meanwhile; then the sockets have a few rounds to close."""
    while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for _ in range(CLOSING_ROUNDS):
        await asyncio.sleep(0)
    await asyncio.get_running_loop().shutdown_default_executor()
