"""Keys: sees that a model's provider refuses the key of a running instance, and that it does so no more.

Once a minute it searches what all gateways with a key printed since the last look, and reads the logs of those of which a line may tell
of a refusal, and one more in turn: a search finds no line that was lost, or that stayed on its machine. Where logs can't be searched, or
not now, it reads those of some, first of those that were looked at longest ago. It asks the model nothing. A refusal stands until the
instance has other settings or was restarted, or until OpenClaw has counted more use of its model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Final

import structlog

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.describing import describe
from openclaw_hosted.controllers.gateways import seat_of
from openclaw_hosted.controllers.naming_lines import lines_about
from openclaw_hosted.domain.errors import PortError
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase
from openclaw_hosted.domain.key_refusal import LOG_LINES, MAYBE_REFUSED, KeyRefusal, is_over, refused_at
from openclaw_hosted.domain.machine import Machine, MachineState
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.ports.gateways import Seat
from openclaw_hosted.ports.stores import NewsStore

log = structlog.get_logger("keys")
LOOKS: Final = 20
"""In one tick: on AWS each is a command."""
Watched = Sequence[tuple[Instance, Machine]]
AT_ONCE: Final = 5
LOOK_SHARE: Final = 0.6
"""Of a lease: how long all looks of a tick may take. What is left comes first at the next one."""
IN_TURN: Final = 1
"""Beside a search: how many of those are read of which nothing was found, nor read for `IN_TURN_SECONDS`."""
IN_TURN_SECONDS: Final = 3600.0
SEARCHED_SECONDS: Final = 3600.0
"""How far back a search goes at most."""
LATE_SECONDS: Final = 120.0
"""How late a line may arrive where it is searched for."""


class KeysController:
    """One tick: look at some."""

    def __init__(self, ports: Ports, store: NewsStore, options: ControllerOptions) -> None:
        self._ports = ports
        self._store = store
        self._options = options
        self._looked: dict[InstanceId, float] = {}
        self._searched_at: float | None = None
        self._suspected: dict[InstanceId, float] = {}
        """Whose log may tell of a refusal, and when it was printed, until that log was read."""
        self._read: dict[InstanceId, float] = {}
        """Until when refusals that a log tells of are known, and are no news any more."""

    async def tick(self) -> None:
        """Look once."""
        refusals = await self._store.refusals()
        watched = await self._watched()
        gone = refusals.keys() - {instance.id for instance, _ in watched}
        if gone:
            await self._store.forget(gone)
        self._looked = {instance.id: self._looked.get(instance.id, 0.0) for instance, _ in watched}
        self._read = {each: at for each, at in self._read.items() if each in self._looked}
        due = sorted(await self._due(watched, refusals), key=lambda each: self._looked[each[0].id])[:LOOKS]
        turns = asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.timeout(self._options.lease_seconds * LOOK_SHARE):
                await asyncio.gather(*(self._look(*each, refusals.get(each[0].id), turns) for each in due))
        except TimeoutError:
            log.warning("not all logs were looked through")

    async def _due(self, watched: Watched, refusals: Collection[InstanceId]) -> Watched:
        """Those to be looked at: all in turn; where a search told which ones may have something to tell, these and few others."""
        unknown = [(instance, machine) for instance, machine in watched if instance.id not in refusals]
        ids = {instance.id for instance, _ in unknown}
        self._suspected = {each: at for each, at in self._suspected.items() if each in ids}
        if not await self._search(unknown):
            return watched
        before = self._ports.clock.now() - IN_TURN_SECONDS
        quiet = [each for each in unknown if each[0].id not in self._suspected and self._looked[each[0].id] <= before]
        told = [each for each in watched if each[0].id in refusals or each[0].id in self._suspected]
        return [*told, *sorted(quiet, key=lambda each: self._looked[each[0].id])[:IN_TURN]]

    async def _search(self, unknown: Watched) -> bool:
        """Suspect those whose lines since the last search may tell of a refusal; whether they could be searched."""
        if not unknown:
            return True
        now = self._ports.clock.now()
        since = now - SEARCHED_SECONDS if self._searched_at is None else max(now - SEARCHED_SECONDS, self._searched_at - LATE_SECONDS)
        try:
            found = await self._ports.gateways.find_lines([seat_of(machine) for _, machine in unknown], MAYBE_REFUSED, since)
        except PortError as error:
            log.warning("logs can't be searched, and are read one by one", error=describe(error))
            return False
        if found is None:
            return False
        self._searched_at = now
        for instance, _ in unknown:
            at = refused_at(found.get(instance.id, ()), instance)
            if at is not None and at > self._read.get(instance.id, 0.0):
                self._suspected[instance.id] = at
        return True

    async def _watched(self) -> Watched:
        """Those that run with a key of their own, on their machines."""
        machines = {machine.id: machine for machine in await self._ports.machine_store.list_live()}
        placed = [(each, machines.get(each.machine_id)) for each in await self._ports.instance_store.list_placed() if each.machine_id]
        return [
            (instance, machine)
            for instance, machine in placed
            if machine is not None and machine.state is MachineState.ASSIGNED and _has_key(instance)
        ]

    async def _look(self, instance: Instance, machine: Machine, known: KeyRefusal | None, turns: asyncio.Semaphore) -> None:
        async with turns:
            with lines_about(instance.id, machine.id):
                await self._take_a_look(instance, machine, known)

    async def _take_a_look(self, instance: Instance, machine: Machine, known: KeyRefusal | None) -> None:
        self._looked[instance.id] = self._ports.clock.now()
        seat = seat_of(machine)
        try:
            if known is None:
                await self._find(instance, seat)
            else:
                await self._end(instance, seat, known)
        except PortError as error:
            log.info("its log can't be read", error=describe(error))

    async def _find(self, instance: Instance, seat: Seat) -> None:
        at = refused_at(await self._ports.gateways.logs(seat, LOG_LINES), instance)
        if at is not None and at > self._read.get(instance.id, 0.0):
            refusal = KeyRefusal(instance.id, at, await self._tokens(seat))
            await self._store.refuse(refusal, self._event(EventName.INSTANCE_KEY_REFUSED, instance))
        self._note_read(instance.id, at or 0.0, self._suspected.pop(instance.id, 0.0))

    async def _end(self, instance: Instance, seat: Seat, known: KeyRefusal) -> None:
        if is_over(known, instance, await self._tokens(seat)):
            await self._store.forget([instance.id], [self._event(EventName.INSTANCE_KEY_REFUSAL_OVER, instance)])
            self._note_read(instance.id, known.since)

    def _note_read(self, instance_id: InstanceId, *at: float) -> None:
        self._read[instance_id] = max(self._read.get(instance_id, 0.0), *at)

    async def _tokens(self, seat: Seat) -> int | None:
        """What it has used today, if it says."""
        today = f"{datetime.fromtimestamp(self._ports.clock.now(), UTC):%Y-%m-%d}"
        try:
            return sum(day.tokens for day in await self._ports.gateways.usage(seat, 1) if day.date == today)
        except PortError:
            return None

    def _event(self, name: EventName, instance: Instance) -> Event:
        return Event(name, self._ports.clock.now(), instance.id, instance.machine_id, instance.owner_id)


def _has_key(instance: Instance) -> bool:
    is_up = instance.phase is Phase.RUNNING and instance.desired is not DesiredState.DELETED
    return is_up and Credential.MODEL_API_KEY in instance.credential_names
