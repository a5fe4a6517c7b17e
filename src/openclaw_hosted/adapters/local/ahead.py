"""OpenClaw is loaded before its state is free: a quarter of its start, and none of it touches the volume.

The program is the one that serves afterwards. It waits for as long as a file says so (oc-hosted/ahead.mjs), which is there before the
program is, and which `LocalGateways.start` alone takes away, once the volume is attached. So whatever dies in between, either it waits on,
or it begins as any other start does.
"""

from __future__ import annotations

import asyncio
from typing import Final

from openclaw_hosted.adapters.local.gateway_home import GatewayHome
from openclaw_hosted.adapters.local.processes.process import Program
from openclaw_hosted.adapters.openclaw.logs import tail
from openclaw_hosted.domain.gateway import GatewaySpec
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.gateways import PREPARE_SECONDS, STAND_BY_SECONDS

POLL_SECONDS: Final = 0.05
LINES: Final = 20
"""A program that waits prints one."""
STANDS_BY: Final = "standing by:"
"""How an order begins after which the same machine goes on with another state: a restart is enough for it to begin. The program of a
machine that an instance moves to waits for its volume, and for `start` alone."""


async def load_ahead(home: GatewayHome, spec: GatewaySpec, program: Program, clock: Clock, *, written_for: str) -> None:
    """Have it loaded and waiting. Where that takes too long, it goes on loading by itself."""
    order = f"{spec.instance_id}, generation {spec.generation}"
    await asyncio.to_thread(home.hold, order)
    await asyncio.to_thread(home.note, spec, in_force=False, written_for=written_for)
    await home.process.ensure(program)
    await _loaded(home, order, clock)


async def stand_by(home: GatewayHome, instance_id: str, clock: Clock) -> bool:
    """Have what runs on a machine end, and the same program loaded and waiting; whether it does, in time. It may wait for
    `STAND_BY_SECONDS` from the last call on."""
    order = await asyncio.to_thread(home.order)
    if order.startswith(STANDS_BY):
        await asyncio.to_thread(home.hold, order)
    else:
        order = f"{STANDS_BY} {instance_id} {clock.now()}"
        await asyncio.to_thread(home.hold, order)
        await home.process.restart()
    return await _loaded(home, order, clock)


def stands_by(home: GatewayHome) -> bool:
    """Whether it was told to stand by, and not to begin yet."""
    return home.order().startswith(STANDS_BY)


def stands_by_now(home: GatewayHome, now: float) -> bool:
    """The same, for no longer than it may wait."""
    return stands_by(home) and now - (home.held_at() or 0.0) < STAND_BY_SECONDS


async def _loaded(home: GatewayHome, order: str, clock: Clock) -> bool:
    deadline = clock.monotonic() + PREPARE_SECONDS
    while not (loaded := await asyncio.to_thread(_is_loaded, home, order)) and clock.monotonic() < deadline:
        await clock.sleep(POLL_SECONDS)
    return loaded


def _is_loaded(home: GatewayHome, order: str) -> bool:
    return any(f"waiting for the state ({order})" in line for line in tail(home.log_path, LINES))
