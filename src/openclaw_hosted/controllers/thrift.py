"""Thrift: a machine that serves a user may cost more than its price for an hour, and not for good.

Machines of some kinds earn the right to be busy by being idle, and can be lent more for money (CPU credits on AWS). A new machine has
earned nothing, so that it is lent what its user's first hour takes; after that it lives on what it has earned. Looks once in minutes,
and nobody waits for it. What could not be told that yet is told next time.
"""

from __future__ import annotations

from typing import Final

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.domain.machine import MachineState

MOST_AT_ONCE: Final = 100


class Thrift:
    """What housekeeping does about machines: asks for those whose hour is over."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._options = options
        self._seen_at: float | None = None
        self._thrifty: frozenset[str] = frozenset()
        """Those that were told so by this process, by the provider's ids; being told again changes nothing."""

    async def tick(self) -> None:
        """Look, where it is time to: first a while after the start, and then as long after each look that went well."""
        now = self._ports.clock.monotonic()
        if self._seen_at is None:
            self._seen_at = now
        if now - self._seen_at >= self._options.thrift_seconds:
            await self.look()
            self._seen_at = now

    async def look(self) -> None:
        """Look once."""
        ports = self._ports
        over = ports.clock.now() - self._options.generous_seconds
        assigned = [machine for machine in await ports.machine_store.list_live() if machine.state is MachineState.ASSIGNED]
        due = frozenset(machine.provider_ref for machine in assigned if machine.provider_ref and machine.state_changed_at <= over)
        self._thrifty &= due
        asked = sorted(due - self._thrifty)
        for start in range(0, len(asked), MOST_AT_ONCE):
            self._thrifty |= frozenset(await ports.machines.economize(asked[start : start + MOST_AT_ONCE]))
