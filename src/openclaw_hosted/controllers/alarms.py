"""Alarms: judges what is worth waking somebody for, and tells.

Looks once a minute, at rows and events, and at the disk that volumes share. What it found stands in the store before anybody is told, and
that somebody was told stands there afterwards: after a crash between the two, one message comes twice and none is lost. A channel that
fails is tried again at the next look, and keeps no other channel from being told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import structlog

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.describing import describe
from openclaw_hosted.controllers.looking import monthly_cost, recent_events
from openclaw_hosted.domain.alarms import ALARMS, AlarmGauge, AlarmState, Measured, Told, alarm_named, due, judge, news
from openclaw_hosted.domain.errors import PortError
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.metering import LOOP_SECONDS, MeterView, Metric, take_readings
from openclaw_hosted.domain.room import in_gigabytes
from openclaw_hosted.ports.alarms import AlarmChannel, AlarmStore

log = structlog.get_logger("alarms")
LAUNCHES_SECONDS: Final = 300.0
TELL_SECONDS: Final = 6.0
"""How long a channel may take for all that it has to tell, so that a tick ends within its lease; the rest is told at the next one."""
NAMED: Final = 5
"""How many things a message names."""
MOST_FAILED: Final = 100
"""How many failed instances are counted."""


class AlarmsController:
    """One tick: measure, judge, write, tell."""

    def __init__(self, ports: Ports, store: AlarmStore, options: ControllerOptions) -> None:
        self._ports = ports
        self._store = store
        self._options = options

    async def tick(self) -> None:
        """Look once."""
        now = self._ports.clock.now()
        memory = await self._ports.platform_store.pool_memory()
        limits = replace(self._options.limits, spares=self._options.policy.wanted(memory.spares))
        before = {state.name: state for state in await self._store.list()}
        measured = await self._measure(now)
        judged: list[AlarmState] = []
        for alarm in ALARMS:
            if alarm.gauge is not None:
                state = before.get(alarm.name, AlarmState(alarm.name))
                judged.append(judge(alarm, limits.of(alarm), measured.get(alarm.gauge), state, now))
        changed = [state for state in judged if state != before.get(state.name)]
        await self._store.save(changed, [event for state in changed if (event := _event(before.get(state.name), state, now)) is not None])
        await self._store.save(await self._tell_all(judged, now), ())

    async def _measure(self, now: float) -> dict[AlarmGauge, Measured]:
        ports = self._ports
        events = await recent_events(ports.platform_store, now - LOOP_SECONDS)
        launches = [event for event in events if event.at > now - LAUNCHES_SECONDS]
        machines, placed = await ports.machine_store.list_live(), await ports.instance_store.list_placed()
        readings = {
            reading.metric: reading.values[0]
            for reading in take_readings(MeterView(machines, placed, launches, events, assignment_seconds=()))
        }
        failed = [instance.id for instance in await ports.instance_store.list_page(MOST_FAILED, phase=Phase.FAILED)]
        hung = {event.instance_id or event.machine_id or "" for event in events if event.name is EventName.GATEWAY_HUNG}
        measured = {
            AlarmGauge.SPARES: Measured(readings[Metric.AVAILABLE]),
            AlarmGauge.LAUNCH_FAILURES: Measured(readings[Metric.LAUNCH_FAILURES]),
            AlarmGauge.CRASH_LOOPS: Measured(readings[Metric.CRASH_LOOPS]),
            AlarmGauge.HANGS: Measured(len(hung), _named(sorted(hung))),
            AlarmGauge.FAILED: Measured(len(failed), _named(failed)),
        }
        return {**measured, **await self._disk(), **await self._cost(machines)}

    async def _disk(self) -> Mapping[AlarmGauge, Measured]:
        try:
            found = await self._ports.volumes.crowding()
        except PortError as error:
            log.warning("nobody can tell who fills the disk", error=describe(error))
            return {}
        held = [f"{large.instance_id or large.volume_id} holds {in_gigabytes(large.held_bytes)}" for large in found]
        return {AlarmGauge.CROWDING: Measured(len(found), _named(held))}

    async def _cost(self, machines: Sequence[Machine]) -> Mapping[AlarmGauge, Measured]:
        usd = await monthly_cost(self._ports, self._options, machines)
        return {} if usd is None else {AlarmGauge.COST: Measured(round(usd, 2))}

    async def _tell_all(self, judged: Sequence[AlarmState], now: float) -> Sequence[AlarmState]:
        """Tell each channel what it has not heard. Returns the alarms of which some channel heard something."""
        heard = await asyncio.gather(*(self._tell(channel, judged, now) for channel in self._ports.alarm_channels))
        new = {state.name: {name: told[state.name] for name, told in heard if state.name in told} for state in judged}
        return [replace(state, told={**state.told, **new[state.name]}) for state in judged if new[state.name]]

    async def _tell(self, channel: AlarmChannel, judged: Sequence[AlarmState], now: float) -> tuple[str, Mapping[str, Told]]:
        """What this channel heard, by alarm."""
        heard: dict[str, Told] = {}
        try:
            async with asyncio.timeout(TELL_SECONDS):
                for state in judged:
                    happened, alarm = due(state, channel.name, now), alarm_named(state.name)
                    if happened is not None and alarm is not None:
                        at = {"began": _moment(state.began_at), "ended": _moment(state.ended_at)}
                        await channel.tell(news(alarm, state, happened, self._options.address, at))
                        heard[state.name] = happened
        except (PortError, TimeoutError) as error:
            log.warning("alarm not told", channel=channel.name, error=describe(error))
        return channel.name, heard


def _event(before: AlarmState | None, after: AlarmState, now: float) -> Event | None:
    was_on = before is not None and before.is_on
    if after.is_on == was_on:
        return None
    name = EventName.ALARM_BEGAN if after.is_on else EventName.ALARM_ENDED
    detail: dict[str, str | int | float] = {"alarm": after.name}
    if after.value is not None:
        detail["value"] = after.value
    if after.about:
        detail["about"] = after.about
    return Event(name, now, detail=detail)


def _named(things: Sequence[str]) -> str:
    more = len(things) - NAMED
    return ", ".join(things[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _moment(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
