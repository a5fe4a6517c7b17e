"""Adoption: rebuilds an empty database from what exists at the provider. Nothing at the provider is changed by it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.adoption import (
    AdoptionPlan,
    Inventory,
    SeenMachine,
    SeenPoint,
    SeenRoute,
    SeenSecret,
    SeenVolume,
    plan_adoption,
)
from openclaw_hosted.domain.errors import Denied, NotFound, PortError, StateConflict, Unavailable
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.machine import Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId
from openclaw_hosted.domain.orphan import Orphan, OrphanState
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.gateways import Gateways, Seat
from openclaw_hosted.ports.machines import MachineHealth, Machines, ObservedMachine
from openclaw_hosted.ports.ownership import Ownership
from openclaw_hosted.ports.restore_points import RestorePoints, Stage
from openclaw_hosted.ports.router import Route
from openclaw_hosted.ports.stores import AdoptionStore
from openclaw_hosted.ports.vault import Vault
from openclaw_hosted.ports.volumes import Volumes

LOOKS_AT_ONCE: Final = 20
"""How many secrets and gateways are asked at the same time."""
NOBODY: Final = "Nothing at the provider says that it belongs to a platform. See that DEPLOYMENT_NAME and the data directory are right."
UNSEEN: Final = "The machine {ref} of {instance} has no address, so it can't be adopted. Mend it or end it at the provider, then repeat."


class Routes(Protocol):
    """What an adoption asks a `Router`."""

    async def list(self) -> Sequence[Route]:
        """All routes that exist."""
        ...

    async def machines(self) -> Sequence[MachineId]:
        """The machines for which something is kept that outlives their routes."""
        ...


@dataclass(frozen=True, slots=True)
class Provider:
    """The ports of a provider, as far as an adoption looks at it."""

    machines: Machines
    gateways: Gateways
    volumes: Volumes
    vault: Vault
    router: Routes
    ownership: Ownership
    points: RestorePoints


class AdoptionService:
    """Looks, plans, and writes rows."""

    def __init__(self, provider: Provider, store: AdoptionStore, clock: Clock, *, warmth: Warmth, retention_seconds: float) -> None:
        self._provider = provider
        self._store = store
        self._clock = clock
        self._warmth = warmth
        self._retention_seconds = retention_seconds

    async def look(self) -> tuple[str, AdoptionPlan]:
        """The mark of the platform that exists at the provider, and what would become of all that it has. Raises `StateConflict` where the
        database is not empty, or there is no such platform, and `Unavailable` where a machine can't be adopted as it is."""
        mark = await self._provider.ownership.owner()
        if mark is None:
            raise StateConflict(NOBODY)
        await self._store.check_empty(mark)
        plan = plan_adoption(await self._inventory())
        for found in plan.instances:
            if found.machine is not None and found.machine.address is None:
                raise Unavailable(UNSEEN.format(ref=found.machine.provider_ref, instance=found.id))
        return mark, plan

    async def carry_out(self, mark: str, plan: AdoptionPlan) -> Sequence[UserId]:
        """Make the rows; returns the owners, each of whom needs a link to set a password. Repeated, it goes on where it was."""
        now, store = self._clock.now(), self._store
        await store.begin(mark)
        for found in plan.instances:
            changed = lifecycle.adopt_instance(found, now=now, warmth=self._warmth, retention_seconds=self._retention_seconds)
            await store.add(changed, lifecycle.adopt_owner(found, now=now))
        for machine in plan.spares:
            await store.add(lifecycle.adopt_spare(machine, now=now, warmth=self._warmth))
        for machine, served in plan.ending.items():
            await store.add(lifecycle.adopt_ending(machine, served, now=now, warmth=self._warmth))
        if plan.held_back:
            detail: dict[str, str | int | float] = {"count": len(plan.held_back), "what_to_do": "openclaw-hosted orphans list"}
            orphans = [Orphan(name, now, OrphanState.HELD_BACK) for name in sorted(plan.held_back)]
            await store.hold_back(orphans, Event(EventName.ORPHANS_HELD_BACK, now, detail=detail))
        await store.finish(mark)
        return list(dict.fromkeys(found.owner_id for found in plan.instances))

    async def _inventory(self) -> Inventory:
        ports = self._provider
        machines, volumes, routes = await ports.machines.observe(), await ports.volumes.list(), await ports.router.list()
        asking = asyncio.Semaphore(LOOKS_AT_ONCE)
        ids = sorted(await ports.vault.list())
        secrets = await asyncio.gather(*(self._secret(instance_id, asking) for instance_id in ids))
        return Inventory(
            machines=[each for each in await asyncio.gather(*(self._machine(seen, asking) for seen in machines)) if each is not None],
            volumes=[SeenVolume(each.volume_id, each.instance_id, each.attached_to, each.zone) for each in volumes],
            routes=[SeenRoute(each.instance_id, each.machine_id, each.owner_id, each.generation) for each in routes],
            secrets=[each for each in secrets if each is not None],
            targets=frozenset(await ports.router.machines()),
            points=[
                SeenPoint(each.point_id, each.instance_id, each.made_at, each.size_bytes)
                for each in await ports.points.list()
                if each.instance_id is not None and each.stage is Stage.READY
            ],
        )

    async def _secret(self, instance_id: InstanceId, asking: asyncio.Semaphore) -> SeenSecret | None:
        async with asking:
            try:
                found = await self._provider.vault.look(instance_id)
            except NotFound:
                return None
            except Denied:
                return SeenSecret(instance_id, is_readable=False)
        return SeenSecret(instance_id, found.revision, found.names, found.record, found.owner_id, found.retired)

    async def _machine(self, seen: ObservedMachine, asking: asyncio.Semaphore) -> SeenMachine | None:
        """None for a machine that carries no ids of ours: an operator started it, and the pool takes it in."""
        labels = seen.labels
        served = InstanceId(labels["InstanceId"]) if labels.get("InstanceId") else None
        reserved = seen.reserved_instance_id or served
        if seen.machine_id is None or reserved is None:
            return None
        return SeenMachine(
            seen.machine_id,
            seen.provider_ref,
            reserved,
            address=seen.address,
            zone=seen.zone,
            image=seen.image,
            launched_at=seen.launched_at,
            is_ending=seen.health is MachineHealth.SHUTTING_DOWN,
            status=labels.get("Status"),
            instance_id=served,
            owner_id=UserId(labels["UserId"]) if labels.get("UserId") else None,
            claimed=await self._claimed(seen, reserved, asking) if labels.get("Status") == "available" else None,
        )

    async def _claimed(self, seen: ObservedMachine, reserved: InstanceId, asking: asyncio.Semaphore) -> bool | None:
        """Whether the gateway of what may be a spare was opened to somebody; None where it does not tell."""
        if seen.health is not MachineHealth.UP or seen.address is None:
            return None
        async with asking:
            try:
                status = await self._provider.gateways.status(Seat(seen.provider_ref, reserved, 0, seen.address))
            except PortError:
                return None
        return status.claimed if status.ready and status.instance_id == reserved else None
