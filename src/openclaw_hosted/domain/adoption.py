"""Adoption: what a lost database can be rebuilt from, and what becomes of each thing that is found. Doubt never deletes.

Marks are read from the surest to the least: a volume is attached to one machine only; a route names owner and generation; the vault's
record says what its user had; labels on machines are for people, and may be missing. A machine counts as a spare only if nobody was ever
let in: one whose owner came seconds before the database was lost has no mark yet, and another user must not get it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.naming import InstanceId, MachineId, RestorePointId, UserId, VolumeId, volume_of
from openclaw_hosted.domain.record import InstanceRecord

UNDER_WAY: Final = "adopting-"
"""Begins the mark of a database into which an adoption is not finished; what follows is the mark of what is adopted."""
NEVER_CLAIMED: Final = frozenset({None, "", "initializing"})
"""Labels `Status` of machines that were no spares yet."""
ASSIGNED: Final = "assigned"


NEVER_KNOWN: Final = (
    "passwords, sessions, invitations and API tokens. Each owner needs a link to set a password.",
    "who was an admin, which accounts were disabled, and accounts without an instance.",
    "events, the steps of instances, and machines that are gone.",
    "why a restore point was made.",
    "what an operator set for the pool. It follows the settings, and is not paused.",
    "instances that had no machine yet, and credentials that were given seconds before the database was lost.",
    "deletions that were under way. Such an instance comes back.",
)


@dataclass(frozen=True, slots=True)
class SeenMachine:
    """A machine with an id of ours, as the provider lists it."""

    id: MachineId
    provider_ref: str
    reserved_instance_id: InstanceId
    address: str | None = None
    zone: str = ""
    image: str = ""
    launched_at: float = 0.0
    is_ending: bool = False
    status: str | None = None
    """Its label."""
    instance_id: InstanceId | None = None
    """As its label says."""
    owner_id: UserId | None = None
    """As its label says."""
    claimed: bool | None = None
    """Whether its gateway was opened to an owner; None where it did not tell."""


@dataclass(frozen=True, slots=True)
class SeenVolume:
    """A volume."""

    id: VolumeId
    instance_id: InstanceId | None
    """Whose data it holds, as its mark says."""
    attached_to: MachineId | None
    zone: str = ""


@dataclass(frozen=True, slots=True)
class SeenPoint:
    """A restore point that is ready."""

    id: RestorePointId
    instance_id: InstanceId
    made_at: float | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class SeenRoute:
    """A route."""

    instance_id: InstanceId
    machine_id: MachineId
    owner_id: UserId | None
    generation: int = 0


@dataclass(frozen=True, slots=True)
class SeenSecret:
    """What the vault has of an instance; `is_readable` is False where it was altered, or encrypted with another key."""

    instance_id: InstanceId
    revision: int = 0
    names: frozenset[Credential] = frozenset()
    record: InstanceRecord | None = None
    owner_id: UserId | None = None
    retired: bool = False
    is_readable: bool = True


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that exists at the provider."""

    machines: Sequence[SeenMachine] = ()
    volumes: Sequence[SeenVolume] = ()
    routes: Sequence[SeenRoute] = ()
    secrets: Sequence[SeenSecret] = ()
    targets: Collection[MachineId] = ()
    """Machines for which the router keeps something beside routes."""
    points: Sequence[SeenPoint] = ()


@dataclass(frozen=True, slots=True)
class FoundInstance:
    """An instance as its marks tell."""

    id: InstanceId
    owner_id: UserId
    owner_is_known: bool
    machine: SeenMachine | None
    """The one that serves it."""
    volume: SeenVolume | None
    secret: SeenSecret | None
    generation: int
    is_whole: bool
    """Whether machine, volume and route agree, so that there is nothing to do but to look after it."""
    is_marked: bool
    """Whether all that is written for people and for a rebuild is there."""
    points: tuple[SeenPoint, ...] = ()

    @property
    def record(self) -> InstanceRecord | None:
        """What the vault recorded, if that can be read."""
        return self.secret.record if self.secret else None

    @property
    def is_deleted(self) -> bool:
        """Whether its user deleted it, and it is kept for undo."""
        return self.machine is None and self.secret is not None and self.secret.retired


@dataclass(frozen=True, slots=True)
class AdoptionPlan:
    """What rows are to be made, and what is left alone."""

    instances: tuple[FoundInstance, ...] = ()
    spares: tuple[SeenMachine, ...] = ()
    """Machines that nobody was let into: they become spares once they are seen to be in order."""
    ending: Mapping[SeenMachine, InstanceId] = field(default_factory=dict)
    """Machines that are shutting down, and whom they are taken to have served."""
    held_back: Mapping[str, str] = field(default_factory=dict)
    """What gets no row and is removed by nobody but an operator, by the names that orphans have, with the reason."""


def plan_adoption(found: Inventory) -> AdoptionPlan:
    """What becomes of all that was found."""
    marks = _Marks(found)
    live = [machine for machine in found.machines if not machine.is_ending]
    served = {machine.id: marks.served_by(machine) for machine in live}
    claimants: dict[InstanceId, list[SeenMachine]] = {}
    for machine in live:
        if (instance_id := served[machine.id]) is not None:
            claimants.setdefault(instance_id, []).append(machine)
    winners = {instance_id: max(rivals, key=lambda rival: marks.claim_of(rival, instance_id)) for instance_id, rivals in claimants.items()}
    spares = tuple(machine for machine in live if served[machine.id] is None and _was_never_claimed(machine))
    reserved = {machine.reserved_instance_id for machine in spares}
    ids = sorted({*winners, *marks.owned()} - reserved)
    instances = tuple(marks.instance(instance_id, winners.get(instance_id)) for instance_id in ids)
    held_back: dict[str, str] = {}
    for machine in live:
        claimed = served[machine.id]
        if claimed is not None and winners[claimed] is not machine:
            held_back |= marks.names_of(machine, f"another machine has the volume of {claimed}, or its route", with_data=False)
        elif claimed is None and machine not in spares:
            reason = "it does not tell whether somebody was let in already"
            held_back |= marks.names_of(machine, reason, with_data=machine.reserved_instance_id not in ids)
    ending = {machine: marks.served_by(machine) or machine.reserved_instance_id for machine in found.machines if machine.is_ending}
    return AdoptionPlan(instances, spares, ending, held_back)


def not_known(plan: AdoptionPlan) -> tuple[str, ...]:
    """What the rows of a plan can't say, in a line each."""
    lines = list(NEVER_KNOWN)
    for found in plan.instances:
        if not found.owner_is_known:
            lines.append(f"{found.id}: whose it is. It gets an account of its own, {found.owner_id}.")
        if found.record is None:
            rest = "" if found.is_deleted else " Settings stay in force on its machine until they are changed."
            lines.append(f"{found.id}: its name, its settings and the e-mail address of its owner.{rest}")
        if found.secret is None or not found.secret.is_readable:
            lines.append(f"{found.id}: its credentials. They are not in the vault, or were encrypted with another key.")
        if found.volume is None:
            lines.append(f"{found.id}: where its volume is. It does not run before that is found; an empty one is not made.")
    return tuple(lines)


def unknown_owner(instance_id: InstanceId) -> UserId:
    """Who stands for the owner of an instance of which no mark says whose it is; the same each time."""
    return UserId(f"us-of-{instance_id.removeprefix('oc-')}")


def _was_never_claimed(machine: SeenMachine) -> bool:
    return machine.status in NEVER_CLAIMED or machine.claimed is False


class _Marks:
    """All that was found, by instance."""

    def __init__(self, found: Inventory) -> None:
        self._routes = {route.instance_id: route for route in found.routes}
        self._bound = {route.machine_id: route.instance_id for route in found.routes if route.owner_id is not None}
        self._secrets = {secret.instance_id: secret for secret in found.secrets}
        self._volumes = {volume.instance_id or volume.id: volume for volume in found.volumes}
        self._on: dict[MachineId, list[InstanceId]] = {}
        self._targets = found.targets
        self._points: dict[InstanceId, list[SeenPoint]] = {}
        for point in found.points:
            self._points.setdefault(point.instance_id, []).append(point)
        for volume in found.volumes:
            if volume.attached_to is not None and volume.instance_id is not None:
                self._on.setdefault(volume.attached_to, []).append(volume.instance_id)

    def owned(self) -> frozenset[InstanceId]:
        """The instances of which a mark says whose they are."""
        of_routes = {each for each, route in self._routes.items() if route.owner_id is not None}
        return frozenset({*of_routes, *(each for each, secret in self._secrets.items() if secret.owner_id is not None)})

    def served_by(self, machine: SeenMachine) -> InstanceId | None:
        """Which user's instance a machine serves; None where no mark says that it serves one."""
        if machine.status == ASSIGNED and machine.instance_id is not None:
            return machine.instance_id
        if machine.id in self._bound:
            return self._bound[machine.id]
        owned = self.owned()
        carried = [instance_id for instance_id in self._on.get(machine.id, ()) if instance_id in owned]
        if carried:
            return carried[0]
        return machine.reserved_instance_id if machine.reserved_instance_id in owned or machine.claimed else None

    def claim_of(self, machine: SeenMachine, instance_id: InstanceId) -> tuple[bool, bool, float]:
        """How good the claim of a machine to an instance is: its volume decides, then its route, then who came last."""
        volume, route = self._volume(instance_id), self._routes.get(instance_id)
        has_volume = volume is not None and volume.attached_to == machine.id
        return has_volume, route is not None and route.machine_id == machine.id, machine.launched_at

    def instance(self, instance_id: InstanceId, machine: SeenMachine | None) -> FoundInstance:
        """What the marks tell of an instance that this machine serves, if one does."""
        route, secret, volume = self._routes.get(instance_id), self._secrets.get(instance_id), self._volume(instance_id)
        record = secret.record if secret else None
        told = [route and route.owner_id, record and record.owner_id, secret and secret.owner_id, machine and machine.owner_id]
        owner_id = next((each for each in told if each), None)
        is_labelled = machine is not None and (machine.status, machine.instance_id) == (ASSIGNED, instance_id)
        return FoundInstance(
            instance_id,
            owner_id or unknown_owner(instance_id),
            owner_id is not None,
            machine,
            volume,
            secret,
            generation=max(1 if machine else 0, route.generation if route else 0, record.generation if record else 0),
            is_whole=machine is not None
            and self.claim_of(machine, instance_id)[:2] == (True, True)
            and route is not None
            and route.owner_id is not None,
            is_marked=is_labelled and record is not None and route is not None and route.owner_id is not None,
            points=tuple(self._points.get(instance_id, ())),
        )

    def names_of(self, machine: SeenMachine, reason: str, *, with_data: bool) -> Mapping[str, str]:
        """What belongs to a machine that gets no row, by the names that orphans have."""
        names = [f"machine {machine.provider_ref}"]
        if machine.id in self._targets:
            names.append(f"target of {machine.id}")
        if with_data:
            reserved = machine.reserved_instance_id
            names += [f"secret {reserved}"] if reserved in self._secrets else []
            names += [f"route {reserved}"] if reserved in self._routes else []
            names += [f"volume {volume.id}"] if (volume := self._volume(reserved)) else []
        return dict.fromkeys(names, reason)

    def _volume(self, instance_id: InstanceId) -> SeenVolume | None:
        return self._volumes.get(instance_id) or self._volumes.get(volume_of(instance_id))
