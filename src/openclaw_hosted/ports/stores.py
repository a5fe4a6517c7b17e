"""What is kept: a store per aggregate. Each method is one transaction.

Leases use the store's own clock. Methods that take a `Lease` are guarded: they change nothing and raise `LeaseLost` where the
row is no longer held under that token. Methods that take an `Event` write it in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from openclaw_hosted.domain.account import LinkPurpose, Role, Session, User
from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.gateway import Credential, GatewaySettings
from openclaw_hosted.domain.instance import Instance, InstanceEvent, Phase, Step
from openclaw_hosted.domain.machine import Machine, MachineFailure, Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId, VolumeId


@dataclass(frozen=True, slots=True)
class Lease:
    """A row held by one worker until `expires_at` (the store's clock)."""

    key: str
    token: str
    expires_at: float


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


@dataclass(frozen=True, slots=True)
class NewInstance:
    """What a create request comes down to. `fallback_id` serves when no spare is free; None where there is no room for another
    route, for the reason `no_room`."""

    owner_id: UserId
    name: str
    settings: GatewaySettings
    credential_names: frozenset[Credential]
    fallback_id: InstanceId | None
    no_room: str = ""


class CredentialSealing(Protocol):
    """Seals the credentials of a create once the id is known, which is inside the transaction."""

    def __call__(self, instance_id: InstanceId) -> bytes | None:
        """The sealed document, or None when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Caps:
    """Limits that a create is checked against, inside its transaction."""

    platform: int
    per_user: int


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """`key` as the client sent it, `fingerprint` the SHA-256 of the request's body in hexadecimal."""

    key: str
    fingerprint: str


class MachineStore(Protocol):
    """Rows of machines."""

    async def add(self, machines: Sequence[NewMachine], fleet_cap: int, now: float, events: Sequence[Event] = ()) -> Sequence[Machine]:
        """Commit rows in state `initializing`, fewer than asked where `fleet_cap` live machines would be exceeded, and with them those
        of `events` that are about them. The count is taken under a lock, so that no number of replicas exceeds the cap."""
        ...

    async def adopt(self, machine: NewMachine, provider_ref: str, fleet_cap: int, now: float) -> Machine | None:
        """Commit a row in state `initializing` for a machine that exists already; None where the cap is reached, or a row has it."""
        ...

    async def get(self, machine_id: MachineId) -> Machine:
        """One machine. Raises `NotFound`."""
        ...

    async def list_live(self) -> Sequence[Machine]:
        """All that are not terminated, oldest first."""
        ...

    async def list_pooled(self) -> tuple[Sequence[Machine], int]:
        """Those not yet assigned, oldest first, and how many others live: assigned ones, and those being ended. One that is assigned
        meanwhile may be in both, never in neither."""
        ...

    async def list_recent(self, limit: int = 200) -> Sequence[Machine]:
        """The newest, terminated ones included, newest first."""
        ...

    async def lease_due(self, limit: int, seconds: float) -> Sequence[tuple[Machine, Lease]]:
        """Lease machines with work: `initializing` or `terminating`, due, and not leased by another."""
        ...

    async def renew(self, lease: Lease, seconds: float) -> Lease:
        """Hold it longer."""
        ...

    async def launched(self, lease: Lease, provider_ref: str, now: float) -> Machine:
        """Record the provider's id."""
        ...

    async def located(self, lease: Lease, address: str, zone: str) -> Machine:
        """Record where its gateway answers."""
        ...

    async def became_ready(self, lease: Lease, now: float, event: Event) -> Machine:
        """`initializing` to `available`, and the lease is given back."""
        ...

    async def condemn(
        self, machine_id: MachineId, failure: MachineFailure, now: float, event: Event, *, unassigned_only: bool = False
    ) -> Machine | None:
        """To `terminating`, whatever lease is held: its holder finds its lease lost, and the machine is due once that would have run
        out, as what its holder has sent may be under way. With `unassigned_only` a machine that was
        claimed meanwhile is left alone and None returned. An instance that is still bound to it is not touched."""
        ...

    async def seen_gone(self, machine_id: MachineId, now: float, event: Event) -> None:
        """`terminating` to `terminated`. Does nothing where it is so already."""
        ...

    async def relocate(self, machine_id: MachineId, address: str) -> None:
        """Record that the gateway of a machine answers at another address."""
        ...

    async def put_off(self, lease: Lease, seconds: float, error: str | None, *, counts: bool = True) -> None:
        """Give the lease back and come again in `seconds`; with `error`, count an attempt."""
        ...


class InstanceStore(Protocol):
    """Rows of instances, their steps and their sealed credentials."""

    async def create(
        self, new: NewInstance, seal: CredentialSealing, caps: Caps, idempotency: IdempotencyKey | None, now: float
    ) -> tuple[Instance, bool]:
        """In one transaction: the instance, a spare claimed for it if one is free (warmest, then oldest), the events of both,
        and step `machine`. Returns it and whether it is new.

        The same idempotency key of the same owner answers with the first instance and False; with another fingerprint it raises
        `StateConflict`. Raises `LimitReached` beyond a cap, and without a spare where there is no `fallback_id`.
        """
        ...

    async def get(self, instance_id: InstanceId) -> Instance:
        """One instance, purged ones included. Raises `NotFound`."""
        ...

    async def list_for(self, owner_id: UserId) -> Sequence[Instance]:
        """All of one user but the purged ones, newest first."""
        ...

    async def list_all(self, limit: int = 1000) -> Sequence[Instance]:
        """All but the purged ones, newest first."""
        ...

    async def list_placed(self) -> Sequence[Instance]:
        """All that have a machine, however many."""
        ...

    async def count_waiting(self) -> Mapping[str, int]:
        """How many want a machine and have none, by the zone that it has to be in; empty for anywhere."""
        ...

    async def routed_ids(self) -> Sequence[InstanceId]:
        """The ids that have a route or are about to: of live instances, and those reserved for machines not yet assigned."""
        ...

    async def count_placing(self) -> int:
        """How many have got their machine and are not yet running for the first time."""
        ...

    async def known_ids(self) -> frozenset[InstanceId]:
        """The ids of all rows that still keep something, purged ones not included."""
        ...

    async def kept_phases(self) -> Mapping[InstanceId, Phase]:
        """Those that had a machine once and are not purged, and so keep something at the provider. One query."""
        ...

    async def lease_due(self, limit: int, seconds: float) -> Sequence[tuple[Instance, Lease]]:
        """Lease instances in an unsettled phase that are due and not leased by another, and deleted ones due for purging.
        Of those that wait for a machine no more than there are spares, the oldest first, and only once nothing else is due."""
        ...

    async def renew(self, lease: Lease, seconds: float) -> Lease:
        """Hold it longer."""
        ...

    async def claim_machine(self, lease: Lease, now: float, event: Event) -> tuple[Instance, Machine] | None:
        """Bind a spare to it and raise its generation, in one transaction; None when no spare is free where its volume is. Where it is
        bound already, returns that. The instance keeps its own volume, whatever machine it gets."""
        ...

    async def record_steps(self, lease: Lease, steps: Sequence[Step]) -> None:
        """Write the steps as they are now, under way or ended; one that is known by name, generation, attempt and start is updated."""
        ...

    async def steps(self, instance_id: InstanceId) -> Sequence[Step]:
        """All steps, in the order in which they began."""
        ...

    async def sealed_credentials(self, instance_id: InstanceId) -> tuple[int, bytes] | None:
        """Credentials that have not reached the vault yet, with their revision."""
        ...

    async def forget_sealed(self, lease: Lease, revision: int) -> None:
        """They are in the vault: drop the sealed copy, unless a newer revision came meanwhile."""
        ...

    async def settle(
        self,
        lease: Lease,
        event: InstanceEvent,
        now: float,
        *,
        note: Event | None = None,
        applied_revision: int | None = None,
        restarts_done: int | None = None,
        purge_after: float | None = None,
        error: str | None = None,
        steps: Sequence[Step] = (),
    ) -> Instance:
        """Take a transition, record the last steps that led to it, and give the lease back.

        Where the user changed settings or asked for a restart meanwhile, PLACED leads to `updating` instead; where the user asked for
        deletion meanwhile, the event is dropped and the phase stays `deleting`.
        """
        ...

    async def put_off(self, lease: Lease, seconds: float, error: str | None, *, counts: bool = True) -> None:
        """Give the lease back and come again in `seconds`; with `error`, count an attempt."""
        ...

    async def unbind_machine(self, lease: Lease) -> Instance:
        """Forget the machine of an instance, once it is seen gone or condemned; the volume stays."""
        ...

    async def machine_lost(self, instance_id: InstanceId, machine_id: MachineId, now: float, event: Event) -> bool:
        """The machine of an instance is gone or condemned: to `replacing`, unbound. False where it is bound to another by now,
        or is being deleted."""
        ...

    async def change(
        self,
        instance_id: InstanceId,
        now: float,
        event: Event,
        *,
        name: str | None = None,
        settings: GatewaySettings | None = None,
        credential_names: frozenset[Credential] | None = None,
        sealed: bytes | None = None,
        expected_revision: int | None = None,
    ) -> Instance:
        """Change what the user wants. Settings or credentials raise the revision. Raises `StateConflict` when the instance is deleted
        or being deleted, `RevisionMoved` when `expected_revision` is not the present one."""
        ...

    async def ask_restart(self, instance_id: InstanceId, now: float, event: Event) -> Instance:
        """Count one more restart asked for; a failed instance is tried again.

        Raises `StateConflict` when it is deleted or being deleted.
        """
        ...

    async def ask_update(self, instance_id: InstanceId, now: float, event: Event) -> bool:
        """Have the settings of a running instance brought into force once more; False, and nothing done, in any other phase."""
        ...

    async def ask_delete(self, instance_id: InstanceId, now: float, event: Event) -> Instance:
        """Desired state `deleted`, phase `deleting`; any lease is broken, and it is due once that would have run out. Does nothing where
        it is so already."""
        ...

    async def ask_restore(self, instance_id: InstanceId, caps: Caps, now: float, event: Event) -> Instance:
        """Bring a deleted one back. Raises `StateConflict` while it is being deleted, or once what it kept is purged."""
        ...


class AccountStore(Protocol):
    """Users, sessions, API tokens, one-time links, and grants to open an instance."""

    async def add_user(self, user: User, password_hash: str | None, event: Event | None) -> None:
        """Raises `StateConflict` when the e-mail address is taken."""
        ...

    async def user(self, user_id: UserId) -> User:
        """Raises `NotFound`."""
        ...

    async def user_by_email(self, email: str) -> tuple[User, str | None]:
        """The user and the password's hash. Raises `NotFound`."""
        ...

    async def users(self) -> Sequence[User]:
        """All, oldest first."""
        ...

    async def set_password(self, user_id: UserId, password_hash: str, event: Event | None) -> Sequence[str]:
        """Also ends all sessions of the user; returns their hashes."""
        ...

    async def set_password_hash(self, user_id: UserId, password_hash: str) -> None:
        """The same password hashed with newer parameters; sessions go on."""
        ...

    async def set_disabled(self, user_id: UserId, *, disabled: bool, event: Event) -> Sequence[str]:
        """Disabling ends all sessions and tokens; returns the hashes of the sessions. Raises `StateConflict` for the last admin."""
        ...

    async def set_role(self, user_id: UserId, role: Role) -> None:
        """Raises `StateConflict` for the last admin."""
        ...

    async def add_session(self, session: Session, event: Event | None) -> None:
        """A new sign-in."""
        ...

    async def session(self, session_hash: str, now: float) -> tuple[Session, User] | None:
        """The session and its user, if it is neither expired nor revoked, and the user not disabled."""
        ...

    async def sessions(self, now: float) -> Sequence[Session]:
        """All that are valid now."""
        ...

    async def sessions_of(self, user_id: UserId, now: float) -> Sequence[Session]:
        """The valid sessions of one user, newest first."""
        ...

    async def end_session(self, session_hash: str) -> None:
        """Revoke it. Does nothing where it is unknown."""
        ...

    async def sweep(self, now: float) -> None:
        """Drop expired sessions, links, grants, and idempotency keys older than a day."""
        ...

    async def add_token(self, token_id: str, token_hash: str, user_id: UserId, label: str, now: float, event: Event) -> None:
        """Keep the SHA-256 of a new API token."""
        ...

    async def user_by_token(self, token_hash: str) -> User | None:
        """Whose API token it is; None for an unknown one, or a disabled user."""
        ...

    async def tokens_of(self, user_id: UserId) -> Sequence[tuple[str, str, float]]:
        """Id, label and creation time of a user's tokens."""
        ...

    async def revoke_token(self, token_id: str, event: Event) -> None:
        """Raises `NotFound`."""
        ...

    async def add_link(
        self, link_hash: str, purpose: LinkPurpose, email: str | None, role: Role, expires_at: float, event: Event | None
    ) -> None:
        """Keep the SHA-256 of a one-time link. A new set-up link replaces the earlier ones."""
        ...

    async def peek_link(self, link_hash: str, purpose: LinkPurpose, now: float) -> tuple[str | None, Role] | None:
        """E-mail address and role of a link that is still good, or None."""
        ...

    async def use_link(self, link_hash: str, purpose: LinkPurpose, now: float) -> tuple[str | None, Role] | None:
        """Like `peek_link`, and the link is used up: of two at once, one gets None."""
        ...

    async def arm_grant(self, session_hash: str, instance_id: InstanceId, expires_at: float) -> None:
        """Let this session fetch one bootstrap ticket for this instance."""
        ...

    async def redeem_grant(self, session_hash: str, instance_id: InstanceId, now: float) -> bool:
        """Use the grant up. True once, for the session that armed it, before it expires."""
        ...


@dataclass(frozen=True, slots=True)
class PoolMemory:
    """What the pool remembers between ticks."""

    spares: int | None = None
    """As an operator set it; None follows the settings."""
    paused: bool = False
    failures_in_row: int = 0
    last_failure_at: float | None = None
    last_error: str | None = None
    status: str = "filling"
    note: str | None = None
    """A line for people, such as why there are fewer spares than asked for."""


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

    async def launch_succeeded(self) -> None:
        """Failures in a row are over."""
        ...

    async def set_pool(
        self, *, paused: bool | None = None, spares: int | None = None, status: str | None = None, note: str | None = None
    ) -> None:
        """Change what is given. Resuming also clears the failures in a row."""
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
