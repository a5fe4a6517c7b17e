"""A whole provider in memory, with state and fault knobs. What its calls have done stays done, also when an answer is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.errors import Unavailable
from openclaw_hosted.domain.gateway import Credentials, GatewaySpec
from openclaw_hosted.domain.naming import InstanceId, MachineId, VolumeId
from openclaw_hosted.ports.machines import MachineHealth
from openclaw_hosted.ports.router import Route

Hook = Callable[[str, str], Awaitable[None]]
"""Called with a call's name and `before` or `after` its effect."""


@dataclass
class FakeMachine:
    """A machine of the fake."""

    machine_id: MachineId
    health: MachineHealth = MachineHealth.UP
    spec: GatewaySpec | None = None
    applied_revision: int = 0
    restarts: int = 0

    @property
    def address(self) -> str:
        """Where its gateway answers."""
        return f"{self.machine_id}:8080"


@dataclass
class FakeSecret:
    """A document of the vault."""

    document: Credentials = field(repr=False)
    revision: int
    granted_to: MachineId | None = None
    retired: bool = False


@dataclass
class FakeVolume:
    """A volume of the fake."""

    instance_id: InstanceId | None = None
    attached_to: MachineId | None = None


class FakeCloud:
    """The state behind all fake ports, and the knobs."""

    def __init__(self) -> None:
        self.machines: dict[str, FakeMachine] = {}
        self.secrets: dict[InstanceId, FakeSecret] = {}
        self.volumes: dict[VolumeId, FakeVolume] = {}
        self.routes: dict[InstanceId, tuple[Route, str]] = {}
        self.sessions: dict[str, Session] = {}
        self.labels: dict[str, dict[str, str]] = {}
        self.room: int | None = None
        self.hook: Hook | None = None
        self._failures: dict[str, list[Exception]] = {}
        self._lost: dict[str, int] = {}

    def fail_next(self, call: str, error: Exception) -> None:
        """The next call of this name raises, without effect."""
        self._failures.setdefault(call, []).append(error)

    def lose_answer(self, call: str) -> None:
        """The next call of this name has its effect, and then no answer comes."""
        self._lost[call] = self._lost.get(call, 0) + 1

    async def begin(self, call: str) -> None:
        """Before the effect of a call."""
        if self.hook is not None:
            await self.hook(call, "before")
        if self._failures.get(call):
            raise self._failures[call].pop(0)

    async def end(self, call: str) -> None:
        """After the effect of a call."""
        if self.hook is not None:
            await self.hook(call, "after")
        if self._lost.get(call, 0) > 0:
            self._lost[call] -= 1
            raise Unavailable(f"The answer to {call} was lost.")

    def kill(self, machine_id: str) -> None:
        """A machine is gone without notice."""
        self.machines.pop(machine_id, None)
        for volume in self.volumes.values():
            if volume.attached_to == machine_id:
                volume.attached_to = None

    def inventory(self) -> dict[str, set[str]]:
        """Everything that exists, by kind."""
        return {
            "machines": set(self.machines),
            "secrets": set(self.secrets),
            "volumes": set(self.volumes),
            "routes": set(self.routes),
        }
