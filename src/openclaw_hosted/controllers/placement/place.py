"""The steps that bring an instance onto a machine, and its changes into force."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.gateways import ensure_token, seat_of, wait_until_ready
from openclaw_hosted.controllers.placement.elsewhere import Elsewhere
from openclaw_hosted.controllers.placement.handing import hand_over, just_given
from openclaw_hosted.controllers.placement.moving import Moving
from openclaw_hosted.controllers.placement.restoring import Restoring
from openclaw_hosted.controllers.placement.seating import label, spec_of, target_of
from openclaw_hosted.controllers.placement.steps import StepRecorder
from openclaw_hosted.controllers.placement.traced import attempting
from openclaw_hosted.controllers.runtime import Requeue
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import NotFound, ProviderAway, Unavailable
from openclaw_hosted.domain.gateway import CredentialsChange
from openclaw_hosted.domain.instance import Instance, Phase, StepName
from openclaw_hosted.domain.machine import Machine, MachineState, Warmth
from openclaw_hosted.domain.naming import volume_of
from openclaw_hosted.domain.volume import VolumeState
from openclaw_hosted.ports.router import Target
from openclaw_hosted.ports.stores import Lease
from openclaw_hosted.ports.tracing import Flow

T = TypeVar("T")

ATTEMPTS_PER_MACHINE = 3
"""After so many failed attempts the fault is taken to be the machine's, and another one is tried; a lost machine counts as one."""

HOUR_SECONDS = 3600.0
MADE_BEFORE = "The spare had it."


class Placing:
    """The flows `place` and `update`."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._options = options
        self._moving = Moving(ports, options)
        self._restoring = Restoring(ports, options)
        self._elsewhere = Elsewhere(ports, options)

    async def place(self, instance: Instance, lease: Lease) -> None:
        """From a waiting instance to one that answers at its address.

        A gateway that is ready while its address does not answer, for want of a name or a certificate, is no fault of the machine.
        """
        waits_since = instance.phase_changed_at if instance.machine_id is None else None
        instance, machine = await self._claim(instance, lease)
        with attempting(self._ports, Flow.PLACEMENT, instance, machine.id):
            steps = StepRecorder(self._ports, instance, lease)
            if waits_since is not None:
                steps.written(StepName.MACHINE, waits_since)
            taken_over = await self._or_lose(self._place_on(instance, machine, lease, steps), instance, machine)
            await self._reach(instance, target_of(machine), steps, mark=not taken_over)
            await self._settle(instance, lease, steps, filed=not taken_over)

    async def update(self, instance: Instance, lease: Lease) -> None:
        """Bring new settings, or a restart, into force on the machine that it has, and see that it answers at its address again.

        An address that does not answer though the gateway is ready is no fault of the machine.
        """
        machine = await self._machine_of(instance)
        await self._or_lose(self._restart(instance, machine, lease), instance, machine)
        with attempting(self._ports, Flow.UPDATE, instance, machine.id):
            steps = StepRecorder(self._ports, instance, lease)
            await self._or_lose(self._apply_on(instance, machine, lease, steps), instance, machine)
            await self._reach(instance, target_of(machine), steps, mark=False)
            await self._settle(instance, lease, steps, filed=instance.is_filed)

    async def _restart(self, instance: Instance, machine: Machine, lease: Lease) -> None:
        """Have the machine restart its gateway if that was asked for, once; come back later while that one finishes a turn."""
        ports = self._ports
        assert machine.provider_ref is not None
        if instance.restarts_asked > instance.restarts_done:
            await ports.gateways.restart(seat_of(machine))
            await ports.instance_store.update(instance.id, partial(lifecycle.restart, number=instance.restarts_asked), lease=lease)
        if (await ports.gateways.status(seat_of(machine))).stopping:
            raise Requeue(self._options.scan_seconds)

    async def _apply_on(self, instance: Instance, machine: Machine, lease: Lease, steps: StepRecorder) -> None:
        ports = self._ports
        assert machine.provider_ref is not None
        async with steps.step(StepName.SECRET):
            await hand_over(ports, instance, lease)
            await ports.vault.grant(instance.id, machine.provider_ref)
        async with steps.step(StepName.GATEWAY):
            await wait_until_ready(ports, self._options, seat_of(machine))
            await ports.gateways.apply(seat_of(machine), spec_of(instance, machine, self._options))
            await wait_until_ready(ports, self._options, seat_of(machine))

    async def _claim(self, instance: Instance, lease: Lease) -> tuple[Instance, Machine]:
        ports = self._ports
        if instance.machine_id is not None:
            return instance, await self._machine_of(instance)
        await self._check_wear(instance)
        await self._elsewhere.carry_on(instance, lease)
        claimed = await ports.instance_store.claim_machine(lease, ports.clock.now())
        if claimed is None:
            await self._elsewhere.consider(instance, lease)
            raise Requeue(self._options.scan_seconds if instance.generation else 0)
        return claimed

    async def _check_wear(self, instance: Instance) -> None:
        """An instance that uses up machine after machine waits: something else is wrong, and each machine costs money."""
        if instance.generation < self._options.machines_per_hour:
            return
        now, steps = self._ports.clock.now(), await self._ports.instance_store.steps(instance.id)
        taken = [step.started_at for step in steps if step.name is StepName.MACHINE and step.started_at > now - HOUR_SECONDS]
        if len(taken) >= self._options.machines_per_hour:
            wait = min(taken) + HOUR_SECONDS - now
            reason = f"It used up {len(taken)} machines within an hour. The next one is tried in {math.ceil(wait / 60)} minutes."
            raise Requeue(wait, reason)

    async def _machine_of(self, instance: Instance) -> Machine:
        assert instance.machine_id is not None
        machine = await self._ports.machine_store.get(instance.machine_id)
        if machine.state is not MachineState.ASSIGNED or machine.instance_id != instance.id:
            await self._lose(machine)
            raise Requeue(0)
        return machine

    async def _place_on(self, instance: Instance, machine: Machine, lease: Lease, steps: StepRecorder) -> bool:
        """Have its gateway run there; whether a hot spare was taken over, so that the rest is written later."""
        if await self._is_made_for(instance, machine):
            steps.found(StepName.VOLUME, MADE_BEFORE)
            steps.found(StepName.TARGET, MADE_BEFORE)
            await self._take_over(instance, machine, steps)
            return True
        async with asyncio.TaskGroup() as group:
            group.create_task(self._label(instance, machine, steps))
            connected = asyncio.Event()
            group.create_task(self._gateway_side(instance, machine, lease, steps, connected))
            group.create_task(self._target(instance, machine, target_of(machine), steps, connected))
        return False

    async def _reach(self, instance: Instance, target: Target, steps: StepRecorder, *, mark: bool) -> None:
        """Have its address lead to the gateway, and ask there as its user would."""
        router = self._ports.router
        async with steps.step(StepName.ROUTE):
            await router.bind(instance.id, target, instance.owner_id, instance.generation)
            if mark:
                await router.mark(instance.id, target, instance.owner_id, instance.generation)
        async with steps.step(StepName.PROBE):
            await router.probe(instance.id, target)

    async def _is_made_for(self, instance: Instance, machine: Machine) -> bool:
        """Whether it is a hot spare that serves this very instance already: then volume, secret and route are there as well."""
        is_new = instance.phase not in (Phase.RESTORING, Phase.REPLACING)
        if not is_new or machine.warmth is not Warmth.HOT or machine.reserved_instance_id != instance.id:
            return False
        assert machine.provider_ref is not None
        status = await self._ports.gateways.status(seat_of(machine))
        return status.ready and status.instance_id == instance.id and status.takes_credentials

    async def _take_over(self, instance: Instance, machine: Machine, steps: StepRecorder) -> None:
        """What is left to do on a hot spare: the user's own settings, and the credentials, which reach the vault later."""
        async with steps.step(StepName.GATEWAY):
            given = await just_given(self._ports, instance)
            change = CredentialsChange() if given is None else given.change
            await self._ports.gateways.apply(seat_of(machine), spec_of(instance, machine, self._options), change)

    async def _gateway_side(
        self, instance: Instance, machine: Machine, lease: Lease, steps: StepRecorder, connected: asyncio.Event
    ) -> None:
        """Secret, volume and gateway, in this order; ends once the gateway has proven whom it serves."""
        ports, spec = self._ports, spec_of(instance, machine, self._options)
        assert machine.provider_ref is not None
        async with steps.step(StepName.SECRET):
            await ensure_token(ports, instance.id)
            await hand_over(ports, instance, lease)
            await ports.vault.grant(instance.id, machine.provider_ref)
        await self._moving.leave_old(instance, machine, connected, steps)
        async with steps.step(StepName.VOLUME):
            volume = await ports.instance_store.volume(instance.id)
            if volume.may_be_made:
                await ports.instance_store.update(instance.id, partial(lifecycle.want_volume, zone=machine.zone), lease=lease)
                await ports.volumes.create(spec.volume_id, machine.provider_ref)
                made = partial(lifecycle.make_volume, zone=machine.zone, image=machine.image)
                await ports.instance_store.update(instance.id, made, lease=lease, steps=steps.take())
                volume = replace(volume, state=VolumeState.MADE, image=machine.image)
            await self._free_volume(instance, machine)
        await self._restoring.prepare(instance, machine, volume, lease, steps)
        async with steps.step(StepName.GATEWAY):
            status = await ports.gateways.status(seat_of(machine))
            if not status.ready or status.instance_id != instance.id:
                await ports.gateways.start(seat_of(machine), spec)
                await wait_until_ready(ports, self._options, seat_of(machine))
            await ports.gateways.apply(seat_of(machine), spec)

    async def _free_volume(self, instance: Instance, machine: Machine) -> None:
        """Take the volume from a machine of an earlier generation, once that is seen to be gone."""
        ports = self._ports
        volume = await ports.volumes.look_at(volume_of(instance.id))
        holder = None if volume is None else volume.attached_to
        if holder is None or holder == machine.id:
            return
        deadline = ports.clock.monotonic() + self._options.gateway_ready_seconds
        while (await ports.machine_store.get(holder)).state is not MachineState.TERMINATED:
            if ports.clock.monotonic() > deadline:
                raise Unavailable("The machine that it was on is still shutting down.")
            await ports.clock.sleep(self._options.poll_seconds)
        await ports.volumes.detach(volume_of(instance.id), holder)

    async def _label(self, instance: Instance, machine: Machine, steps: StepRecorder) -> None:
        async with steps.step(StepName.LABEL):
            await label(self._ports, instance, machine)

    async def _target(self, instance: Instance, machine: Machine, target: Target, steps: StepRecorder, connected: asyncio.Event) -> None:
        """A machine that was a spare under another id gives that id's route back: load balancers have room for a hundred."""
        async with steps.step(StepName.TARGET):
            if machine.reserved_instance_id != instance.id:
                await self._ports.router.release(machine.reserved_instance_id)
            await self._ports.router.prepare(instance.id, target)
        connected.set()

    async def _settle(self, instance: Instance, lease: Lease, steps: StepRecorder, *, filed: bool) -> None:
        rule = partial(
            lifecycle.place,
            now=self._ports.clock.now(),
            applied_revision=instance.revision,
            restarts_done=instance.restarts_asked,
            filed=filed,
        )
        await self._ports.instance_store.update(instance.id, rule, lease=lease, steps=steps.take())

    async def _or_lose(self, work: Coroutine[Any, Any, T], instance: Instance, machine: Machine) -> T:
        """Do the work; where the machine is gone, or has failed too often by itself, go on with another."""
        try:
            return await work
        except* (NotFound, Unavailable) as group:
            if group.subgroup(ProviderAway) is not None:
                raise
            if (instance.attempts + 1) % ATTEMPTS_PER_MACHINE and group.subgroup(NotFound) is None:
                raise
            await self._lose(machine)
            raise Requeue(0) from group

    async def _lose(self, machine: Machine) -> None:
        """Give the machine up and let another one take over its volume."""
        await self._ports.machine_store.lose(machine.id, partial(lifecycle.lose, now=self._ports.clock.now()))
