"""How each user's container is, as lines of the platform's log: the dashboard of terraform/monitoring.tf makes a table of them.

A metric for each instance would cost a tenth of what the instance does (decision 36).
"""

from __future__ import annotations

from typing import Final

import structlog

from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.gateways import GatewayStatus, Seat

log = structlog.get_logger("health")
EVENT: Final = "container health"
AGAIN_SECONDS: Final = 600.0
"""After how long what has not changed is told again; the table looks back further than that."""
MOST: Final = 20_000
"""Containers that are remembered; beyond that all are told anew."""


class HealthLog:
    """Tells what changed, and the rest now and then."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[tuple[str, InstanceId], tuple[str, int, float]] = {}

    def note(self, seat: Seat, status: GatewayStatus) -> None:
        """What was just seen of a container."""
        key, health, now = (seat.provider_ref, seat.instance_id), health_of(status), self._clock.monotonic()
        told = self._told.get(key)
        if told is not None and told[:2] == (health, status.restarts) and now - told[2] < AGAIN_SECONDS:
            return
        if len(self._told) >= MOST:
            self._told.clear()
        self._told[key] = (health, status.restarts, now)
        log.info(EVENT, instance=seat.instance_id, ref=seat.provider_ref, health=health, restarts=status.restarts)


def health_of(status: GatewayStatus) -> str:
    """In one word."""
    if status.ready:
        return "ready"
    if status.stopping:
        return "stopping"
    return "starting" if status.running else "down"
