"""Files with holes: where their data is, and copies that keep the holes.

A tenant makes a file of a terabyte in an instant, with nothing in it. What is copied, and counted, is the data.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from typing import Final

Extent = tuple[int, int]
"""Where data begins, and how long it is, in bytes."""
HOLE_BYTES: Final = 1 << 20
"""A shorter hole is copied as what it reads as: zeros."""
MOST_EXTENTS: Final = 10_000
"""After so many, the rest of a file counts as data."""
LONGEST_BYTES: Final = 1 << 40
"""No longer file is kept, however empty: another computer's file system may not take it."""
BLOCK_BYTES: Final = 1 << 20


def extents_of(descriptor: int) -> list[Extent]:
    """Where the data of a file is; all of it where its file system does not tell."""
    size, at = os.fstat(descriptor).st_size, 0
    found: list[Extent] = []
    for _ in range(MOST_EXTENTS):
        start = _seek(descriptor, at, os.SEEK_DATA)
        if start is None or start >= size:
            return found
        end = min(_seek(descriptor, start, os.SEEK_HOLE) or size, size)
        if found and start - sum(found[-1]) < HOLE_BYTES:
            start = found.pop()[0]
        found.append((start, end - start))
        at = end
    return [*found, (at, size - at)] if at < size else found


def data_bytes(extents: Sequence[Extent]) -> int:
    """How much data that is."""
    return sum(length for _, length in extents)


def copy_data(source: int, target: int, stopped: Callable[[], None]) -> int:
    """Copy what `source` holds now to the empty file `target`, holes kept; returns its length. Calls `stopped` now and then."""
    size = os.fstat(source).st_size
    for start, length in extents_of(source):
        at, end = start, start + length
        while at < end and (block := os.pread(source, min(BLOCK_BYTES, end - at), at)):
            stopped()
            os.pwrite(target, block, at)
            at += len(block)
    os.ftruncate(target, size)
    return size


def _seek(descriptor: int, at: int, whence: int) -> int | None:
    try:
        return os.lseek(descriptor, at, whence)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        return at if whence == os.SEEK_DATA else os.fstat(descriptor).st_size
