"""What operators look at: pages of long lists, found and sorted by the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.listing import EventSearch, InstanceSearch, MachineSearch, Page, UserSearch
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.observation import Observation


@dataclass(frozen=True, slots=True)
class OwnedInstance:
    """An instance, and the address of its owner."""

    instance: Instance
    owner: str


@dataclass(frozen=True, slots=True)
class CountedUser:
    """An account, and how many instances it has that are not deleted."""

    user: User
    instances: int


class ConsoleStore(Protocol):
    """Reads only. `after` is what the page before said."""

    async def machines(self, search: MachineSearch, limit: int, after: str | None = None) -> Page[Machine]:
        """A page. Raises `InvalidInput` for an `after` of no page; so do the others."""
        ...

    async def instances(self, search: InstanceSearch, limit: int, after: str | None = None) -> Page[OwnedInstance]:
        """A page."""
        ...

    async def users(self, search: UserSearch, limit: int, after: str | None = None) -> Page[CountedUser]:
        """A page."""
        ...

    async def events(self, search: EventSearch, limit: int, after: str | None = None) -> Page[Event]:
        """A page; it does not count all, of which there may be millions."""
        ...

    async def emails(self, user_ids: Collection[str]) -> Mapping[str, str]:
        """The addresses of these accounts, as far as they exist."""
        ...

    async def waiting(self, limit: int) -> Sequence[OwnedInstance]:
        """Those that want a machine and have none, the longest first."""
        ...

    async def failed(self, limit: int) -> Sequence[OwnedInstance]:
        """Those that were given up, the newest first."""
        ...

    async def observation(self, machine_id: MachineId) -> Observation | None:
        """What the loops saw last of one machine."""
        ...

    async def restarts(self, since: float) -> Mapping[MachineId, tuple[int, InstanceId | None]]:
        """How often the gateway on each machine that is live came up anew by itself, and whose it is."""
        ...

    async def newest(self, names: Collection[EventName]) -> Event | None:
        """The newest event by one of these names."""
        ...
