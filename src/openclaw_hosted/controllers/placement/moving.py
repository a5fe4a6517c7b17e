"""How an instance leaves a machine that still answers: all that needs no state is done before its gateway is told to stop.

The order is what keeps two machines from writing one instance's state: the old gateway has stopped, then the volume is detached, and only
then is it attached elsewhere. Where the old machine does not do as it is told, readiness ends it, and the volume is free after that.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import Final

import structlog

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.describing import describe
from openclaw_hosted.controllers.gateways import seat_of
from openclaw_hosted.controllers.placement.seating import spec_of
from openclaw_hosted.controllers.placement.steps import StepRecorder
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import Conflict, NotFound, ProviderAway, Unavailable
from openclaw_hosted.domain.instance import Instance, Phase, StepName
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.notice import PATIENT_KINDS
from openclaw_hosted.ports.gateways import PREPARE_SECONDS

log = structlog.get_logger("moving")
RESERVE_SECONDS: Final = 30.0
"""What is left of a notice once the gateway has stopped: for the volume to be unmounted and detached, while the machine is there."""
LEAST_SECONDS: Final = 5.0
"""What a gateway gets to write what it has in hand, however late it is told."""
LOOK_SCANS: Final = 3.0
"""How often a gateway is asked whether it is at rest, in scans."""


class Moving:
    """Takes an instance off the machine that it leaves."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._options = options

    async def leave_old(self, instance: Instance, machine: Machine, connected: asyncio.Event, steps: StepRecorder) -> None:
        """Have its gateway stop on the machine that it leaves, if it leaves one, once `machine` is ready and `connected`, and free its
        volume. A turn under way is finished first, as far as there is time."""
        if instance.phase not in (Phase.RESTORING, Phase.REPLACING):
            return
        old = await self._leaving(instance)
        if old is None:
            return
        await self._prepare(instance, machine, old, steps)
        await connected.wait()
        try:
            async with steps.step(StepName.STOP):
                await self._stop(await self._at_rest(old))
        except ProviderAway:
            raise
        except (NotFound, Unavailable, Conflict) as error:
            log.warning("old machine does not do as it is told, and is ended", machine=old.id, error=describe(error))
        await self._ports.machine_store.update(old.id, partial(lifecycle.let_go))

    async def _leaving(self, instance: Instance) -> Machine | None:
        now = self._ports.clock.now()
        noticed = await self._ports.machine_store.list_noticed()
        return next((machine for machine in noticed if machine.instance_id == instance.id and machine.is_leaving(now)), None)

    async def _prepare(self, instance: Instance, machine: Machine, old: Machine, steps: StepRecorder) -> None:
        """Have the new machine do what needs no state, and end what a hot spare runs under its own id, so that nobody waits for that later.
        Where there is no time, or it fails, the start does all of it."""
        if old.is_leaving(self._ports.clock.now() + RESERVE_SECONDS + PREPARE_SECONDS):
            with suppress(Unavailable, Conflict):
                async with steps.step(StepName.CLEAR):
                    await self._ports.gateways.prepare(seat_of(machine), spec_of(instance, machine, self._options))

    async def _at_rest(self, old: Machine) -> Machine:
        """The machine as it is once no turn is under way there, or no time is left for that."""
        while self._may_wait(old) and not await self._rests(old):
            await self._ports.clock.sleep(LOOK_SCANS * self._options.scan_seconds)
            old = await self._ports.machine_store.get(old.id)
        return old

    def _may_wait(self, old: Machine) -> bool:
        reserve = 0.0 if old.notice in PATIENT_KINDS else RESERVE_SECONDS
        return old.is_leaving(self._ports.clock.now() + reserve)

    async def _rests(self, old: Machine) -> bool:
        """Whether no turn is under way; then none begins. Where time presses, none begins anyhow. One that does not answer has none."""
        try:
            return await self._ports.gateways.suspend(seat_of(old), finish=old.notice not in PATIENT_KINDS)
        except ProviderAway:
            raise
        except (NotFound, Unavailable):
            return True

    async def _stop(self, old: Machine) -> None:
        """Its address is the platform's to answer, its gateway stops, and then its volume comes free."""
        ports, seat = self._ports, seat_of(old)
        await ports.router.hold(seat.instance_id, old.id)
        left = (old.leaves_at or 0.0) - RESERVE_SECONDS - ports.clock.now()
        await ports.gateways.stop(seat, within_seconds=None if old.notice in PATIENT_KINDS else max(LEAST_SECONDS, left))
        for volume in await ports.volumes.list():
            if volume.attached_to == old.id:
                await ports.volumes.detach(volume.volume_id, old.id)
