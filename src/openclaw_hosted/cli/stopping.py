"""How a part of the control plane ends: in good order where that takes seconds, and in any case soon.

A thread can't be ended from outside, and Python waits for each before it exits. What is cut off here is left as a power failure would
leave it, and the next start mends that.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from typing import Final

LAST_RESORT_SECONDS: Final = 8.0
"""After being told to stop; process managers and `openclaw-hosted down` wait longer."""


def stop_event() -> asyncio.Event:
    """Set by the first Ctrl-C or SIGTERM, `LAST_RESORT_SECONDS` after which the process is gone; the second ends it at once."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if event.is_set():
            os._exit(130)
        event.set()
        _arm()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked)
    return event


def _arm() -> None:
    last_resort = threading.Timer(LAST_RESORT_SECONDS, _cut_off)
    last_resort.daemon = True
    last_resort.start()


def _cut_off() -> None:
    """Leave without waiting for anybody. The locks of this process end with it."""
    print(f"Something did not stop within {LAST_RESORT_SECONDS:.0f} seconds and was cut off.", file=sys.stderr, flush=True)
    os._exit(0)
