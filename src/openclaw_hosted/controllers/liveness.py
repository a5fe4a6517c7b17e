"""Liveness: sees that what is said to run does run.

Looks at all machines in one listing, and at each gateway. What is gone is given up: a spare is condemned, an assigned machine lost, so
that placement finds another; an assigned one that stopped is started. A gateway that does not answer, on a machine that is there, is
started before anything else: the machine may have been rebooted. One bad look is never enough. Where the provider no longer has a
machine, that one is looked at again soon, since its user waits; the others keep their pace. What surprises it about one machine, or takes
too long, is that machine's alone. What it saw stands in the store, for whoever looks next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

import structlog

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.describing import describe
from openclaw_hosted.controllers.gateways import EXIT_SETTINGS_REFUSED, seat_of
from openclaw_hosted.controllers.mishaps import Mishaps
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import Conflict, NotFound, PortError, ProviderAway, StateConflict
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.machine import Machine, MachineFailure, MachineState, Warmth
from openclaw_hosted.domain.naming import MachineId
from openclaw_hosted.domain.observation import Observation
from openclaw_hosted.ports.gateways import GatewayStatus
from openclaw_hosted.ports.machines import MachineHealth, ObservedMachine

log = structlog.get_logger("liveness")
LOOK_SHARE = 0.45
"""Of a lease: how long one machine is looked at. A tick ends with its lease, whatever is left to do."""
ACT_SHARE = 0.25
"""Of a lease: how long acting on what was seen may take."""
LOOKS_AT_ONCE = 50
"""Hundreds at once would each wait for all, and time out. Those that a tick did not come to are the first of the next one."""


class LivenessController:
    """One tick: look at everything, mend what is wrong."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._options = options
        self._mishaps = Mishaps("liveness", ports, options)
        self._put_off: frozenset[MachineId] = frozenset()
        self._gone: frozenset[MachineId] = frozenset()
        """Those that the provider did not have at the last look."""
        self._all_due_at = 0.0

    async def tick(self) -> float:
        """Look once: at all, or until that is due again at those that were gone. Returns when to look again, in seconds."""
        began = self._ports.clock.monotonic()
        observed = {seen.provider_ref: seen for seen in await self._ports.machines.observe()}
        machines = [m for m in await self._ports.machine_store.list_live() if m.state in (MachineState.AVAILABLE, MachineState.ASSIGNED)]
        before = await self._ports.machine_store.observations()
        looks = [
            _Look(self._ports, self._options, m, observed.get(m.provider_ref or ""), before.get(m.id, Observation(m.id))) for m in machines
        ]
        if self._gone and began < self._all_due_at:
            await self._look([look for look in looks if look.machine.id in self._gone], before)
        else:
            await self._look(looks, before)
            self._all_due_at = began + self._options.liveness_seconds
            self._put_off &= {machine.id for machine in machines}
            self._mishaps.forget_others({machine.id for machine in machines})
        self._gone = frozenset(look.machine.id for look in looks if look.is_gone)
        return self._options.gone_again_seconds if self._gone else max(self._all_due_at - began, 0.0)

    async def _look(self, looks: list[_Look], before: Mapping[MachineId, Observation]) -> None:
        looks.sort(key=lambda look: look.machine.id not in self._put_off)
        turns, begun = asyncio.Semaphore(LOOKS_AT_ONCE), set[MachineId]()
        try:
            await asyncio.gather(*(self._guarded(look, turns, begun) for look in looks))
        finally:  # what was seen counts, though the tick may have taken too long
            self._put_off = (self._put_off | {look.machine.id for look in looks}) - begun
            seen = [look.observation for look in looks if look.observation != before.get(look.machine.id)]
            await self._ports.machine_store.observe(seen)

    async def _guarded(self, look: _Look, turns: asyncio.Semaphore, begun: set[MachineId]) -> None:
        machine = look.machine
        async with turns:
            begun.add(machine.id)
            if not self._mishaps.rests(machine.id):
                await self._mishaps.guard(machine.id, look.take(), instance_id=machine.instance_id, machine_id=machine.id)


class _Look:
    """A look at one machine, and what follows from it. `observation` is what was seen until now."""

    def __init__(
        self, ports: Ports, options: ControllerOptions, machine: Machine, seen: ObservedMachine | None, observation: Observation
    ) -> None:
        self._ports = ports
        self._options = options
        self.machine = machine
        self._seen = seen
        self.observation = observation

    @property
    def is_gone(self) -> bool:
        """Whether the provider has the machine no more, or ends it."""
        return self._seen is None or self._seen.health is MachineHealth.SHUTTING_DOWN

    async def take(self) -> None:
        """Look, and act once it was bad too often in a row."""
        try:
            async with asyncio.timeout(self._options.lease_seconds * LOOK_SHARE):
                if await self._is_well():
                    self._note(bad_looks=0)
                    await self._keep_warm()
                    return
        except ProviderAway as error:
            log.warning("provider does not answer", error=str(error))
            return
        except (PortError, TimeoutError) as error:
            log.warning("look failed", error=describe(error))
        self._note(bad_looks=self.observation.bad_looks + 1)
        if self.observation.bad_looks >= self._options.dead_after_looks:
            with suppress(TimeoutError):  # what was begun goes on, and the next look sees what came of it
                async with asyncio.timeout(self._options.lease_seconds * ACT_SHARE):
                    await self._give_up()

    def _note(self, **seen: int | float | bool | None) -> None:
        self.observation = replace(self.observation, **seen)  # type: ignore[arg-type]

    async def _is_well(self) -> bool:
        machine, seen = self.machine, self._seen
        if seen is None or self.is_gone:
            return False
        if seen.health is MachineHealth.STOPPED:
            return machine.state is MachineState.ASSIGNED and await self._start(seen)
        if seen.address is not None and seen.address != machine.address:
            self.machine = machine = await self._ports.machine_store.update(machine.id, partial(lifecycle.relocate, address=seen.address))
        if machine.warmth is not Warmth.HOT and machine.state is MachineState.AVAILABLE:
            return True
        status = await self._ports.gateways.status(seat_of(machine))
        await self._notice_restarts(status.restarts)
        await self._mend_gateway(status)
        if machine.state is MachineState.AVAILABLE:
            return status.ready and status.instance_id == machine.reserved_instance_id
        self._remember_answer(status)
        return status.ready or status.stopping or status.stands_by

    async def _start(self, seen: ObservedMachine) -> bool:
        try:
            await self._ports.machines.start(seen.provider_ref)
        except (Conflict, NotFound):
            self._note(bad_looks=self._options.dead_after_looks)
            return False
        return True

    def _remember_answer(self, status: GatewayStatus) -> None:
        if status.ready:
            self._note(answered=True, answering_since=status.started_at)
        elif not status.running or self.observation.answering_since != status.started_at:
            self._note(answered=False, answering_since=None)

    async def _mend_gateway(self, status: GatewayStatus) -> None:
        """Have placement look at a gateway that names the platform's old addresses, or that ended over its settings."""
        if not status.running and status.exit_code == EXIT_SETTINGS_REFUSED:
            await self._ask_update("its settings were refused")
        elif status.outdated:
            await self._ask_update("the platform's address changed")

    async def _ask_update(self, reason: str) -> None:
        if self.machine.instance_id is not None:
            rule = partial(lifecycle.ask_update, now=self._ports.clock.now(), reason=reason)
            await self._ports.instance_store.update(self.machine.instance_id, rule)

    async def _notice_restarts(self, restarts: int) -> None:
        before = self.observation.restarts
        self._note(restarts=restarts)
        if before is not None and restarts > before:
            await self._say(EventName.GATEWAY_RESTARTED, restarts=restarts)

    async def _keep_warm(self) -> None:
        """Touch a hot spare now and then, so that its user does not pay for what it let go of while nobody asked."""
        machine, now = self.machine, self._ports.clock.now()
        if machine.state is not MachineState.AVAILABLE or machine.warmth is not Warmth.HOT or machine.provider_ref is None:
            return
        touched_at = machine.state_changed_at if self.observation.touched_at is None else self.observation.touched_at
        if not 0 <= now - touched_at < self._options.keep_warm_seconds:
            self._note(touched_at=now)
            await self._ports.gateways.keep_warm(seat_of(machine))

    async def _give_up(self) -> None:
        """What is gone, or can't be started, at once. A spare that is there gets until `hung_after_looks` to answer again; an assigned
        machine that is there is placement's to give up."""
        machine, store, now = self.machine, self._ports.machine_store, self._ports.clock.now()
        gone = self.is_gone or (self._seen is not None and self._seen.health is MachineHealth.STOPPED)
        hung = self.observation.bad_looks >= self._options.hung_after_looks
        if machine.state is MachineState.AVAILABLE and (gone or hung):
            with suppress(StateConflict):
                await store.update(machine.id, partial(lifecycle.condemn, now=now, failure=MachineFailure.DIED, unassigned_only=True))
        elif gone:
            await store.lose(machine.id, partial(lifecycle.lose, now=now))
        else:
            await self._ask_update("its OpenClaw does not answer")
            await self._revive(hangs=hung and self.observation.answered)

    async def _revive(self, *, hangs: bool) -> None:
        """Start what ended with the machine's reboot, say; end by force what hangs."""
        gateways, seat = self._ports.gateways, seat_of(self.machine)
        if hangs:
            await self._say(EventName.GATEWAY_HUNG)
        with suppress(PortError):
            await (gateways.restart(seat, at_once=True) if hangs else gateways.revive(seat))

    async def _say(self, name: EventName, **detail: int) -> None:
        event = Event(name, self._ports.clock.now(), self.machine.instance_id, self.machine.id, detail=detail)
        await self._ports.platform_store.add_event(event)
