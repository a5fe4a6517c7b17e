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
from openclaw_hosted.ports.gateways import PREPARE_SECONDS

POLL_SECONDS: Final = 0.05
LINES: Final = 20
"""A program that waits prints one."""


async def load_ahead(home: GatewayHome, spec: GatewaySpec, program: Program, clock: Clock, *, written_for: str) -> None:
    """Have it loaded and waiting. Where that takes too long, it goes on loading by itself."""
    order = f"{spec.instance_id}, generation {spec.generation}"
    await asyncio.to_thread(home.hold, order)
    await asyncio.to_thread(home.note, spec, in_force=False, written_for=written_for)
    await home.process.ensure(program)
    deadline = clock.monotonic() + PREPARE_SECONDS
    while clock.monotonic() < deadline and not await asyncio.to_thread(_is_loaded, home, order):
        await clock.sleep(POLL_SECONDS)


def _is_loaded(home: GatewayHome, order: str) -> bool:
    return any(f"waiting for the state ({order})" in line for line in tail(home.log_path, LINES))
