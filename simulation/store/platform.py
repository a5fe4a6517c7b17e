"""`PlatformStore`, and the part of `AccountStore` that controllers and opening an instance use, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from openclaw_hosted.domain.account import Session, User
from openclaw_hosted.domain.errors import StateConflict
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId
from openclaw_hosted.ports.stores import Lease, PoolMemory
from simulation.store.database import Database, Work

POOL_ROW = 1
IDEMPOTENCY_SECONDS = 86_400.0


class MemoryPlatform:
    """Events, named leases, the pool's memory."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add_event(self, event: Event) -> None:
        with self._db.write():
            self._db.record(event)

    async def events(
        self, *, instance_id: InstanceId | None = None, machine_id: MachineId | None = None, before_id: int | None = None, limit: int = 100
    ) -> Sequence[Event]:
        found = [
            event
            for number, event in reversed(self._db.events.items())
            if (instance_id is None or event.instance_id == instance_id)
            and (machine_id is None or event.machine_id == machine_id)
            and (before_id is None or number < before_id)
        ]
        return found[:limit]

    async def acquire(self, name: str, token: str, seconds: float) -> Lease | None:
        with self._db.write():
            held = self._db.leases.get(name)
            if held is not None and held.token != token and not self._db.is_past(held.expires_at, seconds):
                return None
            expires_at = self._db.now() + seconds
            self._db.put("leases", name, Work(token, expires_at))
            return Lease(name, token, expires_at)

    async def release(self, lease: Lease) -> None:
        with self._db.write():
            held = self._db.leases.get(lease.key)
            if held is not None and held.token == lease.token:
                self._db.put("leases", lease.key, None)

    async def pool_memory(self) -> PoolMemory:
        return self._db.pool[POOL_ROW]

    async def launch_failed(self, now: float, error: str) -> int:
        count = self._db.pool[POOL_ROW].failures_in_row + 1
        self._write(failures_in_row=count, last_failure_at=now, last_error=error)
        return count

    async def launch_succeeded(self) -> None:
        self._write(failures_in_row=0, last_failure_at=None, last_error=None)

    async def set_pool(
        self, *, paused: bool | None = None, spares: int | None = None, status: str | None = None, note: str | None = None
    ) -> None:
        given = {"paused": paused, "spares": spares, "status": status, "note": note}
        values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if note == "":
            values["note"] = None
        if paused is False:
            values |= {"failures_in_row": 0, "last_failure_at": None, "last_error": None}
        self._write(**values)

    async def schema_version(self) -> str:
        return "memory"

    def _write(self, **values: Any) -> None:
        with self._db.write():
            self._db.put("pool", POOL_ROW, replace(self._db.pool[POOL_ROW], **values))


class MemoryAccounts:
    """Users, sessions and grants, as far as controllers and opening an instance need them."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add_user(self, user: User, password_hash: str | None, event: Event | None) -> None:  # noqa: ARG002 - nobody signs in
        with self._db.write():
            if user.id in self._db.users or any(known.email == user.email for known in self._db.users.values()):
                raise StateConflict("That e-mail address has an account already.")
            self._db.put("users", user.id, user)
            self._db.record(event)

    async def add_session(self, session: Session, event: Event | None, proven: str | None = None) -> None:  # noqa: ARG002 - nobody signs in
        with self._db.write():
            self._db.put("sessions", session.hash, session)
            self._db.record(event)

    async def session(self, session_hash: str, now: float) -> tuple[Session, User] | None:
        session = self._db.sessions.get(session_hash)
        if session is None or session.expires_at <= now or self._db.users[session.user_id].disabled:
            return None
        return session, self._db.users[session.user_id]

    async def sessions(self, now: float) -> Sequence[Session]:
        return [session for session in self._db.sessions.values() if session.expires_at > now and not self._is_disabled(session.user_id)]

    async def end_session(self, session_hash: str) -> None:
        with self._db.write():
            self._db.put("sessions", session_hash, None)

    async def sweep(self, now: float) -> None:
        expired: list[tuple[str, Any]] = [("sessions", key) for key, session in self._db.sessions.items() if session.expires_at <= now]
        expired += [("grants", key) for key, expires_at in self._db.grants.items() if expires_at <= now]
        expired += [("keys", key) for key, known in self._db.keys.items() if known.created_at <= now - IDEMPOTENCY_SECONDS]
        with self._db.write():
            for table, key in expired:
                self._db.put(table, key, None)

    async def arm_grant(self, session_hash: str, instance_id: InstanceId, expires_at: float) -> None:
        with self._db.write():
            self._db.put("grants", (session_hash, instance_id), expires_at)

    async def redeem_grant(self, session_hash: str, instance_id: InstanceId, now: float) -> bool:
        key = (session_hash, instance_id)
        if self._db.grants.get(key, 0.0) <= now:
            return False
        with self._db.write():
            self._db.put("grants", key, None)
        return True

    def _is_disabled(self, user_id: UserId) -> bool:
        return self._db.users[user_id].disabled
