"""Metering: tells the meter how the platform does.

Reads rows and events once a minute, and publishes all of it at once: pool size, how long new users waited, health of the gateways, failed
launches, and on AWS what it all costs. It changes nothing. Events since its last reading are read again after a failed one; a replica that
takes over begins a minute back.
"""

from __future__ import annotations

from collections.abc import Sequence

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.looking import PAGE, monthly_cost, recent_events
from openclaw_hosted.controllers.mishaps import Mishaps
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.metering import LOOP_SECONDS, MeterView, first_run, take_readings
from openclaw_hosted.domain.naming import InstanceId


class MeteringController:
    """One tick: look, count, publish."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._options = options
        self._read_until: int | None = None
        """The id of the newest event that was published."""
        self._mishaps = Mishaps("metering", ports, options)

    async def tick(self) -> None:
        """Publish once."""
        ports, now = self._ports, self._ports.clock.now()
        recent = await recent_events(ports.platform_store, now - LOOP_SECONDS)
        fresh = [event for event in recent if self._is_fresh(event, now)]
        machines = await ports.machine_store.list_live()
        view = MeterView(
            machines=machines,
            placed=await ports.instance_store.list_placed(),
            fresh=fresh,
            recent=recent,
            assignment_seconds=await self._assignments(fresh),
            monthly_cost=await monthly_cost(ports, self._options, machines),
        )
        await ports.meter.publish(take_readings(view))
        self._read_until = max((event.id or 0 for event in recent), default=self._read_until or 0)

    def _is_fresh(self, event: Event, now: float) -> bool:
        if self._read_until is None:
            return event.at > now - self._options.metering_seconds
        return (event.id or 0) > self._read_until

    async def _assignments(self, fresh: Sequence[Event]) -> Sequence[float]:
        """How long each instance took that ran for the first time, in seconds."""
        found: list[float] = []
        for running in fresh:
            if running.name is EventName.INSTANCE_RUNNING and (instance_id := running.instance_id) is not None:
                await self._mishaps.guard(instance_id, self._add_assignment(found, running, instance_id), instance_id=instance_id)
        return found

    async def _add_assignment(self, found: list[float], running: Event, instance_id: InstanceId) -> None:
        history = await self._ports.platform_store.events(instance_id=instance_id, limit=PAGE)
        seconds = first_run(history, running)
        if seconds is not None:
            found.append(seconds)
