"""A month of a platform, put together from chance: who came, what broke, what the platform did about it.

No production loop runs here; simulation/ is for that. This writes down what the loops would have written, so that a month takes seconds.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import Final

from demo.counting import launched, looked, placed
from openclaw_hosted import OPENCLAW_VERSION
from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.actor import PLATFORM, Actor, Via
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.history import Bucket, Gauge, Place, counted, rolled_up, sampled
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase
from openclaw_hosted.domain.machine import Machine, MachineFailure, MachineState, Warmth
from openclaw_hosted.domain.naming import ID_ALPHABET, ID_LENGTH, InstanceId, MachineId, UserId, VolumeId
from openclaw_hosted.domain.notice import NoticeKind

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
ZONES: Final = ("us-west-2a", "us-west-2b", "us-west-2c")
NAMES: Final = (
    "Research assistant", "Inbox helper", "Release notes", "Family planner", "Standup bot", "Travel desk", "Reading list", "Code reviews",
    "Garden diary", "Support triage", "Language tutor", "Recipe box",
)  # fmt: skip
COARSE_SECONDS: Final = 600.0
"""How often is sampled what only hours and days are shown of."""
MACHINE_USD: Final = 0.0208 + 0.005 + 0.013
"""An hour of a machine with its address and disks."""


@dataclass(frozen=True)
class Plan:
    """How large the platform is, and what goes wrong. Times are seconds since the epoch."""

    end: float
    users: int = 300
    days: int = 30
    spares: int = 4
    seed: int = 7
    sample_seconds: float = 60.0
    interruptions_a_day: float = 0.035
    """Of each machine."""
    with_incidents: bool = True

    @property
    def start(self) -> float:
        """When the first user came."""
        return self.end - self.days * DAY

    @property
    def shortage(self) -> tuple[float, float]:
        """The first incident: for two and a half hours of an afternoon no machine can be had."""
        began = self.start + 0.3 * self.days * DAY // DAY * DAY + 14 * HOUR
        return began, began + 2.5 * HOUR

    @property
    def bad_image(self) -> tuple[float, float]:
        """The second incident: for an hour and a half machines start with an image that does not work."""
        began = self.end - 30 * HOUR
        return began, began + 1.5 * HOUR

    def is_short(self, at: float) -> bool:
        """Whether no machine can be had."""
        return self.with_incidents and self.shortage[0] <= at < self.shortage[1]

    def is_broken(self, at: float) -> bool:
        """Whether machines do not become ready."""
        return self.with_incidents and self.bad_image[0] <= at < self.bad_image[1]


@dataclass
class Month:
    """What there is at the end, and all that happened."""

    plan: Plan
    users: list[User] = field(default_factory=list)
    machines: dict[MachineId, Machine] = field(default_factory=dict)
    instances: dict[InstanceId, Instance] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    history: dict[Place, Bucket] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.plan.seed)
        self._counting = random.Random(self.plan.seed)
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = count()
        self._waiting: list[InstanceId] = []
        self._parts: list[tuple[float, Bucket]] = []
        self._ran: set[InstanceId] = set()
        self._states: Counter[MachineState] = Counter()
        self._phases: Counter[Phase] = Counter()
        self._spares: deque[MachineId] = deque()

    def live(self) -> Month:
        """Let it all happen."""
        plan = self.plan
        sample, next_sample = self._gauges, plan.start
        self._replenish(plan.start)
        self._invite()
        if plan.with_incidents:
            self._plan_incidents()
            self._at(plan.end - HOUR, lambda _: self._leave_something_to_do())
        while self._due:
            at, _, happen = heapq.heappop(self._due)
            while next_sample <= min(at, plan.end):
                pause = plan.sample_seconds if next_sample > plan.end - 2 * DAY else max(plan.sample_seconds, COARSE_SECONDS)
                asked = looked(self._counting, pause, is_short=plan.is_short(next_sample))
                self._parts.append((next_sample, sample() + asked))
                next_sample += pause
            if at > plan.end:
                break
            happen(at)
        self.events.sort(key=lambda event: event.at)
        self._parts += [(event.at, counted(event, self._took(event))) for event in self.events]
        self.history = rolled_up(self._parts)
        return self

    def _at(self, when: float, happen: Callable[[float], None]) -> None:
        heapq.heappush(self._due, (when, next(self._number), happen))

    def _say(
        self, name: EventName, at: float, instance: Instance | None = None, machine: Machine | None = None, **detail: str | int
    ) -> None:
        actor = PLATFORM
        if instance is not None and name in (EventName.INSTANCE_CREATED, EventName.INSTANCE_DELETE_ASKED):
            actor = Actor(instance.owner_id, Role.USER, Via.PAGE, "203.0.113.7")
        owner = instance.owner_id if instance is not None else None
        event = Event(name, at, instance.id if instance else None, machine.id if machine else None, owner, detail, actor=actor)
        self.events.append(event)

    def _id(self, kind: str) -> str:
        return f"{kind}-{''.join(self._chance.choices(ID_ALPHABET, k=ID_LENGTH))}"

    def _invite(self) -> None:
        """Three of ten are there on the first day; a dozen in a hundred come within an hour on the thirteenth; the others by day."""
        plan, chance = self.plan, self._chance
        for number in range(plan.users):
            share = number / plan.users
            if share < 0.3:
                at = plan.start + chance.uniform(1, 22) * HOUR
            elif share < 0.42:
                at = plan.start + min(12, plan.days - 1) * DAY + 10 * HOUR + chance.uniform(0, HOUR)
            else:
                at = plan.start + chance.uniform(1, plan.days - 0.2) // 1 * DAY + (13 + chance.gauss(0, 3)) % 24 * HOUR
            email = f"user-{number + 1:03}@example.com"
            user = User(UserId(self._id("us")), email, Role.USER, at)
            self._at(at, partial(self._join, user))

    def _plan_incidents(self) -> None:
        """What the pool says of the shortage, and what the bad image does to OpenClaws that run until an operator steps in."""
        (short, enough), (broken, mended) = self.plan.shortage, self.plan.bad_image
        statuses = {short: ("ready", "no_capacity"), enough: ("no_capacity", "ready"), broken + 600: ("ready", "failing")}
        for at, (before, after) in {**statuses, mended: ("paused", "ready")}.items():
            self._at(at, partial(self._say_status, before, after))
        operator = Actor(UserId("us-operator"), Role.ADMIN, Via.PAGE, "203.0.113.20")
        for name, at in ((EventName.POOL_PAUSED, broken + 4200), (EventName.POOL_RESUMED, mended)):
            self.events.append(Event(name, at, actor=operator))
        self._at(broken + 60, self._break_some)

    def _say_status(self, before: str, after: str, at: float) -> None:
        self.events.append(Event(EventName.POOL_STATUS_CHANGED, at, detail={"from": before, "to": after}))

    def _break_some(self, at: float) -> None:
        running = [instance for instance in self.instances.values() if instance.phase is Phase.RUNNING][:12]
        for instance in running:
            for again in range(4):
                ago = at + again * 240 + self._chance.uniform(0, 120)
                self._at(ago, partial(self._restart, instance.machine_id))

    def _join(self, user: User, at: float) -> None:
        self.users.append(user)
        self.events.append(Event(EventName.USER_JOINED, at, user_id=user.id, actor=Actor(user.id, Role.USER, Via.PAGE, "203.0.113.7")))
        for number in range(2 if self._chance.random() < 0.12 else 1):
            self._at(at + 120 + number * self._chance.uniform(HOUR, 5 * DAY), lambda when: self._create(user, when))

    def _create(self, user: User, at: float) -> None:
        instance = Instance(
            InstanceId(self._id("oc")), user.id, self._chance.choice(NAMES), DesiredState.RUNNING, Phase.PENDING, at, at, revision=1
        )
        spare = self._spare()
        self._keep(instance)
        if spare is None:
            self._say(EventName.INSTANCE_CREATED, at, instance)
            self._waiting.append(instance.id)
        else:
            self._say(EventName.INSTANCE_CREATED, at, instance, spare)
            self._place(instance, spare, at, self._chance.uniform(1.2, 3.5))
        if self._chance.random() < 0.16:
            self._at(at + self._chance.uniform(0.2, 12) * DAY, lambda when: self._delete(instance.id, when))
        self._replenish(at)

    def _put(self, machine: Machine) -> None:
        before = self.machines.get(machine.id)
        self._states.update([machine.state])
        if before is not None:
            self._states.subtract([before.state])
        if machine.state is MachineState.AVAILABLE:
            self._spares.append(machine.id)
        self.machines[machine.id] = machine

    def _keep(self, instance: Instance) -> None:
        before = self.instances.get(instance.id)
        self._phases.update([instance.phase])
        if before is not None:
            self._phases.subtract([before.phase])
        self.instances[instance.id] = instance

    def _spare(self) -> Machine | None:
        return self.machines[self._spares.popleft()] if self._spares else None

    def _place(self, instance: Instance, machine: Machine, at: float, seconds: float) -> None:
        bound = replace(instance, machine_id=machine.id, generation=instance.generation + 1, phase_changed_at=at)
        phase = Phase.PLACING if instance.phase is Phase.PENDING else Phase.REPLACING
        self._keep(replace(bound, phase=phase))
        taken = replace(machine, state=MachineState.ASSIGNED, instance_id=instance.id, generation=bound.generation, state_changed_at=at)
        self._put(taken)
        waited = at - instance.phase_changed_at
        is_move = phase is Phase.REPLACING
        if at + seconds < self.plan.end:
            self._parts.append((at + seconds, placed(self._counting, seconds, waited if waited > 2 else None, is_move=is_move)))
        self._say(EventName.MACHINE_CLAIMED, at, bound, taken)
        self._at(at + seconds, lambda when: self._run(instance.id, when))
        if self._chance.random() < 0.02:
            self._at(at + self._chance.uniform(0.1, 4) * DAY, lambda when: self._restart(machine.id, when))

    def _run(self, instance_id: InstanceId, at: float) -> None:
        instance = self.instances[instance_id]
        if instance.phase not in (Phase.PLACING, Phase.REPLACING) or instance.machine_id is None:
            return
        ran = replace(instance, phase=Phase.RUNNING, phase_changed_at=at, applied_revision=1, filed_generation=instance.generation)
        self._keep(ran)
        self._say(EventName.INSTANCE_RUNNING, at, ran, self.machines[instance.machine_id])
        rate = self.plan.interruptions_a_day
        away = at + self._chance.expovariate(rate) * DAY if rate else math.inf
        self._at(away, lambda when: self._interrupt(ran.machine_id, when))

    def _interrupt(self, machine_id: MachineId | None, at: float) -> None:
        machine = self.machines.get(machine_id) if machine_id else None
        if machine is None or machine.state is not MachineState.ASSIGNED or machine.instance_id is None:
            return
        instance = self.instances[machine.instance_id]
        self._say(EventName.MACHINE_NOTICED, at, instance, machine, kind=NoticeKind.INTERRUPTION)
        moving = replace(instance, phase=Phase.REPLACING, phase_changed_at=at, machine_id=None)
        self._keep(moving)
        self._say(EventName.INSTANCE_MOVING, at, moving, machine)
        self._end(replace(machine, notice=NoticeKind.INTERRUPTION), MachineFailure.NOTICED, at)
        spare = self._spare()
        if spare is None:
            self._waiting.append(instance.id)
        else:
            self._place(moving, spare, at + 1, self._chance.uniform(8, 25))
        self._replenish(at)

    def _restart(self, machine_id: MachineId | None, at: float) -> None:
        machine = self.machines.get(machine_id) if machine_id else None
        if machine is not None and machine.state is MachineState.ASSIGNED and machine.instance_id is not None:
            self._say(EventName.GATEWAY_RESTARTED, at, self.instances[machine.instance_id], machine, restarts=1)

    def _delete(self, instance_id: InstanceId, at: float) -> None:
        instance = self.instances[instance_id]
        if instance.phase is not Phase.RUNNING or instance.machine_id is None:
            return
        self._say(EventName.INSTANCE_DELETE_ASKED, at, instance, self.machines[instance.machine_id])
        self._end(self.machines[instance.machine_id], MachineFailure.INSTANCE_DELETED, at)
        gone = replace(
            instance, phase=Phase.DELETED, desired=DesiredState.DELETED, machine_id=None, phase_changed_at=at + 20, deleted_at=at + 20,
            purge_after=at + 7 * DAY,
        )  # fmt: skip
        self._keep(gone)
        self._say(EventName.INSTANCE_DELETED, at + 20, gone)

    def _end(self, machine: Machine, failure: MachineFailure, at: float) -> None:
        ending = replace(machine, state=MachineState.TERMINATING, failure=failure, state_changed_at=at)
        self._put(ending)
        self._say(EventName.MACHINE_CONDEMNED, at, machine=ending, reason=failure)
        self._at(at + self._chance.uniform(30, 90), lambda when: self._gone(ending, when))

    def _gone(self, machine: Machine, at: float) -> None:
        self._put(replace(machine, state=MachineState.TERMINATED, state_changed_at=at))
        self._say(EventName.MACHINE_TERMINATED, at, machine=machine, reason=machine.failure or "")

    def _replenish(self, at: float) -> None:
        pooled = self._states[MachineState.AVAILABLE] + self._states[MachineState.INITIALIZING]
        if self.plan.is_short(at):
            self._at(at + 300, self._replenish)
            return
        for _ in range(self.plan.spares + len(self._waiting) - pooled):
            self._launch(at)

    def _launch(self, at: float) -> None:
        chance = self._chance
        reserved = InstanceId(self._id("oc"))
        machine = Machine(
            MachineId(self._id("mc")), MachineState.INITIALIZING, reserved, VolumeId(self._id("vo")), OPENCLAW_VERSION, Warmth.HOT, at, at,
            provider_ref=f"i-{chance.getrandbits(68):017x}", zone=chance.choice(ZONES), address=f"10.0.{chance.randrange(256)}.8:8080",
        )  # fmt: skip
        self._put(machine)
        self._say(EventName.MACHINE_LAUNCHED, at, machine=machine)
        self._parts.append((at, launched(is_refused=self._counting.random() < 0.015)))
        if self.plan.is_broken(at):
            self._at(at + 300, lambda when: self._never_ready(machine.id, when))
        elif chance.random() < 0.015:
            self._say(EventName.MACHINE_LAUNCH_FAILED, at + 2, machine=machine, error="InsufficientInstanceCapacity in us-west-2b")
            self._at(at + 2, lambda when: self._fail(machine.id, when))
        else:
            self._at(at + chance.uniform(70, 150), lambda when: self._ready(machine.id, when))

    def _ready(self, machine_id: MachineId, at: float) -> None:
        ready = replace(self.machines[machine_id], state=MachineState.AVAILABLE, state_changed_at=at)
        self._put(ready)
        self._say(EventName.MACHINE_AVAILABLE, at, machine=ready)
        if self._waiting and (spare := self._spare()):
            instance = self.instances[self._waiting.pop(0)]
            self._place(instance, spare, at, self._chance.uniform(9, 16))

    def _never_ready(self, machine_id: MachineId, at: float) -> None:
        self._end(replace(self.machines[machine_id], last_error="Its OpenClaw did not answer."), MachineFailure.NOT_READY_IN_TIME, at)
        self._replenish(at)

    def _fail(self, machine_id: MachineId, at: float) -> None:
        self._end(self.machines[machine_id], MachineFailure.LAUNCH_FAILED, at)
        self._replenish(at + 5)

    def _took(self, event: Event) -> float | None:
        """How long the instance took, where this is the event of its first run."""
        if event.name is not EventName.INSTANCE_RUNNING or event.instance_id is None:
            return None
        instance = self.instances[event.instance_id]
        is_first = event.instance_id not in self._ran
        self._ran.add(event.instance_id)
        return event.at - instance.created_at if is_first else None

    def _gauges(self) -> Bucket:
        states, machines = self._states, sum(self._states.values()) - self._states[MachineState.TERMINATED]
        return sampled({
            Gauge.READY: states[MachineState.AVAILABLE],
            Gauge.WANTED: self.plan.spares,
            Gauge.BOOTING: states[MachineState.INITIALIZING],
            Gauge.MACHINES: machines,
            Gauge.RUNNING: self._phases[Phase.RUNNING],
            Gauge.FAILED: self._phases[Phase.FAILED],
            Gauge.WAITING: len(self._waiting),
            Gauge.COST: machines * MACHINE_USD + 0.0721,
        })  # fmt: skip

    def _leave_something_to_do(self) -> None:
        """One instance that was given up an hour ago, and a machine that is being emptied."""
        running = [instance for instance in self.instances.values() if instance.phase is Phase.RUNNING]
        if len(running) < 2:
            return
        failed, moving = running[-1], running[-2]
        at, error = self.plan.end - HOUR, "The provider refused the key: 401 Unauthorized. Enter another one under Settings."
        self._keep(replace(failed, phase=Phase.FAILED, phase_changed_at=at, last_error=error))
        self._say(EventName.INSTANCE_FAILED, at, failed, self.machines.get(failed.machine_id) if failed.machine_id else None, error=error)
        if moving.machine_id is not None:
            machine = self.machines[moving.machine_id]
            self._put(replace(machine, notice=NoticeKind.DRAIN))
            self._say(EventName.MACHINE_NOTICED, self.plan.end - 90, moving, machine, kind=NoticeKind.DRAIN)
