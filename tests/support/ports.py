"""Ports of this computer for what tests start."""

from __future__ import annotations

import os
import socket
from itertools import count

FIRST, LAST = 10_000, 32_000
"""Below those that the system gives to outgoing connections, so that none of these takes one that was chosen."""
WORKERS = 10
SHARE = (LAST - FIRST) // WORKERS
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
_numbers = count(os.getpid() * 97)


def free_port() -> int:
    """A loopback port that nothing listens on, and that no other worker chooses meanwhile."""
    for number in _numbers:
        port = FIRST + _worker * SHARE + number % SHARE
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("unreachable")
