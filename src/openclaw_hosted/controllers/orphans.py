"""Orphans: whatever exists without a row, after a grace period.

The provider is listed before the store, so that the store's view is the fresher one. Machines, routes, credentials and volumes that
no row knows are removed, and routes of deleted instances: a worker that was stopped and went on later may have built one.
A volume is removed only when neither its own id nor the mark inside it belongs to an instance that keeps anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.mishaps import Mishaps
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.naming import InstanceId, volume_of
from openclaw_hosted.ports.machines import ObservedMachine

log = structlog.get_logger("orphans")
Removal = Callable[[], Awaitable[None]]


class OrphansController:
    """One tick: compare both sides, remove what has been an orphan for longer than the grace period."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._options = options
        self._first_seen: dict[str, float] = {}
        self._mishaps = Mishaps("orphans", ports, options)

    async def tick(self) -> None:
        """Look once."""
        ports = self._ports
        machines = await ports.machines.observe()
        existing = await self._existing(machines)
        known = await self._known()
        orphans = {name: remove for name, (owner, remove) in existing.items() if owner not in known}
        now = ports.clock.monotonic()
        for name in self._first_seen.keys() - orphans.keys():
            del self._first_seen[name]
        for name, remove in orphans.items():
            due = now - self._first_seen.setdefault(name, now) >= self._options.orphan_grace_seconds
            if due and not self._mishaps.rests(name):
                await self._mishaps.guard(name, self._remove(name, remove))
        self._mishaps.forget_others(orphans)

    async def _remove(self, name: str, remove: Removal) -> None:
        await remove()
        await self._ports.platform_store.add_event(Event(EventName.ORPHAN_REMOVED, self._ports.clock.now(), detail={"what": name}))
        log.warning("orphan removed", what=name)

    async def _existing(self, machines: Sequence[ObservedMachine]) -> Mapping[str, tuple[str, Removal]]:
        """Everything at the provider: a name, the id of the row that it should belong to, and how to remove it."""
        ports = self._ports
        found: dict[str, tuple[str, Removal]] = {}
        for machine in machines:
            owner = machine.machine_id or f"unknown {machine.provider_ref}"
            found[f"machine {machine.provider_ref}"] = (owner, _call(ports.machines.terminate, machine.provider_ref))
        for route in await ports.router.list():
            found[f"route {route.instance_id}"] = (f"route of {route.instance_id}", _call(ports.router.release, route.instance_id))
        for machine_id in await ports.router.machines():
            found[f"target of {machine_id}"] = (machine_id, _call(ports.router.forget, machine_id))
        for instance_id in await ports.vault.list():
            found[f"secret {instance_id}"] = (instance_id, _call(ports.vault.purge, instance_id))
        for volume in await ports.volumes.list():
            owner = volume.instance_id or InstanceId(volume.volume_id)
            if volume.attached_to is None:
                found[f"volume {volume.volume_id}"] = (owner, _call(ports.volumes.purge, volume.volume_id, owner))
        return found

    async def _known(self) -> frozenset[str]:
        """All ids that a row stands for."""
        machines = await self._ports.machine_store.list_live()
        instances = await self._ports.instance_store.known_ids()
        reserved = {machine.reserved_instance_id for machine in machines}
        routed = {f"route of {instance_id}" for instance_id in await self._ports.instance_store.routed_ids()}
        volumes = {volume_of(instance_id) for instance_id in {*instances, *reserved}}
        refs = {f"unknown {machine.provider_ref}" for machine in machines}
        return frozenset({*instances, *reserved, *routed, *volumes, *refs, *(machine.id for machine in machines)})


def _call(function: Callable[..., Awaitable[None]], *arguments: Any) -> Removal:
    def call() -> Awaitable[None]:
        return function(*arguments)

    return call
