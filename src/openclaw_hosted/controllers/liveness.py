"""Liveness: sees that what is said to run does run, and that the edge knows what the store knows.

Looks at all machines in one listing, and at each gateway. A spare that is dead is condemned; an assigned machine that stopped is started,
and one that is gone is given up, so that placement finds another. One bad look is never enough. It mends routes and sessions at
the edge, and changes nothing that is as it should be. What surprises it about one machine, or takes too long, is that machine's alone.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

import structlog

from openclaw_hosted.controllers.gateways import EXIT_SETTINGS_REFUSED
from openclaw_hosted.controllers.mishaps import Mishaps
from openclaw_hosted.controllers.ports import ControllerOptions, Ports
from openclaw_hosted.controllers.runtime import describe
from openclaw_hosted.domain.errors import Conflict, NotFound, PortError, ProviderAway
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.machine import Machine, MachineFailure, MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.ports.gateways import GatewayStatus
from openclaw_hosted.ports.machines import MachineHealth, ObservedMachine
from openclaw_hosted.ports.router import Route, Target

log = structlog.get_logger("liveness")
ROUTED_PHASES = frozenset({Phase.RUNNING, Phase.UPDATING})
LOOK_SHARE = 0.45
"""Of a lease: how long one machine is looked at. A tick ends with its lease, whatever is left to do."""
ACT_SHARE = 0.25
"""Of a lease: how long acting on what was seen may take."""


class LivenessController:
    """One tick: look at everything, mend what is wrong."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._options = options
        self._bad_looks: Counter[str] = Counter()
        self._restarts: dict[str, int] = {}
        self._answered: dict[str, float | None] = {}
        """When what last answered was started."""
        self._touched: dict[str, float] = {}
        self._mishaps = Mishaps("liveness", ports, options)

    async def tick(self) -> None:
        """Look once."""
        ports = self._ports
        observed = {seen.provider_ref: seen for seen in await ports.machines.observe()}
        machines = [m for m in await ports.machine_store.list_live() if m.state in (MachineState.AVAILABLE, MachineState.ASSIGNED)]
        routes = {route.instance_id: route for route in await ports.router.list()}
        instances = {instance.id: instance for instance in await ports.instance_store.list_placed()}
        await asyncio.gather(*(self._guarded(machine, observed, routes, instances) for machine in machines))
        await self._find_deserted(instances, {machine.id for machine in machines})
        await self._sync_sessions()
        self._forget_others({machine.id for machine in machines})

    async def _guarded(
        self,
        machine: Machine,
        observed: Mapping[str, ObservedMachine],
        routes: Mapping[InstanceId, Route],
        instances: Mapping[InstanceId, Instance],
    ) -> None:
        if not self._mishaps.rests(machine.id):
            look = self._look_at(machine, observed, routes, instances)
            await self._mishaps.guard(machine.id, look, instance_id=machine.instance_id, machine_id=machine.id)

    async def _look_at(
        self,
        machine: Machine,
        observed: Mapping[str, ObservedMachine],
        routes: Mapping[InstanceId, Route],
        instances: Mapping[InstanceId, Instance],
    ) -> None:
        try:
            async with asyncio.timeout(self._options.lease_seconds * LOOK_SHARE):
                if await self._is_well(machine, observed.get(machine.provider_ref or "")):
                    self._bad_looks.pop(machine.id, None)
                    await self._mend_route(machine, observed[machine.provider_ref or ""], routes, instances)
                    await self._keep_warm(machine)
                    return
        except ProviderAway as error:
            log.warning("provider does not answer", machine=machine.id, error=str(error))
            return
        except (PortError, TimeoutError) as error:
            log.warning("look failed", machine=machine.id, error=describe(error))
        self._bad_looks[machine.id] += 1
        if self._bad_looks[machine.id] >= self._options.dead_after_looks:
            async with asyncio.timeout(self._options.lease_seconds * ACT_SHARE):
                await self._condemn(machine, seen=observed.get(machine.provider_ref or ""))

    async def _is_well(self, machine: Machine, seen: ObservedMachine | None) -> bool:
        if seen is None:
            return False
        if seen.health is MachineHealth.STOPPED:
            if machine.state is MachineState.AVAILABLE:
                return False
            try:
                await self._ports.machines.start(seen.provider_ref)
            except (Conflict, NotFound):
                self._bad_looks[machine.id] = self._options.dead_after_looks
                return False
            return True
        if seen.address is not None and seen.address != machine.address:
            await self._ports.machine_store.relocate(machine.id, seen.address)
        if machine.warmth is not Warmth.HOT and machine.state is MachineState.AVAILABLE:
            return True
        status = await self._ports.gateways.status(seen.provider_ref)
        await self._notice_restarts(machine, status.restarts)
        await self._mend_gateway(machine, status)
        if machine.state is MachineState.AVAILABLE:
            return status.ready and status.instance_id == machine.reserved_instance_id
        self._remember_answer(machine, status)
        return status.ready or status.stopping

    def _remember_answer(self, machine: Machine, status: GatewayStatus) -> None:
        if status.ready:
            self._answered[machine.id] = status.started_at
        elif not status.running or self._answered.get(machine.id) != status.started_at:
            self._answered.pop(machine.id, None)

    async def _mend_gateway(self, machine: Machine, status: GatewayStatus) -> None:
        """Have placement look at a gateway that names the platform's old addresses, or that ended over its settings."""
        if not status.running and status.exit_code == EXIT_SETTINGS_REFUSED:
            await self._ask_update(machine, "its settings were refused")
        elif status.outdated:
            await self._ask_update(machine, "the platform's address changed")

    async def _ask_update(self, machine: Machine, reason: str) -> None:
        if machine.instance_id is None:
            return
        now = self._ports.clock.now()
        event = Event(EventName.INSTANCE_UPDATE_NEEDED, now, machine.instance_id, machine.id, detail={"reason": reason})
        if await self._ports.instance_store.ask_update(machine.instance_id, now, event):
            await self._ports.hints.hint("placement")

    async def _revive(self, machine: Machine) -> None:
        """Have placement look after a gateway that does not answer, so that its user sees why; end one by force that hangs."""
        await self._ask_update(machine, "its OpenClaw does not answer")
        hangs = machine.id in self._answered and self._bad_looks[machine.id] >= self._options.hung_after_looks
        if hangs and machine.provider_ref is not None:
            event = Event(EventName.GATEWAY_HUNG, self._ports.clock.now(), machine.instance_id, machine.id)
            await self._ports.platform_store.add_event(event)
            with suppress(PortError):
                await self._ports.gateways.restart(machine.provider_ref, at_once=True)

    async def _keep_warm(self, machine: Machine) -> None:
        """Touch a hot spare now and then, so that its user does not pay for what it let go of while nobody asked."""
        now = self._ports.clock.monotonic()
        if machine.state is not MachineState.AVAILABLE or machine.warmth is not Warmth.HOT or machine.provider_ref is None:
            return
        if now - self._touched.setdefault(machine.id, now) >= self._options.keep_warm_seconds:
            self._touched[machine.id] = now
            await self._ports.gateways.keep_warm(machine.provider_ref)

    async def _notice_restarts(self, machine: Machine, restarts: int) -> None:
        before = self._restarts.get(machine.id, restarts)
        self._restarts[machine.id] = restarts
        if restarts > before:
            event = Event(
                EventName.GATEWAY_RESTARTED,
                self._ports.clock.now(),
                machine.instance_id,
                machine.id,
                detail={"restarts": restarts},
            )
            await self._ports.platform_store.add_event(event)

    async def _mend_route(
        self,
        machine: Machine,
        seen: ObservedMachine,
        routes: Mapping[InstanceId, Route],
        instances: Mapping[InstanceId, Instance],
    ) -> None:
        address = seen.address or machine.address
        if address is None:
            return
        target = Target(machine.id, seen.provider_ref, address)
        if machine.state is MachineState.AVAILABLE:
            if machine.warmth is Warmth.HOT and machine.reserved_instance_id not in routes:
                await self._ports.router.prepare(machine.reserved_instance_id, target)
            return
        instance = instances.get(machine.instance_id) if machine.instance_id else None
        if instance is None or instance.phase not in ROUTED_PHASES or instance.machine_id != machine.id:
            return
        route = routes.get(instance.id)
        bound = route is not None and (route.machine_id, route.owner_id) == (machine.id, instance.owner_id)
        if not bound or address != machine.address:
            await self._ports.router.bind(instance.id, target, instance.owner_id, instance.generation)

    async def _condemn(self, machine: Machine, seen: ObservedMachine | None) -> None:
        """A spare at once; an assigned machine only when it is gone, or can't be started: its gateway has a supervisor."""
        ports, now = self._ports, self._ports.clock.now()
        if machine.state is MachineState.ASSIGNED and seen is not None and seen.health is not MachineHealth.STOPPED:
            await self._revive(machine)
            return
        event = Event(EventName.MACHINE_CONDEMNED, now, machine.instance_id, machine.id, detail={"reason": MachineFailure.DIED})
        spare = machine.state is MachineState.AVAILABLE
        await ports.machine_store.condemn(machine.id, MachineFailure.DIED, now, event, unassigned_only=spare)
        if machine.instance_id is not None:
            lost = Event(EventName.INSTANCE_MACHINE_LOST, now, machine.instance_id, machine.id)
            await ports.instance_store.machine_lost(machine.instance_id, machine.id, now, lost)
        for topic in ("machines", "placement", "pool", "changes"):
            await ports.hints.hint(topic)

    async def _find_deserted(self, instances: Mapping[InstanceId, Instance], kept: set[MachineId]) -> None:
        """Instances whose machine was condemned, and which nobody told: whoever condemned it died over that."""
        for instance in instances.values():
            if instance.phase is Phase.RUNNING and instance.machine_id is not None and instance.machine_id not in kept:
                await self._mishaps.guard(instance.id, self._tell(instance.id, instance.machine_id), instance_id=instance.id)

    async def _tell(self, instance_id: InstanceId, machine_id: MachineId) -> None:
        ports = self._ports
        machine = await ports.machine_store.get(machine_id)
        if machine.state in (MachineState.TERMINATING, MachineState.TERMINATED):
            now = ports.clock.now()
            lost = Event(EventName.INSTANCE_MACHINE_LOST, now, instance_id, machine.id)
            await ports.instance_store.machine_lost(instance_id, machine.id, now, lost)
            await ports.hints.hint("placement")

    async def _sync_sessions(self) -> None:
        valid = {session.hash: session for session in await self._ports.account_store.sessions(self._ports.clock.now())}
        passing = await self._ports.gate.sessions()
        missing = valid.keys() - passing.keys()
        for session_hash in missing:
            await self._mishaps.guard("a session", self._ports.gate.admit(valid[session_hash]))
        for session_hash in sorted((passing.keys() - valid.keys()) | missing):
            await self._mishaps.guard("a session", self._dismiss(session_hash))

    async def _dismiss(self, session_hash: str) -> None:
        """Unless it is good: one may begin meanwhile, and one that was just admitted may have ended."""
        if await self._ports.account_store.session(session_hash, self._ports.clock.now()) is None:
            await self._ports.gate.dismiss(session_hash)

    def _forget_others(self, known: set[str]) -> None:
        for memory in (self._bad_looks, self._restarts, self._touched, self._answered):
            for machine_id in memory.keys() - known:
                del memory[machine_id]
        self._mishaps.forget_others(known)
