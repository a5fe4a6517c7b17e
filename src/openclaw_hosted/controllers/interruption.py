"""Interruption: hears what is said of machines before they end, and has their instances move while they still answer.

A notice is confirmed only once a row says what follows from it. One that leaves time is remembered on the machine's row: its instance moves
once another machine is ready in its zone, one instance at a time, and never in the middle of a turn. The move itself is placement's work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import structlog

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.describing import describe
from openclaw_hosted.controllers.gateways import seat_of
from openclaw_hosted.controllers.mishaps import Mishaps
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import Conflict, Unavailable
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.lifecycle import Topic
from openclaw_hosted.domain.machine import Machine, MachineState
from openclaw_hosted.domain.notice import PATIENCE_SECONDS, PATIENT_KINDS, Notice, NoticeKind
from openclaw_hosted.ports.machines import MachineHealth
from openclaw_hosted.ports.notices import Delivery

log = structlog.get_logger("interruption")
SEEN_WITHIN_SECONDS = 60.0
"""How long after it was said the provider's listing may still show a machine as up that has ended."""


class InterruptionController:
    """One tick: hear what there is, and have one instance move that has time."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._mishaps = Mishaps(Topic.MOVES, ports, options)

    async def tick(self) -> None:
        """Look once."""
        if self._ports.notices is not None and (deliveries := await self._ports.notices.receive()):
            machines = {machine.provider_ref: machine for machine in await self._ports.machine_store.list_live()}
            settled = [delivery.receipt for delivery in deliveries if await self._settles(delivery, machines)]
            await self._ports.notices.confirm(settled)
        noticed = await self._ports.machine_store.list_noticed()
        if not any(machine.is_leaving(self._ports.clock.now()) and machine.notice in PATIENT_KINDS for machine in noticed):
            await self._move_one([machine for machine in noticed if machine.state is MachineState.ASSIGNED])
        self._mishaps.forget_others({machine.id for machine in noticed})

    async def _settles(self, delivery: Delivery, machines: Mapping[str | None, Machine]) -> bool:
        """Whether nothing more follows from a message. One about a machine that is not ours is dropped."""
        notice = delivery.notice
        machine = None if notice is None else machines.get(notice.provider_ref)
        if notice is None or machine is None:
            return True
        if notice.kind is NoticeKind.ENDED and not await self._has_ended(machine):
            return self._ports.clock.now() - notice.at > SEEN_WITHIN_SECONDS
        return await self._mishaps.guard(machine.id, self._take(notice, machine), instance_id=machine.instance_id, machine_id=machine.id)

    async def _take(self, notice: Notice, machine: Machine) -> None:
        rule = partial(lifecycle.notice, now=self._ports.clock.now(), kind=notice.kind, leaves_at=notice.leaves_at)
        await self._ports.machine_store.lose(machine.id, rule)

    async def _has_ended(self, machine: Machine) -> bool:
        """A message is not enough: the provider has to say so itself. One that is being launched may be missing from its listing."""
        observed = {seen.provider_ref: seen for seen in await self._ports.machines.observe()}
        if machine.state not in (MachineState.AVAILABLE, MachineState.ASSIGNED):
            return False
        seen = observed.get(machine.provider_ref or "")
        return seen is None or seen.health is MachineHealth.SHUTTING_DOWN

    async def _move_one(self, noticed: Sequence[Machine]) -> None:
        """Have the instance of one of these move, the most urgent first, where another machine is ready and it is at rest."""
        if not noticed:
            return
        pooled, _ = await self._ports.machine_store.list_pooled()
        ready = {machine.zone for machine in pooled if machine.state is MachineState.AVAILABLE}
        for machine in sorted(noticed, key=_urgency, reverse=True):
            if machine.zone not in ready or self._mishaps.rests(machine.id):
                continue
            moves: list[Machine] = []
            await self._mishaps.guard(machine.id, self._move(machine, moves), instance_id=machine.instance_id, machine_id=machine.id)
            if moves:
                return

    async def _move(self, machine: Machine, moves: list[Machine]) -> None:
        """Have its instance move, and note so in `moves`, unless this is no good moment."""
        ports = self._ports
        assert machine.instance_id is not None
        if (await ports.instance_store.get(machine.instance_id)).phase is not Phase.RUNNING or not await self._is_at_rest(machine):
            return
        now = ports.clock.now()
        await ports.machine_store.lose(machine.id, partial(lifecycle.leave, now=now, leaves_at=now + PATIENCE_SECONDS))
        moves.append(machine)

    async def _is_at_rest(self, machine: Machine) -> bool:
        """Whether no turn is under way. A gateway that does not tell is left where it is, unless an operator wants it gone."""
        try:
            rests = await self._ports.gateways.suspend(seat_of(machine))
            await self._ports.gateways.resume(seat_of(machine))
        except (Unavailable, Conflict) as error:
            log.warning("gateway does not tell whether it is at rest", error=describe(error))
            return machine.notice is NoticeKind.DRAIN
        return rests


def _urgency(machine: Machine) -> int:
    assert machine.notice is not None
    return PATIENT_KINDS.index(machine.notice)
