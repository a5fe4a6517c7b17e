"""Passes TCP connections on from one address to another, such as from the machines' gateway address to a service on loopback."""

from __future__ import annotations

import asyncio

from lab.plane.loop import LoopThread, listen

Address = tuple[str, int]

CHUNK = 65536


class Relay:
    """Listens from the constructor until `close`."""

    def __init__(self, thread: LoopThread, listen_on: str, target: Address) -> None:
        self._thread = thread
        self._target = target
        self._server = thread.call(self._start(listen_on))

    @property
    def address(self) -> Address:
        """Where it listens."""
        host, port = self._server.sockets[0].getsockname()
        return host, port

    def close(self) -> None:
        """Take no more connections."""
        self._thread.soon(self._server.close)

    async def _start(self, host: str) -> asyncio.Server:
        return await listen(self._connected, host)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, far_writer))
                both.create_task(_copy(far_reader, writer))
        except* ConnectionError:
            pass
        finally:
            far_writer.close()
            writer.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the source ends; an end that breaks off raises `ConnectionError`, which ends the other direction too."""
    while piece := await source.read(CHUNK):
        sink.write(piece)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
