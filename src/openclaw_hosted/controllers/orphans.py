"""Orphans: whatever exists without a row, after a grace period.

The provider is listed before the store, so that the store's view is the fresher one. A worker that was stopped and went on later may
have built a route or launched a machine: such things are removed. What may hold a user's data is kept for days first. And where many come
up at once, the database is more likely to be wrong than all of them: nothing is removed, and an operator is told. Before a volume goes
that may hold a user's data, what it holds is a restore point that is ready, which is kept for a while longer; without one it stays.
A volume is an orphan only when neither its own id nor the mark inside it belongs to an instance that keeps anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.mishaps import Mishaps
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.lifecycle import told
from openclaw_hosted.domain.naming import InstanceId, VolumeId, point_of_orphan, volume_of
from openclaw_hosted.domain.orphan import Found, Orphan, OrphanState, plan_orphans
from openclaw_hosted.domain.restore_point import Cause, RestorePoint
from openclaw_hosted.ports.machines import ObservedMachine
from openclaw_hosted.ports.restore_points import Stage
from openclaw_hosted.ports.volumes import ObservedVolume

log = structlog.get_logger("orphans")
Removal = Callable[[], Awaitable[bool | None]]
"""Returns False where it has to be tried again before the thing is gone."""
SOMEBODY = "somebody"
WAY_OUT = "See that DATABASE_URL names this platform's own database; `openclaw-hosted orphans list` shows what has no row there."


@dataclass(frozen=True, slots=True)
class Thing:
    """Something at the provider, and how to remove it."""

    owner: str
    """The id of the row that it should have."""
    remove: Removal
    instance_id: str | None = None
    """Whose data or credentials it may hold, or whom it serves."""

    def told_by(self, known: Collection[str]) -> Stray:
        """As an orphan. What is of an instance that a row knows, such as a late route of a deleted one, is not doubtful."""
        return Stray(Found(self.owner, self.instance_id is not None and self.instance_id not in known), self.remove)


@dataclass(frozen=True, slots=True)
class Stray:
    """An orphan, and how to remove it."""

    found: Found
    remove: Removal


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
        existing = await self._existing(await ports.machines.observe())
        known = await self._known()
        orphans = {name: thing.told_by(known) for name, thing in existing.items() if thing.owner not in known}
        due = self._due(orphans)
        plan = plan_orphans(
            {name: orphans[name].found for name in due},
            await ports.platform_store.orphans(),
            orphans.keys() - due,
            len(existing),
            ports.clock.now(),
            self._options.quarantine_seconds,
        )
        if plan.keep or plan.forget:
            await ports.platform_store.keep_orphans(plan.keep, plan.forget, self._told(plan.keep))
        for name in sorted(plan.remove):
            if not self._mishaps.rests(name):
                await self._mishaps.guard(name, self._remove(name, orphans[name].remove))
        self._mishaps.forget_others(orphans)

    def _due(self, orphans: Mapping[str, Stray]) -> frozenset[str]:
        """Those that have been orphans for longer than the grace period."""
        now = self._ports.clock.monotonic()
        for name in self._first_seen.keys() - orphans.keys():
            del self._first_seen[name]
        grace = self._options.orphan_grace_seconds
        return frozenset(name for name in orphans if now - self._first_seen.setdefault(name, now) >= grace)

    def _told(self, kept: Sequence[Orphan]) -> Sequence[Event]:
        """One event for all that is held back at once, and one for each that is quarantined."""
        now = self._ports.clock.now()
        held_back = [orphan.name for orphan in kept if orphan.state is OrphanState.HELD_BACK]
        quarantined = [orphan.name for orphan in kept if orphan.state is OrphanState.QUARANTINED]
        events = [Event(EventName.ORPHAN_QUARANTINED, now, detail={"what": name}) for name in quarantined]
        if held_back:
            log.error("too many orphans at once: nothing is removed", count=len(held_back), way_out=WAY_OUT)
            events.append(Event(EventName.ORPHANS_HELD_BACK, now, detail={"count": len(held_back), "what_to_do": WAY_OUT}))
        return events

    async def _remove(self, name: str, remove: Removal) -> None:
        if await remove() is False:
            log.info("orphan becomes a restore point before it is removed", what=name)
            return
        await self._ports.platform_store.add_event(Event(EventName.ORPHAN_REMOVED, self._ports.clock.now(), detail={"what": name}))
        log.warning("orphan removed", what=name)

    async def _remove_volume(self, volume: ObservedVolume, owner: InstanceId) -> bool:
        if volume.instance_id is not None and not await self._is_kept(volume.volume_id, volume.instance_id):
            return False
        await self._ports.volumes.purge(volume.volume_id, owner)
        return True

    async def _is_kept(self, volume_id: VolumeId, instance_id: InstanceId) -> bool:
        """Whether what it holds is a restore point that is ready; has one made where there is none."""
        ports, now = self._ports, self._ports.clock.now()
        point = RestorePoint(point_of_orphan(volume_id), instance_id, now, Cause.ORPHAN)
        await ports.point_store.add(point)
        made = await ports.points.make(point.id, volume_id)
        if made.stage is not Stage.READY:
            return False
        await ports.point_store.finish(point.id, made.size_bytes, told(EventName.RESTORE_POINT_MADE, point, now))
        return True

    async def _existing(self, machines: Sequence[ObservedMachine]) -> Mapping[str, Thing]:
        """Everything at the provider, by a name for people."""
        ports = self._ports
        found: dict[str, Thing] = {}

        def add(kind: str, name: str, owner: str, remove: Removal, instance_id: str | None = None) -> None:
            found[f"{kind} {name}"] = Thing(owner, remove, instance_id)

        serving = {machine.machine_id for machine in machines if machine.serves_user}
        for machine in machines:
            ref = machine.provider_ref
            served = SOMEBODY if machine.serves_user else None
            add("machine", ref, machine.machine_id or f"unknown {ref}", partial(ports.machines.terminate, ref), served)
        for route in await ports.router.list():
            bound_to = route.instance_id if route.owner_id is not None else None
            release = partial(ports.router.release, route.instance_id)
            add("route", route.instance_id, f"route of {route.instance_id}", release, bound_to)
        for machine_id in await ports.router.machines():
            served = SOMEBODY if machine_id in serving else None
            add("target of", machine_id, machine_id, partial(ports.router.forget, machine_id), served)
        for instance_id in await ports.vault.list():
            add("secret", instance_id, instance_id, partial(ports.vault.purge, instance_id), instance_id)
        for volume in await ports.volumes.list():
            owner = volume.instance_id or InstanceId(volume.volume_id)
            if volume.attached_to is None:
                add("volume", volume.volume_id, owner, partial(self._remove_volume, volume, owner), volume.instance_id)
        for point in await ports.points.list():
            add("restore point", point.point_id, point.point_id, partial(ports.points.remove, point.point_id), SOMEBODY)
        return found

    async def _known(self) -> frozenset[str]:
        """All ids that a row stands for."""
        machines = await self._ports.machine_store.list_live()
        instances = await self._ports.instance_store.known_ids()
        reserved = {machine.reserved_instance_id for machine in machines}
        routed = {f"route of {instance_id}" for instance_id in await self._ports.instance_store.routed_ids()}
        volumes = {volume_of(instance_id) for instance_id in {*instances, *reserved}}
        refs = {f"unknown {machine.provider_ref}" for machine in machines}
        points = {point.id for point in await self._ports.point_store.list_all()}
        return frozenset({*instances, *reserved, *routed, *volumes, *refs, *points, *(machine.id for machine in machines)})
