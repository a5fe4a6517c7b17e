"""Machines of the fleet."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from openclaw_hosted.domain.naming import InstanceId, MachineId, VolumeId


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """What to launch. `machine_id` was committed before, and makes the launch idempotent."""

    machine_id: MachineId
    volume_id: VolumeId
    reserved_instance_id: InstanceId
    image: str
    zone: str = ""
    """Where it has to be, because its user's volume is there; empty for anywhere."""


class MachineHealth(StrEnum):
    """What the provider says of a machine."""

    BOOTING = "booting"
    UP = "up"
    STOPPED = "stopped"
    """It exists and is not running; `start` may bring it back."""
    SHUTTING_DOWN = "shutting_down"


@dataclass(frozen=True, slots=True)
class ObservedMachine:
    """One machine as the provider lists it; what is absent from the listing is gone."""

    provider_ref: str
    machine_id: MachineId | None
    """None for a machine that carries no id of ours."""
    health: MachineHealth
    address: str | None
    zone: str
    launched_at: float
    serves_user: bool = False
    """It carries the label of one that a user's instance was placed on."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What `label` wrote, as far as it was not taken away by hand."""
    reserved_instance_id: InstanceId | None = None
    """The instance id that it was launched for."""
    image: str = ""
    """The release that it was launched with; empty where that is not known."""
    adoptable: bool = False
    """It carries no id of ours, but was started as our machines are: an operator gave it to the pool."""


def one_of(machines: Sequence[ObservedMachine], machine_id: MachineId, provider_ref: str | None) -> ObservedMachine | None:
    """The machine with one of these names."""
    return next((seen for seen in machines if machine_id == seen.machine_id or provider_ref == seen.provider_ref), None)


class Machines(Protocol):
    """Launches, lists and terminates machines."""

    async def launch(self, spec: LaunchSpec) -> str:
        """Ask for a machine and return the provider's id for it.

        Asking again with the same `machine_id` returns the same one and launches nothing.
        Raises `NoCapacity` when there is no room now.
        """
        ...

    async def adopt(self, provider_ref: str, spec: LaunchSpec) -> None:
        """Make a machine that an operator started the one of `spec`, as if it had been launched so. Does nothing where it is.
        Raises `NotFound`."""
        ...

    async def observe(self) -> Sequence[ObservedMachine]:
        """All machines of this platform that exist, in one listing. A machine just launched may be missing for a while."""
        ...

    async def look_for(self, machine_id: MachineId, provider_ref: str | None) -> ObservedMachine | None:
        """One machine, by either name, for whoever waits for it; None where `observe` would not list it. Cheaper than `observe` where the
        provider can tell."""
        ...

    async def label(self, provider_ref: str, labels: Mapping[str, str]) -> None:
        """Write labels (`Status`, `UserId`, `InstanceId`) on the machine for people to see. Raises `NotFound`."""
        ...

    async def start(self, provider_ref: str) -> None:
        """Bring a stopped machine back, with its disk. Does nothing on one that is up; raises `NotFound`, or `Conflict` where
        the provider cannot (a Spot machine): replace it then."""
        ...

    async def terminate(self, provider_ref: str) -> None:
        """Ask for the end of a machine. Returning means accepted, not gone: gone is what `observe` no longer lists.
        Does nothing where it is already gone."""
        ...

    async def economize(self, provider_refs: Sequence[str]) -> Collection[str]:
        """Have these machines cost no more than their price from now on, however busy they are. Returns those of which that is so, or of
        whose kind it always was; the others may be asked for again."""
        ...

    async def room(self) -> int | None:
        """How many more machines the host could take now; None where that can't be told."""
        ...
