"""Keys: sees that a model's provider refuses the key of a running instance, and that it does so no more.

Looks once a minute through the logs of some gateways that have a key, those first that were looked at longest ago, and asks the model
nothing. A refusal stands until the instance has other settings or was restarted, or until OpenClaw has counted more use of its model.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

import structlog

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.describing import describe
from openclaw_hosted.controllers.gateways import seat_of
from openclaw_hosted.domain.errors import PortError
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase
from openclaw_hosted.domain.key_refusal import LOG_LINES, KeyRefusal, is_over, refused_at
from openclaw_hosted.domain.machine import Machine, MachineState
from openclaw_hosted.domain.naming import InstanceId
from openclaw_hosted.ports.gateways import Seat
from openclaw_hosted.ports.stores import NewsStore

log = structlog.get_logger("keys")
LOOKS: Final = 20
"""In one tick: on AWS each is a command."""
AT_ONCE: Final = 5
LOOK_SHARE: Final = 0.6
"""Of a lease: how long all looks of a tick may take. What is left comes first at the next one."""


class KeysController:
    """One tick: look at some."""

    def __init__(self, ports: Ports, store: NewsStore, options: ControllerOptions) -> None:
        self._ports = ports
        self._store = store
        self._options = options
        self._looked: dict[InstanceId, float] = {}

    async def tick(self) -> None:
        """Look once."""
        refusals = await self._store.refusals()
        watched = await self._watched()
        gone = refusals.keys() - {instance.id for instance, _ in watched}
        if gone:
            await self._store.forget(gone)
        self._looked = {instance.id: self._looked.get(instance.id, 0.0) for instance, _ in watched}
        due = sorted(watched, key=lambda each: self._looked[each[0].id])[:LOOKS]
        turns = asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.timeout(self._options.lease_seconds * LOOK_SHARE):
                await asyncio.gather(*(self._look(*each, refusals.get(each[0].id), turns) for each in due))
        except TimeoutError:
            log.warning("not all logs were looked through")

    async def _watched(self) -> list[tuple[Instance, Machine]]:
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
            self._looked[instance.id] = self._ports.clock.now()
            seat = seat_of(machine)
            try:
                if known is None:
                    await self._find(instance, seat)
                else:
                    await self._end(instance, seat, known)
            except PortError as error:
                log.info("its log can't be read", instance=instance.id, error=describe(error))

    async def _find(self, instance: Instance, seat: Seat) -> None:
        at = refused_at(await self._ports.gateways.logs(seat, LOG_LINES), instance)
        if at is not None:
            refusal = KeyRefusal(instance.id, at, await self._tokens(seat))
            await self._store.refuse(refusal, self._event(EventName.INSTANCE_KEY_REFUSED, instance))

    async def _end(self, instance: Instance, seat: Seat, known: KeyRefusal) -> None:
        if is_over(known, instance, await self._tokens(seat)):
            await self._store.forget([instance.id], [self._event(EventName.INSTANCE_KEY_REFUSAL_OVER, instance)])

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
