"""What the lab keeps of each EC2 instance beside moto's object: its states by the clock and the data plane."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from lab.cloud.refused import Refused
from lab.plane.base import Power

if TYPE_CHECKING:
    from lab.cloud.account import Account

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
LIVE = frozenset({"pending", "running"})
POWER_SECONDS = 0.5
"""How long the data plane's word on a machine is taken as good."""


@dataclass
class Row:
    """One EC2 instance."""

    instance: Any
    """Moto's object."""
    reservation_id: str
    launched_at: float
    spot: bool
    role_name: str | None
    credits: str
    token: str = ""
    tags_in_metadata: bool = False
    state: str = "pending"
    changed_at: float = 0.0
    """When its state last began to change."""
    settled: bool = True
    """Whether the data plane has done what the state asks of it."""
    running_at: float | None = None
    interruption: dict[str, str] | None = None
    rebalance: dict[str, str] | None = None
    interrupted_at: float | None = None
    """When the notice of its interruption is over."""
    told: str = ""
    """The last state that an event told of."""
    seen: tuple[float, Power] | None = None
    """When the data plane was last asked, by the monotonic clock, and what it said."""
    launched: Event = field(default_factory=Event)
    """Set once the data plane has it, or has failed to."""

    def stale(self, now: float) -> bool:
        """Whether the data plane is to be asked again."""
        return self.seen is None or self.seen[1] is Power.BOOTING or now - self.seen[0] >= POWER_SECONDS

    @property
    def id(self) -> str:
        """Its instance id."""
        return str(self.instance.id)


@dataclass
class Token:
    """A client token that was used, and what it brought."""

    fingerprint: str
    answer: Any


@dataclass
class Fleet:
    """All instances, by id, and the client tokens of their launches."""

    rows: dict[str, Row] = field(default_factory=dict)
    tokens: dict[tuple[str, str], Token] = field(default_factory=dict)
    launching: dict[tuple[str, str], Lock] = field(default_factory=dict)

    def row(self, account: Account, instance_id: str) -> Row:
        """Raises `InvalidInstanceID.NotFound`, for a machine that is too new as well."""
        row = self.rows.get(instance_id)
        if row is None or account.clock() < row.launched_at + account.delays.unknown_seconds:
            raise Refused("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
        return row


def refresh(account: Account, row: Row) -> str:
    """Bring a row's state up to now; returns it. Call with the lock held."""
    now = account.clock()
    if row.state in LIVE:
        _refresh_running(account, row, now)
    elif row.state == "stopping" and row.settled and now >= row.changed_at + account.delays.stop_seconds:
        row.state = "stopped"
    elif row.state == "shutting-down" and row.settled and now >= row.changed_at + account.delays.stop_seconds:
        row.state, row.changed_at = "terminated", now
        release(account, row)
    row.instance._state.name = row.state  # noqa: SLF001
    row.instance._state.code = CODES[row.state]  # noqa: SLF001
    return row.state


def _refresh_running(account: Account, row: Row, now: float) -> None:
    if not row.settled:
        return
    power = power_of(account, row)
    if row.state == "pending" and power is Power.RUNNING:
        row.state, row.running_at = "running", now
    elif power is Power.GONE:
        row.state, row.changed_at = "shutting-down", now
    elif power is Power.STOPPED and row.state == "running":
        row.state, row.changed_at = "stopped", now


def power_of(account: Account, row: Row) -> Power:
    """How a machine is: by the clock where machines are rows only, else as the data plane said when it was last asked."""
    if account.machines is not None:
        return row.seen[1] if row.seen is not None else Power.BOOTING
    if row.state not in LIVE:
        return Power.STOPPED
    booted_at = row.changed_at + account.delays.boot_seconds
    return Power.BOOTING if row.state == "pending" and account.clock() < booted_at else Power.RUNNING


def look(account: Account, only: Row | None = None) -> None:
    """Ask the data plane how machines are, half a second after the last time at the earliest. Call without the lock."""
    machines, now = account.machines, time.monotonic()
    if machines is None:
        return
    with account.lock:
        rows = [only] if only is not None else list(account.fleet.rows.values())
        due = [row for row in rows if row.settled and row.state in LIVE and row.stale(now)]
    for row in due:
        power = machines.power(row.id)
        with account.lock:
            if row.settled and row.state in LIVE:
                row.seen = (now, power)


def refresh_all(account: Account) -> None:
    """Bring all rows up to now, and forget those that were terminated long ago."""
    now = account.clock()
    for row in list(account.fleet.rows.values()):
        if refresh(account, row) == "terminated" and now >= row.changed_at + account.delays.remembered_seconds:
            del account.fleet.rows[row.id]
            account.ec2.reservations.pop(row.reservation_id, None)
            account.ec2.tags.pop(row.id, None)


def change(account: Account, row: Row, state: str) -> None:
    """Begin to stop, start or terminate, on the data plane as well. Call with the lock held."""
    row.state, row.changed_at, row.settled, row.seen = state, account.clock(), False, None
    machines = account.machines
    if machines is None:
        row.settled = True
        return
    work = {"shutting-down": machines.terminate, "stopping": machines.stop, "pending": machines.start}[state]

    def carry_out() -> None:
        row.launched.wait()
        work(row.id)
        with account.lock:
            if row.state == state:
                row.settled, row.seen = True, None

    account.background(carry_out)


def release(account: Account, row: Row) -> None:
    """What follows from termination: disks are detached or deleted, addresses and targets given back."""
    from lab.cloud.volumes import release_volumes

    release_volumes(account, row)
    account.targets.forget_machine(account, row.id)
