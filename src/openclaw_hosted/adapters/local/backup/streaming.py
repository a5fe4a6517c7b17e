"""An archive that is never a file: one side writes it, the other one reads it at its own pace."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import IO, Final, cast

from openclaw_hosted.adapters.local.backup.errors import BackupFailed
from openclaw_hosted.adapters.local.backup.volume import Kept

PIECE_BYTES: Final = 1 << 18
PIECES: Final = 8
"""How many wait for a client that reads slowly."""
STALLED_SECONDS: Final = 60.0
"""After so long, a download that nobody reads is ended."""


class _Pieces:
    """A file to write to, whose content somebody else takes out, piece by piece."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(PIECES)
        self._buffer = bytearray()

    def write(self, content: bytes) -> int:
        """Waits while enough is there to be taken. Raises `BackupFailed` once nobody takes anything any more."""
        self._buffer += content
        if len(self._buffer) >= PIECE_BYTES:
            self.flush()
        return len(content)

    def flush(self) -> None:
        """Have what was written be taken."""
        if self._buffer:
            self.put(bytes(self._buffer))
            self._buffer.clear()

    def put(self, piece: bytes | BaseException | None) -> None:
        """A piece, or why there is no more; None at the end."""
        until = time.monotonic() + STALLED_SECONDS
        while True:
            self._kept.check()
            with suppress(queue.Full):
                self._queue.put(piece, timeout=0.2)
                return
            if time.monotonic() > until:
                raise BackupFailed("Nobody takes the archive.")

    def take(self) -> bytes | BaseException | None:
        """The next one."""
        while True:
            self._kept.check()
            with suppress(queue.Empty):
                return self._queue.get(timeout=0.2)


async def streamed(write: Callable[[IO[bytes], Kept], None]) -> AsyncGenerator[bytes]:
    """What `write` writes, in a thread that ends with whoever reads. Its threads are its own: slow readers keep nobody else waiting."""
    kept = Kept()
    pieces = _Pieces(kept)

    def run() -> None:
        try:
            write(cast("IO[bytes]", pieces), kept)
            pieces.flush()
            pieces.put(None)
        except Exception as error:  # noqa: BLE001 - whoever reads has to know that it is not whole
            with suppress(BackupFailed):
                pieces.put(error)

    loop, threads = asyncio.get_running_loop(), ThreadPoolExecutor(2, "archive")
    writing = loop.run_in_executor(threads, run)
    try:
        while (piece := await loop.run_in_executor(threads, pieces.take)) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        kept.stopped.set()
        await asyncio.gather(writing, return_exceptions=True)
        threads.shutdown(wait=False)
