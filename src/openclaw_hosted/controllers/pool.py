"""The pool: keeps N+2 machines ready.

Watches all machines and the instances that wait for one. Promises that the fleet's cap is never exceeded, that a spare which never
got ready or carries an old release is replaced, and that a provider which keeps failing is asked ever more slowly and in the end not
at all, until an operator resumes the pool. It only writes rows; bringing machines up and down is the work of readiness.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

import structlog

from openclaw_hosted.controllers.context import ControllerOptions, Ports
from openclaw_hosted.controllers.mishaps import Mishaps
from openclaw_hosted.controllers.reserving import new_machine, reserve_ids
from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import StateConflict
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.machine import Machine, MachineFailure, MachineState, Warmth
from openclaw_hosted.domain.naming import MachineId
from openclaw_hosted.domain.pool import Condemn, Launch, PoolPlan, PoolPolicy, PoolStatus, PoolView, plan_pool
from openclaw_hosted.ports.machines import ObservedMachine
from openclaw_hosted.ports.pool_target import wanted_spares
from openclaw_hosted.ports.stores import PoolMemory

log = structlog.get_logger("pool")


class PoolController:
    """One tick: look, plan, write."""

    def __init__(self, ports: Ports, options: ControllerOptions) -> None:
        self._ports = ports
        self._options = options
        self._missing_since: float | None = None
        self._adopted_at: float | None = None
        self._mishaps = Mishaps("pool", ports, options)

    async def tick(self) -> float:
        """Do what the pool needs now; returns after how many seconds to look again."""
        ports = self._ports
        by_hand = await self._adopt()
        memory = await ports.platform_store.pool_memory()
        machines, serving = await ports.machine_store.list_pooled()
        waiting = await ports.instance_store.count_waiting()
        policy, note = await self._policy(memory, machines, sum(waiting.values()))
        now = ports.clock.now()
        placing = await ports.instance_store.count_placing(now - self._options.gateway_ready_seconds) if policy.starts_compete else 0
        view = PoolView(
            now, machines, waiting, memory.failures_in_row, memory.last_failure_at, memory.paused, serving, memory.shortages,
            await self._leaving(), await ports.instance_store.homes() if policy.spread else frozenset(), placing,
        )  # fmt: skip
        plan = await self._giving_way(plan_pool(view, policy), users_wait=bool(waiting))
        for action in plan.actions:
            match action:
                case Launch():
                    note = await self._launch(action, policy) or note
                case Condemn(machine_id, failure) if not self._mishaps.rests(machine_id):
                    await self._mishaps.guard(machine_id, self._condemn(machine_id, failure), machine_id=machine_id)
        self._mishaps.forget_others({*by_hand, *(machine.id for machine in machines)})
        await self._say(memory, plan, note or _without_capacity(memory, plan))
        return plan.look_again_seconds

    async def _leaving(self) -> frozenset[str]:
        """The zones in which an instance waits for another machine while it runs on."""
        noticed = await self._ports.machine_store.list_noticed()
        return frozenset(machine.zone for machine in noticed if machine.state is MachineState.ASSIGNED)

    async def _adopt(self) -> Sequence[str]:
        """Give rows, now and then, to machines that an operator started by hand as ours are. Returns the names of what it tried."""
        now = self._ports.clock.monotonic()
        if self._adopted_at is not None and now - self._adopted_at < self._options.orphans_seconds:
            return []
        self._adopted_at = now
        adoptable = {f"adopting {seen.provider_ref}": seen for seen in await self._ports.machines.observe() if seen.adoptable}
        for name, observed in adoptable.items():
            if not self._mishaps.rests(name):
                await self._mishaps.guard(name, self._adopt_one(observed))
        return list(adoptable)

    async def _adopt_one(self, observed: ObservedMachine) -> None:
        ports, options = self._ports, self._options
        for reserved in await reserve_ids(ports, options, 1):
            new, now = new_machine(ports, options, reserved, observed.zone), ports.clock.now()
            event = Event(EventName.MACHINE_ADOPTED, now, machine_id=new.id, detail={"ref": observed.provider_ref})
            await ports.machine_store.adopt(new, observed.provider_ref, options.policy.fleet_cap, now, event)

    async def _giving_way(self, plan: PoolPlan, *, users_wait: bool) -> PoolPlan:
        """The plan without its launches for a little while, where they would only slow down what users wait for."""
        now = self._ports.clock.monotonic()
        if not any(isinstance(action, Launch) for action in plan.actions):
            self._missing_since = None
            return plan
        self._missing_since = now if self._missing_since is None else self._missing_since
        late = now - self._missing_since >= self._options.refill_waits_seconds
        if users_wait or late or not await self._ports.instance_store.count_placing():
            return plan
        others = tuple(action for action in plan.actions if not isinstance(action, Launch))
        return replace(plan, actions=others, look_again_seconds=self._options.poll_seconds)

    async def _policy(self, memory: PoolMemory, machines: Sequence[Machine], waiting: int) -> tuple[PoolPolicy, str]:
        """The policy in force, with fewer spares where the host has no room for all, and a line that says so."""
        wanted = await wanted_spares(self._options.policy, memory, self._ports.target)
        policy = replace(self._options.policy, spares=wanted, warmth=self._options.warmth)
        room = await self._ports.machines.room()
        if room is None:
            return policy, ""
        unstarted = sum(m.state is MachineState.INITIALIZING and m.provider_ref is None for m in machines)
        held = sum(m.state in (MachineState.AVAILABLE, MachineState.INITIALIZING) for m in machines)
        possible = max(0, room - unstarted) + held - waiting
        if possible >= wanted:
            return policy, ""
        spares = max(0, possible)
        return replace(policy, spares=spares), f"Memory allows {spares} of the {wanted} spares asked for."

    async def _launch(self, launch: Launch, policy: PoolPolicy) -> str:
        """Commit rows of machines to be launched; returns what an operator should know of it."""
        ports, options = self._ports, self._options
        if launch.is_awaited and options.warmth is Warmth.HOT:
            options = replace(options, warmth=Warmth.BOOTED)
        ids = await reserve_ids(ports, options, launch.count)
        new = [new_machine(ports, options, reserved, launch.zone) for reserved in ids]
        now = ports.clock.now()
        events = [Event(EventName.MACHINE_LAUNCHED, now, machine_id=machine.id) for machine in new]
        await ports.machine_store.add(new, policy.fleet_cap, now, events)
        return options.shards.full if len(ids) < launch.count else ""

    async def _condemn(self, machine_id: MachineId, failure: MachineFailure) -> None:
        ports, now = self._ports, self._ports.clock.now()
        rule = partial(lifecycle.condemn, now=now, failure=failure, unassigned_only=True)
        with suppress(StateConflict):
            condemned = await ports.machine_store.update(machine_id, rule)
            if failure is MachineFailure.NOT_READY_IN_TIME:
                await ports.platform_store.launch_failed(now, condemned.last_error or "A machine was not ready in time.")

    async def _say(self, memory: PoolMemory, plan: PoolPlan, note: str) -> None:
        if memory.status == plan.status and (memory.note or "") == note:
            return
        await self._ports.platform_store.set_pool(status=plan.status, note=note)
        if memory.status != plan.status:
            detail = {"from": memory.status, "to": str(plan.status)}
            await self._ports.platform_store.add_event(Event(EventName.POOL_STATUS_CHANGED, self._ports.clock.now(), detail=detail))
            log.info("pool status", **detail)


def _without_capacity(memory: PoolMemory, plan: PoolPlan) -> str:
    """What an operator should know while no machine can be had."""
    if plan.status is not PoolStatus.NO_CAPACITY:
        return ""
    where = [f"in zone {zone}" if zone else "in any zone" for zone in sorted(memory.shortages)]
    newest = max(memory.shortages.values(), key=lambda shortage: shortage.last_at)
    return f"No machine can be had {' or '.join(where)}; it is tried on. {newest.error}"
