"""What an operator sees and does: the pool and its machines, all instances, events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.errors import FieldProblem, InvalidInput, NotAllowed
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.lifecycle import Topic
from openclaw_hosted.domain.machine import Machine, MachineFailure, MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.pool import PoolPolicy
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.stores import Hints, InstanceStore, MachineStore, PlatformStore, PoolMemory

INSTANCES_SHOWN = 1000
MACHINES_SHOWN = 200


@dataclass(frozen=True, slots=True)
class PoolReport:
    """The pool at a glance."""

    memory: PoolMemory
    policy: PoolPolicy
    spares_wanted: int
    machines: Mapping[MachineState, int]
    waiting_instances: int

    @property
    def available(self) -> int:
        """How many spares are ready."""
        return self.machines.get(MachineState.AVAILABLE, 0)


class OperationsService:
    """For admins only: callers check the role before."""

    def __init__(
        self,
        machines: MachineStore,
        instances: InstanceStore,
        platform: PlatformStore,
        hints: Hints,
        clock: Clock,
        policy: PoolPolicy,
    ) -> None:
        self._machines = machines
        self._instances = instances
        self._platform = platform
        self._hints = hints
        self._clock = clock
        self._policy = policy

    async def pool(self) -> PoolReport:
        """The pool now."""
        memory = await self._platform.pool_memory()
        machines = await self._machines.list_live()
        wanted = self._policy.wanted(memory.spares)
        counts = Counter(machine.state for machine in machines)
        return PoolReport(memory, self._policy, wanted, counts, sum((await self._instances.count_waiting()).values()))

    async def machines(self) -> Sequence[Machine]:
        """The machines that exist."""
        return await self._machines.list_live()

    async def recent_machines(self) -> tuple[Sequence[Machine], bool]:
        """The newest machines, `MACHINES_SHOWN` at most, terminated ones included, and whether there are older ones."""
        found = await self._machines.list_recent(MACHINES_SHOWN + 1)
        return found[:MACHINES_SHOWN], len(found) > MACHINES_SHOWN

    async def machine(self, machine_id: str) -> Machine:
        """One machine. Raises `NotFound`."""
        return await self._machines.get(MachineId(machine_id))

    async def instances(self) -> tuple[Sequence[Instance], bool]:
        """The newest instances of all users, `INSTANCES_SHOWN` at most, newest first, and whether there are older ones."""
        found = await self._instances.list_all(INSTANCES_SHOWN + 1)
        return found[:INSTANCES_SHOWN], len(found) > INSTANCES_SHOWN

    async def events(
        self, *, instance_id: str | None = None, machine_id: str | None = None, before_id: int | None = None, limit: int = 100
    ) -> Sequence[Event]:
        """The newest events first."""
        return await self._platform.events(
            instance_id=InstanceId(instance_id) if instance_id else None,
            machine_id=MachineId(machine_id) if machine_id else None,
            before_id=before_id,
            limit=limit,
        )

    async def pause_pool(self, by: User | None) -> None:
        """Launch no more machines until resumed."""
        await self._platform.set_pool(paused=True)
        await self._said(EventName.POOL_PAUSED, by)

    async def resume_pool(self, by: User | None) -> None:
        """Launch again, and forget earlier failures."""
        await self._platform.set_pool(paused=False)
        await self._said(EventName.POOL_RESUMED, by)

    async def set_spares(self, spares: int, by: User | None) -> None:
        """Keep so many spares from now on, whatever the settings say. Raises `InvalidInput` beyond the fleet's cap."""
        cap = self._policy.fleet_cap
        if not 0 <= spares <= cap:
            raise InvalidInput(FieldProblem("spares", f"Keep between 0 and {cap} spares: FLEET_CAP, the most machines at once, is {cap}."))
        before = self._policy.wanted((await self._platform.pool_memory()).spares)
        if spares == before:
            return
        await self._platform.set_pool(spares=spares)
        await self._said(EventName.POOL_SPARES_CHANGED, by, before=before, after=spares)

    async def replenish(self) -> None:
        """Have the pool look at once whether it needs machines."""
        await self._hints.hint(Topic.POOL)

    async def retire_spare(self, machine_id: str) -> Machine:
        """Terminate a spare; the pool launches another. Raises `StateConflict` for a machine that a user has."""
        rule = partial(lifecycle.condemn, now=self._clock.now(), failure=MachineFailure.BY_OPERATOR, unassigned_only=True)
        return await self._machines.update(MachineId(machine_id), rule)

    async def _said(self, name: EventName, by: User | None, **detail: int) -> None:
        await self._platform.add_event(Event(name, self._clock.now(), user_id=by.id if by else None, detail=detail))


def require_admin(user: User) -> None:
    """Raise `NotAllowed` for an account that is no admin's."""
    if user.role != "admin":
        raise NotAllowed("Only an admin may see this.")
