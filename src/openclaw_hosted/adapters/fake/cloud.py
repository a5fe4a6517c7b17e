"""A whole provider in memory, with state and fault knobs. What its calls have done stays done, also when an answer is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.errors import NotFound, Unavailable
from openclaw_hosted.domain.gateway import Credentials, GatewaySpec
from openclaw_hosted.domain.naming import InstanceId, MachineId, RestorePointId, UserId, VolumeId
from openclaw_hosted.domain.notice import Notice, NoticeKind
from openclaw_hosted.domain.record import InstanceRecord
from openclaw_hosted.ports.clock import Clock
from openclaw_hosted.ports.gateways import SenderRequest
from openclaw_hosted.ports.machines import MachineHealth
from openclaw_hosted.ports.router import Route

Hook = Callable[[str, str], Awaitable[None]]
"""Called with a call's name and `before` or `after` its effect."""


@dataclass
class FakeMachine:
    """A machine of the fake. Its gateway runs whenever the machine is up and `spec` is set."""

    machine_id: MachineId
    launched_at: float
    health: MachineHealth = MachineHealth.UP
    zone: str = "fake-1"
    spec: GatewaySpec | None = None
    generation: int = 0
    """The latest that it has seen."""
    restarts: int = 0
    refused_revision: int | None = None
    """Settings that its gateway does not start with."""
    hangs: bool = False
    """Whether its gateway runs and does not answer, nor end when it is asked to."""
    down: bool = False
    """Whether its gateway ended when the machine was rebooted, and waits to be started."""
    outdated: bool = False
    """Whether its gateway names old addresses of the platform."""
    senders: dict[str, SenderRequest] = field(default_factory=dict)
    """Who waits to be approved."""
    settled: dict[str, bool] = field(default_factory=dict)
    """Requests that were settled, and whether they were approved."""
    address: str = ""
    """Where its gateway answers."""
    reserved_instance_id: InstanceId | None = None
    """Whom it was launched for."""
    image: str = ""
    listed_at: float = 0.0
    """From when on it is listed."""
    boots_at: float = 0.0
    """When it is up, while it is booting."""
    ends_at: float = 0.0
    """When it is gone, while it is shutting down."""
    busy_until: float = 0.0
    """When the turn ends that its gateway is at."""
    suspended: bool = False
    """Whether its gateway begins no more turns."""
    stands_by_until: float | None = None
    """Until when its gateway is loaded and waits for its state."""
    stopped_at: float = 0.0
    """When the gateway that was told to end has ended."""
    ready_at: float = 0.0
    """When the gateway that was started last begins to answer."""
    thrifty: bool = False
    """Whether it costs no more than its price."""
    log: list[str] = field(default_factory=lambda: ["gateway ready"])
    """What its gateway wrote."""

    def __post_init__(self) -> None:
        self.address = self.address or f"{self.machine_id}:8080"

    @property
    def answers(self) -> bool:
        """Whether its gateway runs."""
        return (
            self.spec is not None
            and self.health is MachineHealth.UP
            and not (self.refuses or self.hangs or self.down or self.stands_by_until is not None)
        )

    @property
    def refuses(self) -> bool:
        """Whether its gateway ended over its settings."""
        return self.spec is not None and self.spec.revision == self.refused_revision


@dataclass
class FakeSecret:
    """A document of the vault."""

    document: Credentials = field(repr=False)
    revision: int
    granted_to: str | None = None
    retired: bool = False
    record: InstanceRecord | None = None


@dataclass
class FakeVolume:
    """A volume of the fake."""

    zone: str = "fake-1"
    instance_id: InstanceId | None = None
    attached_to: MachineId | None = None
    written: int = 0
    """How much its user's OpenClaw has written on it."""
    mark: str = ""
    """Of the restoring that made it."""


@dataclass
class FakePoint:
    """A restore point of the fake."""

    instance_id: InstanceId | None
    written: int
    began_at: float
    captured_at: float
    ready_at: float


@dataclass
class Pace:
    """How long things take, in seconds; all at once unless told otherwise."""

    boot: Callable[[], float] = lambda: 0.0
    """From launch to being up; infinity for a machine that never is."""
    listing: Callable[[], float] = lambda: 0.0
    """From launch to being listed."""
    end: Callable[[], float] = lambda: 0.0
    """From being told to end to being gone."""
    turn: Callable[[], float] = lambda: 0.0
    """From telling a gateway to end to its end: it finishes its turn first."""
    capture: Callable[[], float] = lambda: 0.0
    """From asking for a restore point to its holding what the volume holds."""
    copy: Callable[[], float] = lambda: 0.0
    """From then to its being ready."""
    gateway: Callable[[], float] = lambda: 0.0
    """From the start of a gateway to its first answer."""


@dataclass(frozen=True)
class FakeRoute:
    """A route and the address that it leads to."""

    route: Route
    address: str


class FakeCloud:
    """The state behind all fake ports, and the knobs."""

    def __init__(self, clock: Clock, gateway_address: str | None = None) -> None:
        self.clock = clock
        self.gateway_address = gateway_address or ""
        """Where all gateways answer; each has an address of its own without it."""
        self.loads_ahead = True
        """Whether gateways can stand by."""
        self.machines: dict[str, FakeMachine] = {}
        self.secrets: dict[InstanceId, FakeSecret] = {}
        self.volumes: dict[VolumeId, FakeVolume] = {}
        self.points: dict[RestorePointId, FakePoint] = {}
        self.routes: dict[InstanceId, FakeRoute] = {}
        self.groups: set[MachineId] = set()
        """Machines for which the router keeps something beside their routes."""
        self.held: set[InstanceId] = set()
        """Whose address the platform answers at."""
        self.sessions: dict[str, Session] = {}
        self.labels: dict[str, dict[str, str]] = {}
        self.room: int | None = None
        self.pace = Pace()
        self.capacity: dict[str, int] = {}
        """How many machines a zone holds; without an entry any number."""
        self.new_ref: Callable[[MachineId], str] = str
        """How the provider calls a machine that is launched."""
        self.zones: tuple[str, ...] = ("fake-1",)
        """Where machines are launched, in turn, unless one is asked for."""
        self.searches_logs = False
        """Whether the logs of all gateways can be searched at once."""
        self.hook: Hook | None = None
        self.notices: dict[str, Notice | None] = {}
        """What was said of machines and is not confirmed yet, by receipt; None for what nobody can read."""
        self._passing: set[str] = set()
        """Machines that boot or shut down."""
        self._said = 0
        self._failures: dict[str, list[Exception]] = {}
        self._lost: dict[str, int] = {}
        self._tickets = 0

    def fail_next(self, call: str, error: Exception) -> None:
        """The next call of this name raises, without effect."""
        self._failures.setdefault(call, []).append(error)

    def is_to_fail(self, call: str) -> bool:
        """Whether failures of this call are left."""
        return bool(self._failures.get(call))

    def lose_answer(self, call: str) -> None:
        """The next call of this name has its effect, and then no answer comes."""
        self._lost[call] = self._lost.get(call, 0) + 1

    def calm(self) -> None:
        """Take back all faults that have not come to pass."""
        self.hook = None
        self._failures.clear()
        self._lost.clear()

    @asynccontextmanager
    async def call(self, name: str) -> AsyncIterator[None]:
        """Around the effect of one call."""
        if self.hook is not None:
            await self.hook(name, "before")
        self.catch_up()
        if self._failures.get(name):
            raise self._failures[name].pop(0)
        try:
            yield
        finally:
            if self.hook is not None:
                await self.hook(name, "after")
        if self._lost.get(name, 0) > 0:
            self._lost[name] -= 1
            raise Unavailable(f"The answer to {name} was lost.")

    def machine(self, provider_ref: str) -> FakeMachine:
        """A machine that exists. Raises `NotFound`."""
        if provider_ref not in self.machines:
            raise NotFound(f"There is no machine {provider_ref}.")
        return self.machines[provider_ref]

    def new_ticket(self) -> str:
        """A ticket like no other."""
        self._tickets += 1
        return f"ticket-{self._tickets}"

    def catch_up(self) -> None:
        """Let happen what was to happen by now: machines come up, and end."""
        now = self.clock.now()
        for ref in list(self._passing):
            machine = self.machines[ref]
            if machine.health is MachineHealth.SHUTTING_DOWN and machine.ends_at <= now:
                self.kill(ref)
            elif machine.health is MachineHealth.BOOTING and machine.boots_at <= now:
                machine.health = MachineHealth.UP
                self._passing.remove(ref)

    def add(self, provider_ref: str, machine: FakeMachine) -> None:
        """A machine is launched."""
        self.machines[provider_ref] = machine
        if machine.health is MachineHealth.BOOTING:
            self._passing.add(provider_ref)

    def end(self, provider_ref: str, seconds: float | None = None) -> None:
        """A machine is told to end, which takes it this long, or as long as the pace says."""
        machine = self.machines.get(provider_ref)
        seconds = self.pace.end() if seconds is None else seconds
        if machine is None or machine.health is MachineHealth.SHUTTING_DOWN:
            return
        if seconds <= 0:
            self.kill(provider_ref)
        else:
            machine.health, machine.ends_at = MachineHealth.SHUTTING_DOWN, self.clock.now() + seconds
            self._passing.add(provider_ref)

    def kill(self, provider_ref: str) -> None:
        """A machine is gone without notice."""
        gone = self.machines.pop(provider_ref, None)
        self._passing.discard(provider_ref)
        for volume in self.volumes.values():
            if gone is not None and volume.attached_to == gone.machine_id:
                volume.attached_to = None

    def ready(self, machine: FakeMachine) -> bool:
        """Whether its gateway answers by now."""
        return machine.answers and machine.ready_at <= self.clock.now()

    def give_notice(self, kind: NoticeKind, provider_ref: str, *, times: int = 1) -> None:
        """Say something of a machine, whether there is one or not."""
        for _ in range(times):
            self._said += 1
            self.notices[f"receipt-{self._said}"] = Notice(kind, provider_ref, self.clock.now())

    def passing_sessions(self) -> dict[str, UserId]:
        """The sessions that the edge lets pass now."""
        return {key: session.user_id for key, session in self.sessions.items() if session.expires_at > self.clock.now()}

    def reached(self, instance_id: InstanceId, session_hash: str | None) -> MachineId | None:
        """Which machine's gateway a browser reaches at an instance's address, if any."""
        found = self.routes.get(instance_id)
        visitor = self.passing_sessions().get(session_hash or "")
        if found is None or visitor is None or found.route.owner_id != visitor or instance_id in self.held:
            return None
        return next((m.machine_id for m in self.machines.values() if m.address == found.address and self.ready(m)), None)

    def inventory(self) -> dict[str, set[str]]:
        """Everything that exists, by kind."""
        return {
            "machines": set(self.machines),
            "secrets": set(self.secrets),
            "volumes": set(self.volumes),
            "routes": set(self.routes),
            "groups": set(self.groups),
            "points": set(self.points),
        }
