"""Instances: what their users ask for, and what a worker records on the way there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from openclaw_hosted.domain.events import Event
from openclaw_hosted.domain.gateway import Credential, GatewaySettings
from openclaw_hosted.domain.instance import Instance, InstanceEvent, Phase, Step
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId
from openclaw_hosted.ports.stores.lease import Lease


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

    async def count_placing(self, since: float = 0.0) -> int:
        """How many have got their machine, no earlier than `since`, and do not run on it yet."""
        ...

    async def recent_waits(self, limit: int) -> Sequence[float]:
        """What the newest instances took for which no spare was free: seconds from asking until they answered at their address."""
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
