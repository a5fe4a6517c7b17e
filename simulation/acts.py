"""Carries out the acts of a plan: users, operators, an intruder, the cloud and the computers."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from openclaw_hosted.adapters.fake.cloud import FakeMachine, FakeSecret
from openclaw_hosted.domain.account import Role
from openclaw_hosted.domain.actor import Actor, Party, Via
from openclaw_hosted.domain.errors import OpenClawHostedError
from openclaw_hosted.domain.machine import MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.notice import NoticeKind
from openclaw_hosted.ports.machines import MachineHealth
from simulation.invariants import BY_HAND
from simulation.people import People
from simulation.plan import Act, ActKind
from simulation.plane import Plane
from simulation.world import FLEET_CAP, ZONES, World

Thing = TypeVar("Thing")
OPERATOR = Actor(Party.OPERATOR, Role.ADMIN, Via.COMMAND_LINE)
IMAGES = ("v1", "v2", "v3")


class Acts:
    """Does each act when its time has come. One for which there is nothing to do it to is not done, and not counted."""

    def __init__(self, world: World, people: People) -> None:
        self._world = world
        self._cloud = world.cloud
        self._by_hand = 0
        self._people: dict[ActKind, Callable[[Act], Awaitable[None]]] = {
            ActKind.USER_CREATES: people.create,
            ActKind.USER_CHANGES: people.change,
            ActKind.USER_RESTARTS: people.restart,
            ActKind.USER_OPENS: people.open,
            ActKind.USER_DELETES: people.delete,
            ActKind.USER_RESTORES: people.restore,
            ActKind.USER_SIGNS_OUT: people.sign_out,
            ActKind.USER_MAKES_POINT: people.make_point,
            ActKind.USER_REWINDS: people.rewind,
            ActKind.OPERATOR_SETS_SPARES: lambda act: self._operate(lambda at: at.set_spares(OPERATOR, int(act.pick * 4))),
            ActKind.OPERATOR_PAUSES: lambda _: self._operate(lambda at: at.pause_pool(OPERATOR)),
            ActKind.OPERATOR_RESUMES: lambda _: self._operate(lambda at: at.resume_pool(OPERATOR)),
            ActKind.OPERATOR_RETIRES: self._retire,
            ActKind.OPERATOR_DRAINS: self._drain,
        }
        self._others: dict[ActKind, Callable[[Act], bool]] = {
            ActKind.OPERATOR_SETS_CAP: self._set_cap,
            ActKind.OPERATOR_SETS_IMAGE: self._set_image,
            ActKind.MACHINE_DIES: self._die,
            ActKind.MACHINE_STOPS: self._stop,
            ActKind.MACHINES_INTERRUPTED: self._interrupt,
            ActKind.MACHINES_NOTICED: self._notice,
            ActKind.MACHINE_RECOMMENDED: self._recommend,
            ActKind.NOTICE_DOUBLED: self._notice_twice,
            ActKind.NOTICE_LOST: lambda _: self._lose_notices(),
            ActKind.NOTICE_FORGED: self._forge,
            ActKind.TURN_TAKES_LONG: self._keep_busy,
            ActKind.GATEWAY_CRASHES: self._crash,
            ActKind.GATEWAY_HANGS: self._hang,
            ActKind.GATEWAY_REFUSES: self._refuse,
            ActKind.NEVER_BOOTS: lambda _: self._boot(math.inf),
            ActKind.BOOTS_LATE: lambda act: self._boot(20 + 60 * act.size),
            ActKind.ZONE_FULL: lambda act: self._fill(act, (ZONES[int(act.pick * len(ZONES))],)),
            ActKind.ALL_FULL: lambda act: self._fill(act, ZONES),
            ActKind.CLOUD_AWAY: lambda act: self._weather(act, 5, 40, cloud_away=True),
            ActKind.CLOUD_THROTTLES: lambda act: self._weather(act, 10, 40, throttled=True),
            ActKind.DATABASE_AWAY: lambda act: self._weather(act, 2, 40, database_away=True),
            ActKind.HINTS_LOST: lambda act: self._weather(act, 10, 60, hints_lost=True),
            ActKind.PLANE_KILLED: self._kill_plane,
            ActKind.PLANE_STOPPED: self._stop_plane,
            ActKind.PLANE_SKEWED: self._skew_plane,
            ActKind.INTRUDER_TERMINATES: self._terminate,
            ActKind.INTRUDER_LABELS: self._label,
            ActKind.INTRUDER_STARTS: self._start,
            ActKind.INTRUDER_UNROUTES: self._unroute,
            ActKind.INTRUDER_LEAVES: self._leave,
        }

    def schedule(self, acts: Sequence[Act]) -> None:
        """Have each done at its time."""
        for act in acts:
            self._world.later(act.at, lambda act=act: self._do(act))

    def _do(self, act: Act) -> None:
        if act.kind in self._people:
            self._count(act)
            self._world.spawn(self._ask(act))
        elif self._others[act.kind](act):
            self._count(act)

    def _count(self, act: Act) -> None:
        self._world.faults.coverage.acts[act.kind] += 1
        self._world.history.note(f"ACT {act.kind} (pick {act.pick:.3f}, size {act.size:.3f})")

    async def _ask(self, act: Act) -> None:
        await self._people[act.kind](act)

    async def _operate(self, request: Callable[[Any], Awaitable[Any]]) -> None:
        plane = self._one(list(self._world.planes.values()), self._world.random.random())
        if plane is not None and not plane.process.is_stopped:
            with suppress(OpenClawHostedError):
                await plane.ask(_as_coroutine(request(plane.asking.operations)))

    async def _retire(self, act: Act) -> None:
        spares = [row.id for row in self._world.rows.machines.values() if row.state is MachineState.AVAILABLE]
        spare = self._one(spares, act.pick)
        if spare is not None:
            await self._operate(lambda at: at.retire_spare(OPERATOR, spare))

    async def _drain(self, act: Act) -> None:
        serving = [row.id for row in self._world.rows.machines.values() if row.state is MachineState.ASSIGNED]
        machine = self._one(serving, act.pick)
        if machine is not None:
            await self._operate(lambda at: at.give_notice(OPERATOR, machine, NoticeKind.DRAIN))

    def _set_cap(self, act: Act) -> bool:
        self._world.set_policy(replace(self._world.options.policy, fleet_cap=FLEET_CAP - 8 + int(8 * act.pick)))
        return True

    def _set_image(self, act: Act) -> bool:
        self._world.set_policy(replace(self._world.options.policy, image=IMAGES[int(act.pick * len(IMAGES))]))
        return True

    def _machine(self, act: Act, *, serving: bool = False) -> tuple[str, FakeMachine] | None:
        found = [
            (ref, machine)
            for ref, machine in self._cloud.machines.items()
            if machine.health is MachineHealth.UP and (machine.spec is not None or not serving)
        ]
        return self._one(found, act.pick)

    def _die(self, act: Act) -> bool:
        found = self._machine(act)
        if found is not None:
            self._cloud.kill(found[0])
        return found is not None

    def _stop(self, act: Act) -> bool:
        found = self._machine(act)
        if found is not None:
            found[1].health = MachineHealth.STOPPED
        return found is not None

    def _interrupt(self, act: Act) -> bool:
        zone = ZONES[int(act.pick * len(ZONES))]
        refs = [ref for ref, machine in self._cloud.machines.items() if machine.zone == zone]
        for number, ref in enumerate(refs):
            self._world.later(number * 0.5 + 3 * act.size, lambda ref=ref: self._cloud.kill(ref))
        return bool(refs)

    def _notice(self, act: Act) -> bool:
        """As `_interrupt`, but that it is said before; sometimes less than two minutes before."""
        zone = ZONES[int(act.pick * len(ZONES))]
        refs = [ref for ref, machine in self._cloud.machines.items() if machine.zone == zone]
        for ref in refs:
            self._cloud.give_notice(NoticeKind.INTERRUPTION, ref)
            self._world.later(20 + 100 * act.size, lambda ref=ref: self._cloud.kill(ref))
        return bool(refs)

    def _recommend(self, act: Act) -> bool:
        found = self._machine(act, serving=True)
        if found is not None:
            self._cloud.give_notice(NoticeKind.REBALANCE, found[0])
        return found is not None

    def _notice_twice(self, act: Act) -> bool:
        found = self._machine(act, serving=True)
        if found is None:
            return False
        self._cloud.give_notice(NoticeKind.INTERRUPTION, found[0], times=2)
        self._world.later(60 * act.size, lambda: self._cloud.give_notice(NoticeKind.INTERRUPTION, found[0]))
        self._world.later(40 + 40 * act.size, lambda: self._cloud.kill(found[0]))
        return True

    def _lose_notices(self) -> bool:
        self._cloud.notices.clear()
        return True

    def _forge(self, act: Act) -> bool:
        found = self._machine(act, serving=True)
        if act.size < 0.3:
            self._cloud.notices[f"forged-{act.at}"] = None
        elif act.size < 0.6 or found is None:
            self._cloud.give_notice(NoticeKind.INTERRUPTION, "i-of-somebody-else")
        else:
            self._cloud.give_notice(NoticeKind.ENDED, found[0])
        return True

    def _keep_busy(self, act: Act) -> bool:
        found = self._machine(act, serving=True)
        if found is not None:
            found[1].busy_until = self._world.clock.now() + 20 + 60 * act.size
        return found is not None

    def _crash(self, act: Act) -> bool:
        found = self._machine(act, serving=True)
        if found is not None:
            found[1].restarts += 1
            found[1].ready_at = self._world.clock.now() + 2 + 40 * act.size
        return found is not None

    def _hang(self, act: Act) -> bool:
        found = self._machine(act, serving=True)
        if found is not None:
            found[1].hangs = True
        return found is not None

    def _refuse(self, act: Act) -> bool:
        found = self._machine(act, serving=True)
        if found is not None and found[1].spec is not None:
            found[1].refused_revision = found[1].spec.revision
        return found is not None

    def _boot(self, seconds: float) -> bool:
        self._world.boot_seconds.append(seconds)
        return True

    def _fill(self, act: Act, zones: Sequence[str]) -> bool:
        for zone in zones:
            self._cloud.capacity[zone] = 0
        self._world.later(10 + 60 * act.size, lambda: [self._cloud.capacity.pop(zone, None) for zone in zones])
        return True

    def _weather(self, act: Act, least: float, most: float, **change: bool) -> bool:
        faults = self._world.faults
        faults.weather = replace(faults.weather, **change)
        over = dict.fromkeys(change, False)
        self._world.later(least + (most - least) * act.size, lambda: setattr(faults, "weather", replace(faults.weather, **over)))
        return True

    def _plane(self, act: Act) -> Plane | None:
        return self._one(list(self._world.planes.values()), act.pick)

    def _kill_plane(self, act: Act) -> bool:
        plane = self._plane(act)
        if plane is not None:
            self._world.kill(plane, again_in=1 + 40 * act.size)
        return plane is not None

    def _stop_plane(self, act: Act) -> bool:
        plane = self._plane(act)
        if plane is None or plane.process.is_stopped:
            return False
        plane.process.is_stopped = True
        self._world.invariants.forgive_orphans()
        self._world.later(2 + 60 * act.size, lambda: self._world.loop.resume(plane.process))
        return True

    def _skew_plane(self, act: Act) -> bool:
        self._world.skew(int(act.pick * self._world.plan.planes), 40 * act.size - 20)
        return True

    def _terminate(self, act: Act) -> bool:
        found = self._machine(act)
        if found is not None:
            self._cloud.end(found[0])
        return found is not None

    def _label(self, act: Act) -> bool:
        found = self._machine(act)
        if found is not None:
            self._cloud.labels[found[0]] = {"Status": "available", "UserId": "us-eve", "InstanceId": "oc-22222222"}
        return found is not None

    def _start(self, act: Act) -> bool:
        """As the pool's machines are, so that it takes it in, or with an id that no row has."""
        self._by_hand += 1
        ref, unknown = f"{BY_HAND}-{self._by_hand}", MachineId(f"mc-unknown-{self._by_hand}" if act.size < 0.5 else "")
        now = self._world.clock.now()
        self._cloud.machines[ref] = FakeMachine(unknown, now, zone=ZONES[int(act.pick * len(ZONES))], address=f"{ref}:8080")
        return True

    def _unroute(self, act: Act) -> bool:
        route = self._one(list(self._cloud.routes), act.pick)
        if route is not None:
            del self._cloud.routes[route]
        return route is not None

    def _leave(self, _act: Act) -> bool:
        """One at a time: many at once would wait for an operator."""
        if any(name.startswith(BY_HAND) for name in self._cloud.secrets):
            return False
        self._by_hand += 1
        self._cloud.secrets[InstanceId(f"{BY_HAND}-{self._by_hand}")] = FakeSecret({}, 1)
        return True

    @staticmethod
    def _one(things: Sequence[Thing], pick: float) -> Thing | None:
        return things[int(pick * len(things))] if things else None


async def _as_coroutine(work: Awaitable[Any]) -> Any:
    return await work
