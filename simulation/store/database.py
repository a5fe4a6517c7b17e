"""Tables in memory, with transactions that are undone on an error, and leases on rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from openclaw_hosted.domain.account import Session, User
from openclaw_hosted.domain.errors import LeaseLost
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.instance import Instance, Step
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId
from openclaw_hosted.ports.stores import Lease, PoolMemory

LONGEST_PAUSE_SECONDS = 600.0
CLOCK_SLACK_SECONDS = 60.0


class Duplicate(Exception):
    """A unique constraint does not hold; SQL's `IntegrityError`."""


@dataclass(frozen=True, slots=True)
class Work:
    """What makes a row a work item."""

    token: str | None = None
    expires_at: float = 0.0
    next_attempt_at: float = 0.0


@dataclass(frozen=True, slots=True)
class MachineRow:
    """A row of machines."""

    value: Machine
    work: Work = Work()


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """A row of instances."""

    value: Instance
    work: Work = Work()
    sealed: bytes | None = None
    sealed_revision: int | None = None


@dataclass(frozen=True, slots=True)
class KnownKey:
    """An idempotency key that was used."""

    fingerprint: str
    instance_id: InstanceId
    created_at: float


@dataclass(frozen=True, slots=True)
class Change:
    """One row before and after a transaction; None where there is none."""

    table: str
    key: Any
    before: Any
    after: Any


@dataclass
class Database:
    """All tables. `now` is the database's own clock; `watch` hears what each transaction changed, once it is committed."""

    now: Callable[[], float]
    watch: Callable[[Sequence[Change]], None] | None = None
    machines: dict[MachineId, MachineRow] = field(default_factory=dict)
    instances: dict[InstanceId, InstanceRow] = field(default_factory=dict)
    steps: dict[InstanceId, tuple[Step, ...]] = field(default_factory=dict)
    events: dict[int, Event] = field(default_factory=dict)
    leases: dict[str, Work] = field(default_factory=dict)
    pool: dict[int, PoolMemory] = field(default_factory=lambda: {1: PoolMemory()})
    users: dict[UserId, User] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    grants: dict[tuple[str, InstanceId], float] = field(default_factory=dict)
    keys: dict[tuple[UserId, str], KnownKey] = field(default_factory=dict)
    _changes: list[Change] = field(default_factory=list)
    _tokens: int = 0

    @contextmanager
    def write(self) -> Iterator[None]:
        """A transaction: all of it, or on an error nothing."""
        try:
            yield
        except BaseException:
            for change in reversed(self._changes):
                self._set(change.table, change.key, change.before)
            self._changes.clear()
            raise
        changes, self._changes = self._changes, []
        if changes and self.watch is not None:
            self.watch(changes)

    def put(self, table: str, key: Any, row: Any) -> None:
        """Insert or replace a row; None deletes it."""
        self._changes.append(Change(table, key, getattr(self, table).get(key), row))
        self._set(table, key, row)

    def _set(self, table: str, key: Any, row: Any) -> None:
        rows = getattr(self, table)
        if row is None:
            rows.pop(key, None)
        else:
            rows[key] = row

    def record(self, event: Event | None) -> None:
        """Add an event."""
        if event is not None:
            number = len(self.events) + 1
            self.put("events", number, replace(event, id=number))

    def new_token(self) -> str:
        """A token of a lease, like no other."""
        self._tokens += 1
        return f"lease-{self._tokens}"

    def is_past(self, moment: float, longest: float) -> bool:
        """Whether a moment has passed, or lies so far off that it was written before the clock was set back."""
        now = self.now()
        return moment <= now or moment > now + longest + CLOCK_SLACK_SECONDS

    def due(self, rows: Iterator[Any], limit: int, seconds: float) -> list[Any]:
        """Those of the rows with work that are due and not leased, the longest due first."""
        free = [
            row
            for row in rows
            if self.is_past(row.work.next_attempt_at, LONGEST_PAUSE_SECONDS)
            and (row.work.token is None or self.is_past(row.work.expires_at, seconds))
        ]
        return sorted(free, key=lambda row: (row.work.next_attempt_at, row.value.created_at))[: max(0, limit)]

    def lease(self, table: str, rows: Sequence[Any], seconds: float) -> list[tuple[Any, Lease]]:
        """Lease these rows, all under one token."""
        token, expires_at = self.new_token(), self.now() + seconds
        for row in rows:
            self.put(table, row.value.id, replace(row, work=replace(row.work, token=token, expires_at=expires_at)))
        return [(row.value, Lease(row.value.id, token, expires_at)) for row in rows]

    def held(self, table: str, lease: Lease) -> Any:
        """The leased row. Raises `LeaseLost`."""
        row = getattr(self, table).get(lease.key)
        if row is None or row.work.token != lease.token or row.work.expires_at <= self.now():
            raise LeaseLost
        return row

    def renew(self, table: str, lease: Lease, seconds: float) -> Lease:
        """Hold it longer."""
        row, expires_at = self.held(table, lease), self.now() + seconds
        self.put(table, lease.key, replace(row, work=replace(row.work, expires_at=expires_at)))
        return Lease(lease.key, lease.token, expires_at)

    def put_off(self, table: str, lease: Lease, seconds: float, error: str | None, *, counts: bool) -> None:
        """Give it back and come again in `seconds`."""
        row = self.held(table, lease)
        value = row.value
        if error is not None:
            value = replace(value, last_error=error, attempts=value.attempts + int(counts))
        later = self.now() + min(seconds, LONGEST_PAUSE_SECONDS)
        self.put(table, lease.key, row_with(row, value, replace(row.work, token=None, next_attempt_at=later)))


def broken(work: Work) -> Work:
    """The lease broken; the row is due once it would have run out."""
    return Work(None, work.expires_at, 0.0 if work.token is None else work.expires_at)


def row_with(row: Any, value: Any, work: Work) -> Any:
    """The row with another value and lease; an instance also carries when its next attempt is due."""
    if isinstance(value, Instance) and value.next_attempt_at != work.next_attempt_at:
        value = replace(value, next_attempt_at=work.next_attempt_at)
    return replace(row, value=value, work=work)
