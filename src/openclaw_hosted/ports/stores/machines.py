"""Machines, from the row that is committed before the launch to the record of their end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.lifecycle import Changed
from openclaw_hosted.domain.machine import Machine, MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId, VolumeId
from openclaw_hosted.domain.observation import Observation
from openclaw_hosted.ports.stores.lease import Lease


@dataclass(frozen=True, slots=True)
class NewMachine:
    """A machine to be launched; its ids are committed before the provider is asked."""

    id: MachineId
    reserved_instance_id: InstanceId
    volume_id: VolumeId
    image: str
    warmth: Warmth
    zone: str = ""
    """Where it has to be; empty for anywhere."""


MachineRule = Callable[[Machine], Changed]
"""One of `domain.lifecycle`, with all but the machine given."""
LossRule = Callable[[Machine, Instance | None], Changed]
"""`lifecycle.lose`, with all but the rows given."""


class MachineStore(Protocol):
    """Rows of machines."""

    async def add(self, machines: Sequence[NewMachine], fleet_cap: int, now: float, events: Sequence[Event] = ()) -> Sequence[Machine]:
        """Commit rows in state `initializing`, fewer than asked where `fleet_cap` live machines would be exceeded, and with them those
        of `events` that are about them. The count is taken under a lock, so that no number of replicas exceeds the cap."""
        ...

    async def adopt(self, machine: NewMachine, provider_ref: str, fleet_cap: int, now: float, event: Event) -> Machine | None:
        """Commit a row in state `initializing` for a machine that exists already; None where the cap is reached, or a row has it."""
        ...

    async def get(self, machine_id: MachineId) -> Machine:
        """One machine. Raises `NotFound`."""
        ...

    async def list_live(self) -> Sequence[Machine]:
        """All that are not terminated, oldest first."""
        ...

    async def count_live(self) -> Mapping[MachineState, int]:
        """How many are in each state, terminated ones not counted; a state without any may be missing."""
        ...

    async def list_pooled(self) -> tuple[Sequence[Machine], int]:
        """Those not yet assigned, oldest first, and how many others live: assigned ones, and those being ended. One that is assigned
        meanwhile may be in both, never in neither."""
        ...

    async def list_noticed(self) -> Sequence[Machine]:
        """Those that were said to end and serve an instance, or did until they were told to end; oldest first."""
        ...

    async def list_recent(self, limit: int = 200) -> Sequence[Machine]:
        """The newest, terminated ones included, newest first."""
        ...

    async def lease_due(self, limit: int, seconds: float) -> Sequence[tuple[Machine, Lease]]:
        """Lease machines with work: `initializing` or `terminating`, due, and not leased by another."""
        ...

    async def renew(self, leases: Sequence[Lease], seconds: float) -> frozenset[str]:
        """Hold them longer, in one statement; the keys of those that were still held."""
        ...

    async def update(self, machine_id: MachineId, rule: MachineRule, *, lease: Lease | None = None) -> Machine:
        """What the rule makes of it, in one transaction; returns it as it is now. Raises what the rule raises, `NotFound`, and with a
        lease `LeaseLost`."""
        ...

    async def lose(self, machine_id: MachineId, rule: LossRule) -> Machine:
        """What the rule makes of it and of the instance that it is bound to, in one transaction."""
        ...

    async def observations(self) -> Mapping[MachineId, Observation]:
        """What was seen of machines that are live."""
        ...

    async def observe(self, seen: Sequence[Observation]) -> None:
        """Keep what was seen, in one transaction, and forget what was seen of machines that are no more."""
        ...

    async def reschedule(self, lease: Lease, seconds: float, error: str | None, *, counts: bool = True) -> None:
        """Give the lease back and come again in `seconds`; with `error`, count an attempt."""
        ...
