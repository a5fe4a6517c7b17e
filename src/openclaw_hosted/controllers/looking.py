"""What metering and alarms both look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.domain.cost import count_holdings, estimate
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.ports.stores import PlatformStore

PAGE: Final = 200
MOST_EVENTS: Final = 5000
"""How many events a look takes in, the newest first; more within ten minutes are a flood that needs no exact number."""


async def recent_events(store: PlatformStore, since: float) -> Sequence[Event]:
    """What happened since then, the newest first."""
    found: list[Event] = []
    before: int | None = None
    while len(found) < MOST_EVENTS:
        page = await store.events(before_id=before, limit=PAGE)
        found += [event for event in page if event.at > since]
        if len(page) < PAGE or page[-1].at <= since:
            break
        before = page[-1].id
    return found


async def monthly_cost(ports: Ports, options: ControllerOptions, machines: Sequence[Machine]) -> float | None:
    """What exists, in US dollars a month; None where nothing costs money."""
    if options.deployment is None:
        return None
    points = await ports.point_store.list_all()
    return estimate(count_holdings(machines, await ports.instance_store.kept_phases(), points), options.deployment).total_usd
