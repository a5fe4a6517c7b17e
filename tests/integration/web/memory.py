# ruff: noqa: ARG002 - a fake takes what its port says, and uses what it needs
"""Stores and ports in memory, as far as pages and API need them: what the web is tested over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from openclaw_hosted.domain.account import LinkPurpose, Role, Session, User
from openclaw_hosted.domain.errors import LimitReached, NotFound, StateConflict
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.gateway import Channel, Credentials, GatewaySettings
from openclaw_hosted.domain.instance import DesiredState, Instance, InstanceEvent, Phase, Step, next_phase
from openclaw_hosted.domain.machine import Machine, MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId, VolumeId
from openclaw_hosted.ports.gateways import BootstrapTicket
from openclaw_hosted.ports.models import KeyReport
from openclaw_hosted.ports.stores import Caps, CredentialSealing, IdempotencyKey, NewInstance, PoolMemory


class MemoryClock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.at = 1_790_000_000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


class MemoryAccounts:
    """Users and what they prove themselves with."""

    def __init__(self) -> None:
        self.people: dict[str, tuple[User, str | None]] = {}
        self.live: dict[str, Session] = {}
        self.tokens: dict[str, tuple[str, UserId, str, float]] = {}
        self.links: dict[tuple[str, LinkPurpose], tuple[str | None, Role, float]] = {}
        self.grants: set[tuple[str, str]] = set()

    async def add_user(self, user: User, password_hash: str | None, event: Event | None) -> None:
        self.people[user.id] = (user, password_hash)

    async def user(self, user_id: UserId) -> User:
        if user_id not in self.people:
            raise NotFound("There is no such account.")
        return self.people[user_id][0]

    async def user_by_email(self, email: str) -> tuple[User, str | None]:
        for found in self.people.values():
            if found[0].email == email:
                return found
        raise NotFound

    async def users(self) -> Sequence[User]:
        return [user for user, _ in self.people.values()]

    async def set_password(self, user_id: UserId, password_hash: str, event: Event | None) -> Sequence[str]:
        self.people[user_id] = (self.people[user_id][0], password_hash)
        return self._end_all(user_id)

    async def set_disabled(self, user_id: UserId, *, disabled: bool, event: Event) -> Sequence[str]:
        user = await self.user(user_id)
        if disabled and user.role is Role.ADMIN:
            raise StateConflict("This is the last admin.")
        self.people[user_id] = (replace(user, disabled=disabled), self.people[user_id][1])
        return self._end_all(user_id) if disabled else []

    async def add_session(self, session: Session, event: Event | None) -> None:
        self.live[session.hash] = session

    async def session(self, session_hash: str, now: float) -> tuple[Session, User] | None:
        session = self.live.get(session_hash)
        return (session, self.people[session.user_id][0]) if session and session.expires_at > now else None

    async def sessions_of(self, user_id: UserId, now: float) -> Sequence[Session]:
        return [session for session in self.live.values() if session.user_id == user_id]

    async def end_session(self, session_hash: str) -> None:
        self.live.pop(session_hash, None)

    async def add_token(self, token_id: str, token_hash: str, user_id: UserId, label: str, now: float, event: Event) -> None:
        self.tokens[token_hash] = (token_id, user_id, label, now)

    async def user_by_token(self, token_hash: str) -> User | None:
        found = self.tokens.get(token_hash)
        return self.people[found[1]][0] if found and not self.people[found[1]][0].disabled else None

    async def tokens_of(self, user_id: UserId) -> Sequence[tuple[str, str, float]]:
        return [(token_id, label, at) for token_id, owner, label, at in self.tokens.values() if owner == user_id]

    async def revoke_token(self, token_id: str, event: Event) -> None:
        self.tokens = {known: token for known, token in self.tokens.items() if token[0] != token_id}

    async def add_link(
        self, link_hash: str, purpose: LinkPurpose, email: str | None, role: Role, expires_at: float, event: Event | None
    ) -> None:
        self.links[link_hash, purpose] = (email, role, expires_at)

    async def peek_link(self, link_hash: str, purpose: LinkPurpose, now: float) -> tuple[str | None, Role] | None:
        found = self.links.get((link_hash, purpose))
        return found[:2] if found and found[2] > now else None

    async def use_link(self, link_hash: str, purpose: LinkPurpose, now: float) -> tuple[str | None, Role] | None:
        found = await self.peek_link(link_hash, purpose, now)
        self.links.pop((link_hash, purpose), None)
        return found

    async def arm_grant(self, session_hash: str, instance_id: InstanceId, expires_at: float) -> None:
        self.grants.add((session_hash, instance_id))

    async def redeem_grant(self, session_hash: str, instance_id: InstanceId, now: float) -> bool:
        found = (session_hash, instance_id) in self.grants
        self.grants.discard((session_hash, instance_id))
        return found

    def _end_all(self, user_id: UserId) -> Sequence[str]:
        ended = [session.hash for session in self.live.values() if session.user_id == user_id]
        for session_hash in ended:
            del self.live[session_hash]
        return ended


class MemoryInstances:
    """Instances that change only as tests say."""

    def __init__(self) -> None:
        self.rows: dict[str, Instance] = {}
        self.keys: dict[tuple[str, str], tuple[str, InstanceId]] = {}
        self.step_rows: dict[str, list[Step]] = {}
        self.sealed: dict[str, tuple[int, bytes]] = {}

    async def create(
        self, new: NewInstance, sealing: CredentialSealing, caps: Caps, key: IdempotencyKey | None, now: float
    ) -> tuple[Instance, bool]:
        if key is not None and (new.owner_id, key.key) in self.keys:
            fingerprint, known = self.keys[new.owner_id, key.key]
            if fingerprint != key.fingerprint:
                raise StateConflict("This Idempotency-Key was used for another request.")
            return self.rows[known], False
        if len([row for row in self.rows.values() if row.owner_id == new.owner_id]) >= caps.per_user:
            raise LimitReached(f"You may have {caps.per_user} instances.")
        instance = Instance(
            new.fallback_id, new.owner_id, new.name, DesiredState.RUNNING, Phase.PENDING, now, now, new.settings, new.credential_names
        )
        sealed = sealing(instance.id)
        if sealed is not None:
            self.sealed[instance.id] = (0, sealed)
        self.rows[instance.id] = instance
        if key is not None:
            self.keys[new.owner_id, key.key] = (key.fingerprint, instance.id)
        return instance, True

    async def get(self, instance_id: InstanceId) -> Instance:
        if instance_id not in self.rows:
            raise NotFound(f"There is no instance {instance_id!r}.")
        return self.rows[instance_id]

    async def list_for(self, owner_id: UserId) -> Sequence[Instance]:
        return [row for row in reversed(self.rows.values()) if row.owner_id == owner_id and row.phase is not Phase.PURGED]

    async def list_all(self, limit: int = 1000) -> Sequence[Instance]:
        return list(self.rows.values())

    async def count_waiting(self) -> int:
        return sum(row.phase is Phase.PENDING for row in self.rows.values())

    async def steps(self, instance_id: InstanceId) -> Sequence[Step]:
        return list(self.step_rows.get(instance_id, []))

    async def sealed_credentials(self, instance_id: InstanceId) -> tuple[int, bytes] | None:
        return self.sealed.get(instance_id)

    async def change(self, instance_id: InstanceId, now: float, event: Event, **given: Any) -> Instance:
        row = self.rows[instance_id]
        if row.desired is DesiredState.DELETED:
            raise StateConflict("It is deleted.")
        if given.get("expected_revision") not in (None, row.revision):
            raise StateConflict("It was changed meanwhile.")
        changes = {name: given[name] for name in ("name", "settings", "credential_names") if given.get(name) is not None}
        raises = bool(set(changes) - {"name"})
        phase = next_phase(row.phase, InstanceEvent.CHANGED) if raises else row.phase
        self.rows[instance_id] = replace(row, **changes, revision=row.revision + raises, phase=phase)
        return self.rows[instance_id]

    async def ask_restart(self, instance_id: InstanceId, now: float, event: Event) -> Instance:
        return self.put(instance_id, restarts_asked=self.rows[instance_id].restarts_asked + 1)

    async def ask_delete(self, instance_id: InstanceId, now: float, event: Event) -> Instance:
        return self.put(instance_id, phase=Phase.DELETING, desired=DesiredState.DELETED, deleted_at=now)

    async def ask_restore(self, instance_id: InstanceId, caps: Caps, now: float, event: Event) -> Instance:
        if self.rows[instance_id].phase is not Phase.DELETED:
            raise StateConflict("It is not deleted.")
        return self.put(instance_id, phase=Phase.PENDING, desired=DesiredState.RUNNING, deleted_at=None, purge_after=None)

    def put(self, instance_id: str, **changes: Any) -> Instance:
        self.rows[instance_id] = replace(self.rows[instance_id], **changes)
        return self.rows[instance_id]


class MemoryMachines:
    """A few machines."""

    def __init__(self) -> None:
        self.rows: dict[str, Machine] = {}

    def put(self, number: int, state: MachineState, instance_id: InstanceId | None, now: float) -> Machine:
        machine = Machine(
            MachineId(f"mc-2222222{number}"), state, InstanceId(f"oc-3333333{number}"), VolumeId(f"vo-{number}"), "2026.9.6", Warmth.HOT,
            now, now, instance_id, 1, f"process-{number}",
        )  # fmt: skip
        self.rows[machine.id] = machine
        return machine

    async def get(self, machine_id: MachineId) -> Machine:
        if machine_id not in self.rows:
            raise NotFound("There is no such machine.")
        return self.rows[machine_id]

    async def list_live(self) -> Sequence[Machine]:
        return list(self.rows.values())

    async def list_recent(self, limit: int = 200) -> Sequence[Machine]:
        return list(self.rows.values())

    async def condemn(self, machine_id: MachineId, *_: Any, **__: Any) -> Machine | None:
        machine = await self.get(machine_id)
        return None if machine.state is MachineState.ASSIGNED else replace(machine, state=MachineState.TERMINATING)


@dataclass
class MemoryPlatform:
    """Events and the pool's memory."""

    written: list[Event] = field(default_factory=list)
    memory: PoolMemory = field(default_factory=PoolMemory)

    async def add_event(self, event: Event) -> None:
        self.written.insert(0, replace(event, id=len(self.written) + 1))

    async def events(
        self, *, instance_id: str | None = None, machine_id: str | None = None, before_id: int | None = None, limit: int = 100
    ) -> Sequence[Event]:
        found = [event for event in self.written if instance_id in (None, event.instance_id) and machine_id in (None, event.machine_id)]
        return [event for event in found if before_id is None or (event.id or 0) < before_id][:limit]

    async def pool_memory(self) -> PoolMemory:
        return self.memory

    async def set_pool(self, **changes: Any) -> None:
        self.memory = replace(self.memory, **{name: value for name, value in changes.items() if value is not None})


class MemoryHints:
    """Hints that arrive at once."""

    def __init__(self) -> None:
        self.given = asyncio.Event()

    async def hint(self, topic: str) -> None:
        self.given.set()

    async def wait(self, topic: str, timeout_seconds: float) -> bool:
        try:
            await asyncio.wait_for(self.given.wait(), min(timeout_seconds, 0.05))
        except TimeoutError:
            return False
        self.given.clear()
        return True


class MemoryEdge:
    """Router, gate, gateways, sealer and key tester in one."""

    scheme = "http"

    def __init__(self) -> None:
        self.admitted: dict[str, UserId] = {}
        self.minted = 0

    def public_url(self, instance_id: InstanceId) -> str:
        return f"{self.scheme}://localhost:8080/{instance_id}/"

    async def admit(self, session: Session) -> None:
        self.admitted[session.hash] = session.user_id

    async def dismiss(self, session_hash: str) -> None:
        self.admitted.pop(session_hash, None)

    async def sessions(self) -> Mapping[str, UserId]:
        return self.admitted

    async def mint_bootstrap(self, provider_ref: str) -> BootstrapTicket:
        self.minted += 1
        return BootstrapTicket(f"ticket-{self.minted}", 0.0)

    async def logs(self, provider_ref: str, lines: int = 200) -> Sequence[str]:
        return ["2026-11-23T18:00:00Z info gateway ready", "<script>alert(1)</script>"]

    def seal(self, plaintext: bytes, context: str) -> bytes:
        return bytes(byte ^ 0x55 for byte in plaintext)

    def unseal(self, sealed: bytes, context: str) -> bytes:
        return bytes(byte ^ 0x55 for byte in sealed)

    async def try_model_key(self, settings: GatewaySettings, credentials: Credentials) -> KeyReport:
        return KeyReport(ok=bool(credentials), message="The provider takes this key." if credentials else "Paste the key first.")

    async def try_channel(self, channel: Channel, credentials: Credentials) -> KeyReport:
        return KeyReport(ok=True, message="The channel takes this token.")
