"""What the tables hold, as domain values, and what each transaction changed of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from openclaw_hosted.domain.account import Session, User
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.instance import Instance, Step
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.naming import InstanceId, MachineId, RestorePointId, UserId
from openclaw_hosted.domain.restore_point import RestorePoint
from openclaw_hosted.domain.volume import Volume
from openclaw_hosted.ports.stores import PoolMemory

POOL_ROW = 1


@dataclass(frozen=True, slots=True)
class Change:
    """One row before and after a transaction; None where there is none."""

    table: str
    key: Any
    before: Any
    after: Any


@dataclass
class Rows:
    """All rows, as they were when the last transaction ended. `watch` hears what each transaction changed."""

    watch: Callable[[Sequence[Change]], None] | None = None
    machines: dict[MachineId, Machine] = field(default_factory=dict)
    instances: dict[InstanceId, Instance] = field(default_factory=dict)
    volumes: dict[InstanceId, Volume] = field(default_factory=dict)
    restore_points: dict[RestorePointId, RestorePoint] = field(default_factory=dict)
    steps: dict[int, tuple[InstanceId, Step]] = field(default_factory=dict)
    events: dict[int, Event] = field(default_factory=dict)
    pool: dict[int, PoolMemory] = field(default_factory=dict)
    users: dict[UserId, User] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)

    def committed(self, now: Iterable[tuple[str, Any, Any]]) -> None:
        """A transaction has ended: table, key and value of each row that it wrote; the value of one that it deleted is None."""
        changes = [change for table, key, after in now if (change := self._take(table, key, after)) is not None]
        if changes and self.watch is not None:
            self.watch(changes)

    def _take(self, table: str, key: Any, after: Any) -> Change | None:
        rows = getattr(self, table)
        before = rows.get(key)
        if before == after:
            return None
        if after is None:
            del rows[key]
        else:
            rows[key] = after
        return Change(table, key, before, after)
