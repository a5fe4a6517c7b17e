"""What makes `/{instance_id}` reach a machine, and who may pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from openclaw_hosted.domain.account import Session
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId


@dataclass(frozen=True, slots=True)
class Target:
    """A machine as the router sees it."""

    machine_id: MachineId
    provider_ref: str
    address: str
    """`host:port` of the gateway."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route as the router lists it. `owner_id` is None for one that is nobody's yet, or is not marked yet."""

    instance_id: InstanceId
    machine_id: MachineId
    owner_id: UserId | None
    generation: int = 0
    address: str | None = field(default=None, compare=False)
    """Where it leads, as far as the router tells."""


class Router(Protocol):
    """Builds, moves and takes away routes."""

    async def prepare(self, instance_id: InstanceId, target: Target) -> None:
        """Build the route for a spare: all of it, but nobody may pass yet. Where the router checks nobody, the gateway lets nobody in
        while it is a spare's. Never changes a bound route."""
        ...

    async def confirm(self, instance_id: InstanceId) -> None:
        """Wait until a prepared route leads to its gateway, where that takes time, half a minute at most: what `probe` would find
        later is no fault of the spare."""
        ...

    async def bind(self, instance_id: InstanceId, target: Target, owner_id: UserId, generation: int) -> None:
        """Let the owner pass to `target`: made if missing, moved in one step if it led elsewhere (swap).

        Open connections of other routes are not touched. Raises `Conflict` for a generation older than the bound one.
        """
        ...

    async def mark(self, instance_id: InstanceId, target: Target, owner_id: UserId, generation: int) -> None:
        """Write on a bound route whose it is, for whoever lists it; nothing to do where `bind` did.

        Raises `Conflict` for a generation older than the bound one, `Unavailable` for a route that does not lead to `target`.
        """
        ...

    async def hold(self, instance_id: InstanceId, machine_id: MachineId) -> None:
        """Have the platform itself answer at an address that is bound to this machine, until it is bound anew, where the edge does not do
        so by itself while nothing answers there. Does nothing to other routes, nor to open connections."""
        ...

    async def release(self, instance_id: InstanceId) -> None:
        """Take the route away: new requests stop first. Does nothing where there is none."""
        ...

    async def probe(self, instance_id: InstanceId, target: Target) -> None:
        """Go the way a user's request goes and see that `target` is what answers. Raises `Unavailable` with the reason."""
        ...

    async def list(self) -> Sequence[Route]:
        """All routes that exist, those of spares included."""
        ...

    async def machines(self) -> Sequence[MachineId]:
        """The machines for which something is kept that outlives their routes (on AWS a target group each)."""
        ...

    async def forget(self, machine_id: MachineId) -> None:
        """Take away what is kept for a machine. Raises `Conflict` while a route still leads there: a swap takes it away then. Does
        nothing where there is nothing."""
        ...

    def signs_in(self, instance_id: InstanceId) -> bool:
        """Whether OpenClaw's page, at the instance's address, can fetch a ticket from the platform: it is HTTPS, and the platform's
        cookie arrives there."""
        ...

    def public_url(self, instance_id: InstanceId) -> str:
        """The address that a user opens, with a trailing slash."""
        ...


class Gate(Protocol):
    """Tells the edge who is signed in, so that it can check each request without the control plane."""

    async def allow(self, session: Session) -> None:
        """Let requests with this session pass to the routes of its user."""
        ...

    async def revoke(self, session_hash: str) -> None:
        """Stop at once to let this session pass. Does nothing where it is unknown."""
        ...

    async def sessions(self) -> Mapping[str, UserId]:
        """Session hash to user, for all that pass now."""
        ...
