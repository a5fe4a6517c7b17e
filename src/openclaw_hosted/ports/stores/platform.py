"""What belongs to no aggregate: the log of events, named leases, what the pool remembers, and hints between replicas."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.naming import InstanceId, MachineId
from openclaw_hosted.domain.orphan import Orphan
from openclaw_hosted.domain.pool import PoolStatus, Shortage
from openclaw_hosted.ports.stores.lease import Lease

PRUNED_AT_ONCE: Final = 2000


@dataclass(frozen=True, slots=True)
class PoolMemory:
    """What the pool remembers between ticks."""

    spares: int | None = None
    """As an operator set it; None follows the settings."""
    paused: bool = False
    failures_in_row: int = 0
    last_failure_at: float | None = None
    last_error: str | None = None
    status: PoolStatus = PoolStatus.FILLING
    note: str | None = None
    """A line for people, such as why there are fewer spares than asked for."""
    shortages: Mapping[str, Shortage] = field(default_factory=dict)
    """By zone."""


class PlatformStore(Protocol):
    """What belongs to no single aggregate: events, named leases, the pool's memory."""

    async def add_event(self, event: Event) -> None:
        """Write one."""
        ...

    async def events(
        self, *, instance_id: InstanceId | None = None, machine_id: MachineId | None = None, before_id: int | None = None, limit: int = 100
    ) -> Sequence[Event]:
        """The newest first; `before_id` pages on."""
        ...

    async def prune(self, *, events_before: float, machines_before: float, steps_kept: int) -> bool:
        """Forget events and machines that are gone from before then, and all but the newest steps of each instance: `PRUNED_AT_ONCE` of
        each at most. The newest event stays: ids that follow it are never given twice. Whether there may be more."""
        ...

    async def orphans(self) -> Sequence[Orphan]:
        """Those that are kept, the oldest first."""
        ...

    async def keep_orphans(self, orphans: Sequence[Orphan], gone: Collection[str], events: Sequence[Event]) -> None:
        """Remember these, forget those that are gone, and write what happened, in one transaction."""
        ...

    async def release_orphan(self, name: str, event: Event) -> None:
        """Have one removed that is kept. Raises `NotFound`."""
        ...

    async def acquire(self, name: str, token: str, seconds: float) -> Lease | None:
        """Hold or renew the named lease; None while another token holds it."""
        ...

    async def release(self, lease: Lease) -> None:
        """Give a named lease back."""
        ...

    async def pool_memory(self) -> PoolMemory:
        """What the pool remembers."""
        ...

    async def launch_failed(self, now: float, error: str) -> int:
        """Count one more failure in a row; returns the count."""
        ...

    async def no_capacity(self, zone: str, now: float, error: str) -> None:
        """No machine could be had in this zone, empty for any: count it. It does not count as a failed launch."""
        ...

    async def capacity_found(self, zone: str) -> None:
        """One could be had there: its shortage is over."""
        ...

    async def launch_succeeded(self) -> None:
        """Failures in a row are over; nothing to do where there were none."""
        ...

    async def set_pool(
        self, *, paused: bool | None = None, spares: int | None = None, status: PoolStatus | None = None, note: str | None = None
    ) -> None:
        """Change what is given. Resuming also clears the failures in a row, and shortages."""
        ...

    async def follow_settings(self) -> None:
        """Keep as many spares as the settings say, whatever an operator set before."""
        ...

    async def schema_version(self) -> str:
        """The revision of the schema."""
        ...


class Hints(Protocol):
    """Wakes loops, in this process and in the other replicas. A hint carries no facts and may be lost."""

    async def hint(self, topic: str) -> None:
        """Wake whoever waits for `topic`."""
        ...

    async def wait(self, topic: str, timeout_seconds: float) -> bool:
        """Wait for the next hint on `topic`, one given since the last wait included; False when the time ran out."""
        ...
