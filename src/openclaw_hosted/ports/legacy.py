"""The older system that users come from, and the way of their state out of it and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from openclaw_hosted.domain.migration import OldService, OldSettings, OldState
from openclaw_hosted.domain.naming import InstanceId, VolumeId
from openclaw_hosted.domain.old_things import OldThing
from openclaw_hosted.ports.gateways import Seat


@dataclass(frozen=True, slots=True)
class OldStatus:
    """How an old service is. `left` counts every task of it that has not ended, whatever it is to have."""

    desired: int
    running: int
    left: int

    @property
    def is_stopped(self) -> bool:
        """Whether nothing of it runs, nor is about to."""
        return self.desired == 0 and self.left == 0

    @property
    def is_up(self) -> bool:
        """Whether all runs that is to."""
        return self.desired > 0 and self.running >= self.desired


class Legacy(Protocol):
    """The older system. What it answers is foreign; what it is told is done once, however often it is told."""

    async def services(self) -> Sequence[OldService]:
        """All users' services, as the mapping finds them. Changes nothing."""
        ...

    async def settings(self, service: OldService) -> OldSettings:
        """What it is set to, its credentials read from its secret into memory. Raises `NotFound` without one."""
        ...

    async def status(self, service: OldService) -> OldStatus:
        """How it is now. Raises `NotFound`."""
        ...

    async def scale(self, service: OldService, desired: int) -> None:
        """Have it run so many tasks. Does not wait for it."""
        ...

    async def route(self, service: OldService) -> str:
        """What leads there and how it is now, in the adapter's own words, for `hold`, `lead` and `restore_route`. Raises `NotFound`, and
        `Conflict` where it does not lead to the old service now."""
        ...

    async def hold(self, route: str) -> None:
        """Have a page at the old address say that it will be a moment. `route` is as `route` told it before."""
        ...

    async def lead(self, route: str, url: str) -> None:
        """Have the old address lead to `url` from now on, in one call."""
        ...

    async def restore_route(self, route: str) -> None:
        """Have it as it was."""
        ...

    async def things(self) -> Sequence[OldThing]:
        """All that is proved to be the older system's, with what it costs. Changes nothing."""
        ...

    async def remove(self, thing: OldThing) -> bool:
        """Take one away; whether it is gone. False: accepted, look again. Raises `Conflict` where it is no longer proved to be the older
        system's, or is in use. Does nothing where it is gone."""
        ...


@dataclass(frozen=True, slots=True)
class StateSize:
    """How large a state is, and how many files."""

    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where a state comes to: a machine's volume, beside what is on it, until it is installed. `mark` names one attempt."""

    seat: Seat
    volume_id: VolumeId
    instance_id: InstanceId
    mark: str


class StateCopies(Protocol):
    """Brings state from the older system to a machine's volume, and back. Whatever is broken off goes on from where it was."""

    async def check(self, state: OldState) -> StateSize:
        """Measure it. Raises `NotFound` where it can't be reached, with the way out."""
        ...

    async def with_keys(self, state: OldState, found: OldSettings) -> OldSettings:
        """`found`, with the model key that OpenClaw keeps in the state where the older system gave it none. No such key ever comes along
        with the state. Raises as `check` does, and `Conflict` for a database that can't be read."""
        ...

    async def bring(self, state: OldState, arrival: Arrival) -> StateSize:
        """Copy what differs, beside what the gateway works on. Returns what was copied. The old service may run meanwhile; what is torn by
        that is copied again by `settle`."""
        ...

    async def settle(self, state: OldState, arrival: Arrival) -> None:
        """With the old service stopped: copy what still differs, and verify all of it: the same files with the same content, every
        database whole. Raises `Conflict` where it is not."""
        ...

    async def install(self, arrival: Arrival) -> None:
        """Put what was brought in the place of the gateway's state, in one step. The gateway has to stand by or be suspended, and
        be started anew afterwards. Does nothing where it was done with this mark."""
        ...

    async def carry_back(self, arrival: Arrival, state: OldState) -> None:
        """With the new gateway suspended and the old service stopped: bring what was written since to the older system, and verify it.
        Raises `Conflict` where it is not the same there."""
        ...


class Carrier(Protocol):
    """Takes parcels to machines that are elsewhere, and back. A parcel is a file of this computer (`adapters.local.states.parcels`)."""

    async def deliver(self, arrival: Arrival, parcel: Path, *, whole: bool, last: bool) -> None:
        """Unpack a parcel beside what the gateway works on, over what came before; `whole` drops that first. After the `last` one it can
        be installed. Raises `Conflict` where the files there are not those that the parcel lists. Does nothing where what `arrival` marks
        is installed."""
        ...

    async def install(self, arrival: Arrival) -> None:
        """Put what was delivered in the place of the gateway's state; see `StateCopies.install`."""
        ...

    async def fetch(self, arrival: Arrival, parcel: Path) -> None:
        """Make `parcel` a tar of the gateway's state as it is now."""
        ...
