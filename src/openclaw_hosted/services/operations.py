"""What an operator sees and does: the pool and its machines, all instances, events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.actor import Actor, require_admin
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput, StateConflict
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.lifecycle import Topic
from openclaw_hosted.domain.machine import Machine, MachineFailure, MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.notice import Notice, NoticeKind
from openclaw_hosted.domain.orphan import Orphan
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.pool_target import PoolTarget, wanted_spares
from openclaw_hosted.ports.stores import Hints, InstanceStore, MachineStore, PlatformStore, PoolMemory


@dataclass(frozen=True, slots=True)
class PoolReport:
    """The pool at a glance."""

    memory: PoolMemory
    policy: PoolPolicy
    spares_wanted: int
    machines: Mapping[MachineState, int]
    waiting_instances: int
    is_adaptive: bool = False
    """Whether the number of spares follows what was recorded."""

    @property
    def available(self) -> int:
        """How many spares are ready."""
        return self.machines.get(MachineState.AVAILABLE, 0)


@dataclass(frozen=True, slots=True)
class OperationsService:
    """For admins only."""

    _machines: MachineStore
    _instances: InstanceStore
    _platform: PlatformStore
    _hints: Hints
    _clock: Clock
    _policy: PoolPolicy
    _target: PoolTarget | None = None

    async def pool(self, actor: Actor) -> PoolReport:
        """The pool now."""
        require_admin(actor)
        memory = await self._platform.pool_memory()
        counts, wanted = await self._machines.count_live(), await wanted_spares(self._policy, memory, self._target)
        waiting = sum((await self._instances.count_waiting()).values())
        return PoolReport(memory, self._policy, wanted, counts, waiting, self._target is not None)

    async def machines(self, actor: Actor) -> Sequence[Machine]:
        """The machines that exist."""
        require_admin(actor)
        return await self._machines.list_live()

    async def machine(self, actor: Actor, machine_id: str) -> Machine:
        """One machine. Raises `NotFound`."""
        require_admin(actor)
        return await self._machines.get(MachineId(machine_id))

    async def events(
        self, actor: Actor, *, instance_id: str | None = None, machine_id: str | None = None, before_id: int | None = None, limit: int = 100
    ) -> Sequence[Event]:
        """The newest events first."""
        require_admin(actor)
        return await self._platform.events(
            instance_id=InstanceId(instance_id) if instance_id else None,
            machine_id=MachineId(machine_id) if machine_id else None,
            before_id=before_id,
            limit=limit,
        )

    async def pause_pool(self, actor: Actor) -> None:
        """Launch no more machines until resumed."""
        require_admin(actor)
        await self._platform.set_pool(paused=True)
        await self._said(EventName.POOL_PAUSED, actor)

    async def resume_pool(self, actor: Actor) -> None:
        """Launch again, and forget earlier failures."""
        require_admin(actor)
        await self._platform.set_pool(paused=False)
        await self._said(EventName.POOL_RESUMED, actor)

    async def set_spares(self, actor: Actor, spares: int) -> None:
        """Keep so many spares from now on, whatever the settings say. Raises `InvalidInput` beyond the fleet's cap."""
        require_admin(actor)
        cap = self._policy.fleet_cap
        if not 0 <= spares <= cap:
            raise InvalidInput(FieldProblem("spares", f"Keep between 0 and {cap} spares: FLEET_CAP, the most machines at once, is {cap}."))
        before = self._policy.wanted((await self._platform.pool_memory()).spares)
        if spares == before:
            return
        await self._platform.set_pool(spares=spares)
        await self._said(EventName.POOL_SPARES_CHANGED, actor, before=before, after=spares)

    async def follow_settings(self, actor: Actor) -> None:
        """Keep as many spares as the settings say, whatever an operator set before."""
        require_admin(actor)
        kept = (await self._platform.pool_memory()).spares
        if kept is None:
            return
        await self._platform.follow_settings()
        await self._said(EventName.POOL_SPARES_CHANGED, actor, before=self._policy.wanted(kept), after=self._policy.wanted(None))

    async def replenish(self, actor: Actor) -> None:
        """Have the pool look at once whether it needs machines."""
        require_admin(actor)
        await self._said(EventName.POOL_REPLENISH_ASKED, actor)
        await self._hints.hint(Topic.POOL)

    async def orphans(self, actor: Actor) -> Sequence[Orphan]:
        """What exists at the provider without a row and is kept, the oldest first."""
        require_admin(actor)
        return await self._platform.orphans()

    async def release_orphan(self, actor: Actor, name: str) -> None:
        """Have one removed for good. Raises `NotFound`."""
        require_admin(actor)
        event = Event(EventName.ORPHAN_RELEASED, self._clock.now(), detail={"what": name[:200]}, actor=actor)
        await self._platform.release_orphan(name, event)

    async def retire_spare(self, actor: Actor, machine_id: str) -> Machine:
        """Terminate a spare; the pool launches another. Raises `StateConflict` for a machine that a user has."""
        require_admin(actor)
        rule = partial(lifecycle.condemn, now=self._clock.now(), failure=MachineFailure.BY_OPERATOR, unassigned_only=True, actor=actor)
        return await self._machines.update(MachineId(machine_id), rule)

    async def give_notice(self, actor: Actor, machine_id: str, kind: NoticeKind) -> Machine:
        """Treat a machine as if the provider had said this of it, or have it emptied. A spare is replaced; an instance moves, at once where
        the machine is taken away, and otherwise once another machine is ready and no turn is under way.

        Raises `NotFound`; `InvalidInput` for a kind that only the provider can tell; `StateConflict` for a machine that ends already, or
        whose instance is being deleted.
        """
        require_admin(actor)
        if kind is NoticeKind.ENDED:
            raise InvalidInput(FieldProblem("kind", "That a machine has ended, its provider has to say. Give interruption or drain."))
        now = self._clock.now()
        rule = partial(lifecycle.notice, now=now, kind=kind, leaves_at=Notice(kind, "", now).leaves_at, actor=actor)
        noticed = await self._machines.lose(MachineId(machine_id), rule)
        if noticed.notice is None or noticed.state is MachineState.TERMINATED:
            raise StateConflict("It ends or has ended already, or the instance on it is being deleted: there is nothing to be moved.")
        return noticed

    async def _said(self, name: EventName, actor: Actor, **detail: int) -> None:
        await self._platform.add_event(Event(name, self._clock.now(), detail=detail, actor=actor))
