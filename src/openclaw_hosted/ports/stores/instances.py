"""Instances: what their users ask for, and what a worker records on the way there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from openclaw_hosted.domain.actor import Actor
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.gateway import Credential, GatewaySettings
from openclaw_hosted.domain.instance import Instance, Phase, Step
from openclaw_hosted.domain.lifecycle import Changed
from openclaw_hosted.domain.machine import Machine
from openclaw_hosted.domain.naming import InstanceId, RestorePointId, UserId
from openclaw_hosted.domain.volume import Volume
from openclaw_hosted.domain.waiting import Happening
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
    point_id: RestorePointId | None = None
    """The restore point that it begins with. It gets no spare at once then."""
    actor: Actor = field(kw_only=True)


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


InstanceRule = Callable[[Instance], Changed]
"""One of `domain.lifecycle`, with all but the instance given. It may be asked more than once, and changes nothing itself."""


class InstanceStore(Protocol):
    """Rows of instances, their steps and their sealed credentials."""

    async def create(
        self, new: NewInstance, seal: CredentialSealing, caps: Caps, idempotency: IdempotencyKey | None, now: float
    ) -> tuple[Instance, bool]:
        """In one transaction: the instance, a spare claimed for it if one is free (warmest, then oldest), the events of both,
        and step `machine`. Returns it and whether it is new.

        The same idempotency key of the same owner answers with the first instance and False; with another fingerprint it raises
        `StateConflict`. Raises `LimitReached` beyond a cap, and without a spare where there is no `fallback_id`; `StateConflict` where the
        restore point can't be restored from any more.
        """
        ...

    async def get(self, instance_id: InstanceId) -> Instance:
        """One instance, purged ones included. Raises `NotFound`."""
        ...

    async def volume(self, instance_id: InstanceId) -> Volume:
        """What its row says of its volume."""
        ...

    async def list_for(self, owner_id: UserId) -> Sequence[Instance]:
        """All of one user but the purged ones, newest first."""
        ...

    async def list_purged(self, owner_id: UserId, since: float) -> Sequence[Instance]:
        """The purged ones of one user, of which nothing is kept since this moment or later, newest first."""
        ...

    async def list_page(
        self, limit: int, *, owner_id: UserId | None = None, phase: Phase | None = None, after: InstanceId | None = None
    ) -> Sequence[Instance]:
        """At most `limit` but the purged ones, newest first: of one owner, in one phase, those that follow on `after`."""
        ...

    async def list_all(self) -> Sequence[Instance]:
        """All but the purged ones, however many, newest first."""
        ...

    async def list_placed(self) -> Sequence[Instance]:
        """All that have a machine, however many."""
        ...

    async def count_waiting(self) -> Mapping[str, int]:
        """How many want a machine and have none, by the zone that it has to be in; empty for anywhere."""
        ...

    async def homes(self) -> frozenset[str]:
        """The zones with a volume that a live instance has its data on."""
        ...

    async def routed_ids(self) -> Sequence[InstanceId]:
        """The ids that have a route or are about to: of live instances, and those reserved for machines not yet assigned."""
        ...

    async def count_placing(self, since: float = 0.0) -> int:
        """How many have a machine since `since` or later on which they do not run yet, one that moves or goes back included."""
        ...

    async def recent_waits(self, limit: int) -> Sequence[float]:
        """What the newest instances took for which no spare was free: seconds from asking until they answered at their address."""
        ...

    async def recent_happenings(self, names: Collection[EventName], limit: int) -> Sequence[Happening]:
        """The newest `limit` events of instances with these names, the oldest of them first."""
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

    async def lease_unfiled(self, limit: int, seconds: float) -> Sequence[tuple[Instance, Lease]]:
        """The same for instances that run and about which something is left to be written."""
        ...

    async def renew(self, leases: Sequence[Lease], seconds: float) -> frozenset[str]:
        """Hold them longer, in one statement; the keys of those that were still held."""
        ...

    async def update(
        self,
        instance_id: InstanceId,
        rule: InstanceRule,
        *,
        lease: Lease | None = None,
        caps: Caps | None = None,
        steps: Sequence[Step] = (),
    ) -> Instance:
        """What the rule makes of it, in one transaction with these steps; returns it as it is now. Raises what the rule raises, and
        `NotFound`; with a lease `LeaseLost`, and with `caps` `LimitReached` where there is no room for one more that is live."""
        ...

    async def claim_machine(self, lease: Lease, now: float) -> tuple[Instance, Machine] | None:
        """Bind a spare to it and record step `machine`, which lasted since it began to wait, in one transaction; None when no spare is
        free where its volume is. Where it is bound already, returns that."""
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

    async def reschedule(self, lease: Lease, seconds: float, error: str | None, *, counts: bool = True) -> None:
        """Give the lease back and come again in `seconds`; with `error`, count an attempt."""
        ...
