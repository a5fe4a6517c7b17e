"""Edge: sees that routes and sessions are at the edge as the store has them.

It mends a route that is missing or leads elsewhere, and changes nothing that is as it should be. What surprises it about one route or
session is that one's alone.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.mishaps import Mishaps
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.machine import Machine, MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.ports.router import Route, Target

ROUTED_PHASES = frozenset({Phase.RUNNING, Phase.UPDATING})


class EdgeController:
    """One tick: compare both sides, mend what differs."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._mishaps = Mishaps("edge", ports, options)

    async def tick(self) -> None:
        """Look once."""
        ports = self._ports
        routes = {route.instance_id: route for route in await ports.router.list()}
        live = await ports.machine_store.list_live()
        machines = [m for m in live if m.state in (MachineState.AVAILABLE, MachineState.ASSIGNED)]
        instances = {instance.id: instance for instance in await ports.instance_store.list_placed()}
        for machine in machines:
            if not self._mishaps.rests(machine.id):
                mending = self._mend(machine, routes, instances)
                await self._mishaps.guard(machine.id, mending, instance_id=machine.instance_id, machine_id=machine.id)
        await self._hold(routes.values(), {m.id for m in machines} | {m.id for m in live if m.is_leaving(ports.clock.now())})
        await self._sync_sessions()
        self._mishaps.forget_others({machine.id for machine in machines})

    async def _hold(self, routes: Iterable[Route], serving: Container[MachineId]) -> None:
        """Where a user's address leads to a machine that is no more, the platform answers until there is another one."""
        for route in routes:
            if route.owner_id is not None and route.machine_id not in serving:
                await self._mishaps.guard(route.instance_id, self._ports.router.hold(route.instance_id, route.machine_id))

    async def _mend(self, machine: Machine, routes: Mapping[InstanceId, Route], instances: Mapping[InstanceId, Instance]) -> None:
        if machine.provider_ref is None or machine.address is None:
            return
        target = Target(machine.id, machine.provider_ref, machine.address)
        if machine.state is MachineState.AVAILABLE:
            if machine.warmth is Warmth.HOT and machine.reserved_instance_id not in routes:
                await self._ports.router.prepare(machine.reserved_instance_id, target)
            return
        instance = instances.get(machine.instance_id) if machine.instance_id else None
        if instance is None or instance.phase not in ROUTED_PHASES or instance.machine_id != machine.id:
            return
        route = routes.get(instance.id)
        if route is None or not _leads(route, target, instance):
            await self._ports.router.bind(instance.id, target, instance.owner_id, instance.generation)
            await self._ports.router.mark(instance.id, target, instance.owner_id, instance.generation)

    async def _sync_sessions(self) -> None:
        valid = {session.hash: session for session in await self._ports.account_store.sessions(self._ports.clock.now())}
        passing = await self._ports.gate.sessions()
        missing = valid.keys() - passing.keys()
        for session_hash in sorted(missing):
            await self._mishaps.guard("a session", self._ports.gate.allow(valid[session_hash]))
        for session_hash in sorted((passing.keys() - valid.keys()) | missing):
            await self._mishaps.guard("a session", self._revoke(session_hash))

    async def _revoke(self, session_hash: str) -> None:
        """Unless it is good: one may begin meanwhile, and one that was just admitted may have ended."""
        if await self._ports.account_store.session(session_hash, self._ports.clock.now()) is None:
            await self._ports.gate.revoke(session_hash)


def _leads(route: Route, target: Target, instance: Instance) -> bool:
    is_marked = route.owner_id == instance.owner_id or (route.owner_id is None and not instance.is_filed)
    return route.machine_id == target.machine_id and is_marked and route.address in (None, target.address)
