"""Housekeeping: lets go of what has expired, a machine's generous first hour included, and of history beyond what is kept, a little at a
time."""

from __future__ import annotations

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.thrift import Thrift


class HousekeepingController:
    """One tick: sweep and prune, and what the provider may bill."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._options = options
        self._thrift = Thrift(ports, options)

    async def tick(self) -> float | None:
        """Look once; returns after how many seconds to look again, where more is left to prune."""
        ports, options, now = self._ports, self._options, self._ports.clock.now()
        await ports.account_store.sweep(now)
        more = await ports.platform_store.prune(
            events_before=now - options.events_kept_seconds,
            machines_before=now - options.machines_kept_seconds,
            steps_kept=options.steps_kept,
        )
        await self._thrift.tick()
        return options.scan_seconds if more else None
