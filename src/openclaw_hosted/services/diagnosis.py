"""What is wrong with an instance or a machine: everything is looked at once, side by side, and judged by `domain/diagnosis.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlsplit

from openclaw_hosted.domain.actor import Actor, require_admin
from openclaw_hosted.domain.diagnosis import Diagnosis, Facts, GatewaySeen, MachineSeen, PoolSeen, RouteSeen, Unknown, diagnose
from openclaw_hosted.domain.errors import NotFound, OpenClawHostedError, PortError, Unavailable
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.naming import InstanceId, MachineId, is_instance_id
from openclaw_hosted.domain.room import in_gigabytes
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.gateways import Gateways, Seat
from openclaw_hosted.ports.machines import Machines
from openclaw_hosted.ports.names import Names
from openclaw_hosted.ports.router import Router, Target
from openclaw_hosted.ports.stores import InstanceStore, MachineStore, PlatformStore
from openclaw_hosted.ports.volumes import Volumes

LOOK_SECONDS: Final = 20.0
"""How long one step may take. They are taken side by side."""
LOG_LINES: Final = 500
CLOCK_LEASE: Final = "diagnosis"
LITTLE_ROOM_BYTES: Final = 500_000_000
NOBODYS: Final = Unknown("nobody's address leads to it")
Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class DiagnosisService:
    """For admins only. It changes nothing, and shows neither conversations nor keys."""

    _instances: InstanceStore
    _machines: MachineStore
    _platform: PlatformStore
    _provider: Machines
    _gateways: Gateways
    _router: Router
    _volumes: Volumes
    _names: Names
    _clock: Clock

    async def instance(self, actor: Actor, instance_id: str) -> Diagnosis:
        """Of one instance, whoever owns it. Raises `NotFound`."""
        require_admin(actor)
        if not is_instance_id(instance_id):
            raise NotFound(f"There is no instance {instance_id[:40]!r}.")
        instance = await self._instances.get(InstanceId(instance_id))
        machine = await self._machines.get(instance.machine_id) if instance.machine_id else None
        return diagnose(instance.id, await self._look(instance, machine))

    async def machine(self, actor: Actor, machine_id: str) -> Diagnosis:
        """Of one machine, with the instance on it, if there is one. Raises `NotFound`."""
        require_admin(actor)
        machine = await self._machines.get(MachineId(machine_id))
        instance = await self._instances.get(machine.instance_id) if machine.instance_id else None
        serves = instance is not None and instance.machine_id == machine.id
        return diagnose(machine.id, await self._look(instance if serves else None, machine))

    async def _look(self, instance: Instance | None, machine: Machine | None) -> Facts:
        memory = await self._platform.pool_memory()
        nowhere = Unknown("it has no machine" if machine is None else "its machine is not launched yet")
        seat = None if machine is None else _seat(machine)
        shown = self._router.public_url(instance.id) if instance is not None else ""
        async with asyncio.TaskGroup() as looks:
            clock = looks.create_task(_seen(self._store_clock()))
            provider = looks.create_task(_seen(self._provider_says(machine)) if machine is not None and seat else _nothing(nowhere))
            gateway = looks.create_task(_seen(self._gateway_says(seat)) if seat else _nothing(nowhere))
            log = looks.create_task(_seen(self._gateways.logs(seat, LOG_LINES)) if seat else _nothing(nowhere))
            crowded = looks.create_task(_seen(self._crowded(instance, machine)))
            route = looks.create_task(_seen(self._route(instance)) if instance is not None else _nothing(nowhere))
            resolves = looks.create_task(_seen(self._names.resolves(urlsplit(shown).hostname or "")) if shown else _nothing(NOBODYS))
            probe = looks.create_task(_seen(self._probe(instance, machine)) if instance is not None and seat else _nothing(nowhere))
        return Facts(
            self._clock.now(), instance, machine, PoolSeen(memory.status, memory.last_error or memory.note), clock.result(),
            provider.result(), gateway.result(), log.result(), crowded.result(), route.result(), resolves.result(), probe.result(),
        )  # fmt: skip

    async def _store_clock(self) -> float:
        """A named lease that ends at once tells what time it is for the database."""
        lease = await self._platform.acquire(CLOCK_LEASE, CLOCK_LEASE, 0.0)
        if lease is None:
            raise Unavailable("The database's clock was not asked: somebody else is asking it.")
        return lease.expires_at

    async def _provider_says(self, machine: Machine) -> MachineSeen:
        for seen in await self._provider.observe():
            if seen.provider_ref == machine.provider_ref:
                return MachineSeen(seen.health.value, seen.launched_at)
        return MachineSeen(None)

    async def _gateway_says(self, seat: Seat) -> GatewaySeen:
        said = await self._gateways.status(seat)
        return GatewaySeen(
            said.running, said.ready, said.stopping, said.instance_id, said.started_at, said.restarts, said.exit_code, said.problem
        )

    async def _crowded(self, instance: Instance | None, machine: Machine | None) -> str | None:
        """What it holds of a disk that is nearly full; what others do, once next to nothing is left."""
        found = await self._volumes.crowding()
        own = [
            large
            for large in found
            if (instance is not None and large.instance_id == instance.id) or (machine is not None and large.volume_id == machine.volume_id)
        ]
        worst = next(iter(own or [large for large in found if large.free_bytes < LITTLE_ROOM_BYTES]), None)
        if worst is None:
            return None
        holder = "it" if own else worst.instance_id or worst.volume_id
        return f"{holder} holds {in_gigabytes(worst.held_bytes)} of a disk that has {in_gigabytes(worst.free_bytes)} left"

    async def _route(self, instance: Instance) -> RouteSeen:
        found = [route.machine_id for route in await self._router.list() if route.instance_id == instance.id]
        return RouteSeen(found[0] if found else None)

    async def _probe(self, instance: Instance, machine: Machine | None) -> str | None:
        if machine is None or machine.provider_ref is None or machine.address is None:
            raise Unavailable("its machine has no address yet")
        try:
            await self._router.probe(instance.id, Target(machine.id, machine.provider_ref, machine.address))
        except PortError as problem:
            return str(problem)
        return None


def _seat(machine: Machine) -> Seat | None:
    if machine.provider_ref is None:
        return None
    return Seat(machine.provider_ref, machine.instance_id or machine.reserved_instance_id, machine.generation, machine.address)


async def _seen(look: Awaitable[Seen]) -> Seen | Unknown:
    """What a look saw, or why it saw nothing."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await look
    except TimeoutError:
        return Unknown(f"no answer within {LOOK_SECONDS:.0f} s")
    except OpenClawHostedError as problem:
        return Unknown(str(problem))


async def _nothing(why: Unknown) -> Unknown:
    return why
