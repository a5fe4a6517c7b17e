"""The invariants of the design, checked after each step: after each transaction what it changed, after each call what it may have done.

1. A machine has at most one instance, an instance at most one machine per generation; a machine that has served one user serves no other.
2. Everything that exists is reachable from a row, or is an orphan for no longer than the grace period.
3. No row says terminated, deleted or purged before the provider says so.
4. The fleet never exceeds its cap.
5. A credential stands in the clear in the vault and in the gateway only.
6. A volume is mounted on one machine, and holds the data of the instance that it names; nothing that a user wrote is lost.
7. A user reaches own instances only.
8. The same idempotency key has the same answer.
9. Nothing unexpected happens: no illegal transition, no stranger's error.
10. No instance has two machines that write.
11. Every restore point belongs to a row, or is an orphan; none is said to be ready that is not; retention keeps the newest one.
12. A user of an older system is on one side only, never on both, and that side has all that they said (`migration.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from openclaw_hosted.adapters.fake.cloud import FakeCloud, FakeMachine
from openclaw_hosted.domain import instance as instances
from openclaw_hosted.domain import machine as machines
from openclaw_hosted.domain.instance import Instance, Phase
from openclaw_hosted.domain.machine import LIVE_STATES, Machine, MachineState
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId, is_aside, volume_of
from openclaw_hosted.domain.restore_point import PointState, RestorePoint
from openclaw_hosted.domain.volume import Volume, VolumeState
from openclaw_hosted.ports.machines import MachineHealth
from simulation.ids import CLEAR
from simulation.rows import Change, Rows

BY_HAND = "i-by-hand"
HOLDING_DATA = ("secret ", "volume ", "restore point ")
"""How the references of machines begin that the platform did not launch."""
ALLOWED_MACHINE = {(before, after) for (before, _), after in machines.TRANSITIONS.items()}
ALLOWED_PHASE = {(before, after) for (before, _), after in instances.TRANSITIONS.items()} | {
    (before, Phase.UPDATING) for (before, _), after in instances.TRANSITIONS.items() if after is Phase.RUNNING
}
ALLOWED_VOLUME = {
    (VolumeState.WANTED, VolumeState.WANTED),
    (VolumeState.WANTED, VolumeState.MADE),
    (VolumeState.MADE, VolumeState.MADE),
    (VolumeState.WANTED, VolumeState.PURGED),
    (VolumeState.MADE, VolumeState.PURGED),
    (VolumeState.MADE, VolumeState.RESTORING),
    (VolumeState.MADE, VolumeState.MOVING),
    (VolumeState.MOVING, VolumeState.MADE),
    (VolumeState.MOVING, VolumeState.RESTORING),
    (VolumeState.MOVING, VolumeState.PURGED),
    (VolumeState.RESTORING, VolumeState.MADE),
    (VolumeState.RESTORING, VolumeState.PURGED),
}


class Violation(Exception):
    """An invariant does not hold."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(f"invariant {number}: {what}")
        self.number = number


class Invariants:
    """Looks at the database and the cloud, and remembers what has to stay as it was."""

    def __init__(self, rows: Rows, cloud: FakeCloud, fleet_cap: int) -> None:
        self._rows = rows
        self._cloud = cloud
        self.fleet_cap = fleet_cap
        """The highest that is in force anywhere."""
        self._machine_of: dict[tuple[InstanceId, int], MachineId] = {}
        self._serving: dict[InstanceId, MachineId] = {}
        self._served: dict[MachineId, UserId] = {}
        self._orphans: dict[str, float] = {}
        self._unreleased: set[InstanceId] = set()
        self._unretired: set[InstanceId] = set()
        """Instances that are being deleted, and what was not seen to be gone since that began."""

    def after_transaction(self, changes: Sequence[Change]) -> None:
        """What a transaction changed."""
        for change in changes:
            match change.table:
                case "machines":
                    self._machine(change.before, change.after)
                case "instances":
                    self._instance(change.before, change.after)
                case "volumes":
                    self._volume(change.before, change.after)
                case "restore_points":
                    self._point(change.before, change.after)
                case "steps" if change.after is not None:
                    instance_id, step = change.after
                    self._text(f"a step of {instance_id}", step.error, step.note)
                case "events":
                    self._text(f"event {change.after.name}", *map(str, change.after.detail.values()))
                case "pool":
                    self._text("the pool's memory", change.after.last_error, change.after.note)

    def _machine(self, before: Machine | None, now: Machine) -> None:
        self._text(f"machine {now.id}", now.last_error)
        if before is None:
            live = self._live()
            if live > self.fleet_cap:
                raise Violation(4, f"{live} machines have rows, the cap is {self.fleet_cap}")
            return
        if before.state is not now.state:
            self._machine_moved(before, now)
        if before.instance_id not in (None, now.instance_id):
            raise Violation(1, f"machine {now.id} was {before.instance_id}'s and is now {now.instance_id}'s")

    def _live(self) -> int:
        return sum(row.state in LIVE_STATES for row in self._rows.machines.values())

    def _machine_moved(self, before: Machine, now: Machine) -> None:
        if (before.state, now.state) not in ALLOWED_MACHINE:
            raise Violation(9, f"machine {now.id} went from {before.state} to {now.state}")
        if before.state is MachineState.ASSIGNED and before.instance_id is not None:
            self._serving.pop(before.instance_id, None)
        if now.state is MachineState.ASSIGNED:
            assert now.instance_id is not None
            if self._serving.setdefault(now.instance_id, now.id) != now.id:
                raise Violation(1, f"{now.instance_id} has two machines, {self._serving[now.instance_id]} and {now.id}")
        if now.state is MachineState.TERMINATED and any(m.machine_id == now.id for m in self._cloud.machines.values()):
            raise Violation(3, f"machine {now.id} is said to be terminated, and exists")

    def _instance(self, before: Instance | None, now: Instance) -> None:
        self._text(f"instance {now.id}", now.last_error, now.name)
        if before is not None and before.owner_id != now.owner_id:
            raise Violation(7, f"{now.id} went from {before.owner_id} to {now.owner_id}")
        if now.machine_id is not None:
            bound = self._machine_of.setdefault((now.id, now.generation), now.machine_id)
            if bound != now.machine_id:
                raise Violation(1, f"generation {now.generation} of {now.id} has two machines, {bound} and {now.machine_id}")
            if self._rows.machines[now.machine_id].instance_id != now.id:
                raise Violation(1, f"{now.id} is bound to {now.machine_id}, which is not bound to it")
        if before is None or before.phase is now.phase:
            return
        if (before.phase, now.phase) not in ALLOWED_PHASE:
            raise Violation(9, f"{now.id} went from {before.phase} to {now.phase}")
        if now.phase is Phase.DELETING:
            self._unreleased.add(now.id)
            self._unretired.add(now.id)
            self._note_gone()
        elif now.phase is Phase.DELETED:
            self._is_taken_down(now)
        elif now.phase is Phase.PURGED:
            self._is_purged(now)

    def _volume(self, before: Volume | None, now: Volume) -> None:
        if before is not None and (before.state, now.state) not in ALLOWED_VOLUME:
            raise Violation(6, f"the volume of {now.instance_id} went from {before.state} to {now.state}")
        if now.state is VolumeState.MADE and volume_of(now.instance_id) not in self._cloud.volumes:
            raise Violation(6, f"the volume of {now.instance_id} is said to be made, and there is none")

    def _point(self, before: RestorePoint | None, now: RestorePoint | None) -> None:
        if now is not None and now.state is PointState.READY and (before is None or before.state is not PointState.READY):
            there = self._cloud.points.get(now.id)
            if there is None or there.ready_at > self._cloud.clock.now():
                raise Violation(11, f"restore point {now.id} is said to be ready, and is not")
        if now is None or before is None or before.state is not PointState.READY or now.state is not PointState.REMOVING:
            return
        instance = self._rows.instances.get(now.instance_id)
        others = [each.made_at for each in self._rows.restore_points.values() if each.instance_id == now.instance_id and _is_ready(each)]
        if instance is not None and instance.phase is not Phase.DELETED and not any(made_at >= now.made_at for made_at in others):
            raise Violation(11, f"restore point {now.id} was the newest of {now.instance_id}, and is to be removed")

    def _note_gone(self) -> None:
        self._unreleased = {name for name in self._unreleased if name in self._cloud.routes}
        self._unretired = {name for name in self._unretired if self._is_readable(name)}

    def _is_readable(self, instance_id: InstanceId) -> bool:
        secret = self._cloud.secrets.get(instance_id)
        return secret is not None and not secret.retired

    def _is_taken_down(self, instance: Instance) -> None:
        if instance.id in self._unreleased:
            raise Violation(3, f"{instance.id} is said to be deleted, and its route was never taken away")
        if any(m.spec is not None and m.spec.instance_id == instance.id for m in self._cloud.machines.values()):
            raise Violation(3, f"{instance.id} is said to be deleted, and its gateway runs")
        if instance.id in self._unretired:
            raise Violation(3, f"{instance.id} is said to be deleted, and its credentials were never retired")

    def _is_purged(self, instance: Instance) -> None:
        aside = any(is_aside(volume_id, instance.id) for volume_id in self._cloud.volumes)
        if instance.id in self._cloud.secrets or volume_of(instance.id) in self._cloud.volumes or aside:
            raise Violation(3, f"{instance.id} is said to be purged, and something of it is kept")

    def _text(self, where: str, *texts: str | None) -> None:
        for text in texts:
            if text and CLEAR in text:
                raise Violation(5, f"a credential stands in {where}")
            if text and text.startswith("Unexpected "):
                raise Violation(9, f"{where}: {text}")

    def after_log(self, line: dict[str, Any]) -> None:
        """A line that the control plane logged."""
        self._text("the log", *map(str, line.values()))

    def after_call(self, call: str) -> None:
        """What a call to the provider may have done."""
        port, _, verb = call.partition(".")
        if verb in ("status", "list", "observe", "get", "machines"):
            return
        if port == "machines":
            self.fleet()
        elif port in ("gateways", "volumes"):
            self.mounts()
            self.routes()
        elif port in ("router", "vault"):
            self.routes()
            self._note_gone()

    def fleet(self) -> None:
        """No machine twice, or without a row, no more than the cap, nothing secret in labels."""
        ours = [machine.machine_id for ref, machine in self._cloud.machines.items() if not ref.startswith(BY_HAND)]
        unknown = [machine_id for machine_id in ours if machine_id not in self._rows.machines]
        if unknown:
            raise Violation(4, f"a machine was launched as {unknown[0]}, which no row is")
        if len(set(ours)) != len(ours):
            raise Violation(4, f"a machine was launched twice: {sorted(ours)}")
        if len(ours) > max(self.fleet_cap, self._live()):
            raise Violation(4, f"{len(ours)} machines exist, the cap is {self.fleet_cap}")
        for ref, labels in self._cloud.labels.items():
            self._text(f"the labels of {ref}", *labels.values())

    def mounts(self) -> None:
        """Each gateway runs on the volume of its instance, which its machine has; each machine serves one user in its life."""
        writing: dict[InstanceId, MachineId] = {}
        for machine in self._cloud.machines.values():
            if machine.spec is None or machine.health is not MachineHealth.UP:
                continue
            other = writing.setdefault(machine.spec.instance_id, machine.machine_id)
            if other != machine.machine_id:
                raise Violation(10, f"{other} and {machine.machine_id} both write for {machine.spec.instance_id}")
            volume = self._cloud.volumes.get(machine.spec.volume_id)
            if volume is None or volume.attached_to != machine.machine_id:
                raise Violation(6, f"the gateway on {machine.machine_id} runs, and its volume {machine.spec.volume_id} is elsewhere")
            if volume.instance_id != machine.spec.instance_id or machine.spec.volume_id != volume_of(machine.spec.instance_id):
                raise Violation(6, f"the gateway of {machine.spec.instance_id} runs on the data of {volume.instance_id}")
            self._serves(machine)

    def _serves(self, machine: FakeMachine) -> None:
        owner = self._owner(machine.spec.instance_id) if machine.spec is not None else None
        if owner is not None and self._served.setdefault(machine.machine_id, owner) != owner:
            raise Violation(1, f"machine {machine.machine_id} served {self._served[machine.machine_id]}, and now serves {owner}")

    def routes(self) -> None:
        """Each route lets its instance's owner pass, to a gateway that is not another user's."""
        serving = {machine.address: machine for machine in self._cloud.machines.values()}
        for instance_id, found in self._cloud.routes.items():
            passing = found.route.owner_id
            if passing is None:
                continue
            if passing != self._owner(instance_id):
                raise Violation(7, f"{passing} may pass to {instance_id}, which is {self._owner(instance_id)}'s")
            machine = serving.get(found.address)
            if machine is None or machine.spec is None or not machine.answers:
                continue
            owner = self._owner(machine.spec.instance_id)
            if owner not in (None, passing):
                raise Violation(7, f"the route of {instance_id} leads {passing} to {machine.spec.instance_id}, which is {owner}'s")

    def _owner(self, instance_id: InstanceId) -> UserId | None:
        row = self._rows.instances.get(instance_id)
        return None if row is None else row.owner_id

    def forgive_orphans(self) -> None:
        """Whoever counted their age is gone, and the next one starts afresh."""
        self._orphans.clear()

    def look_for_orphans(self, seconds: float, longest: float, longest_of_data: float) -> None:
        """`seconds` have passed in which orphans could be removed; none may be older than `longest`, or `longest_of_data` where it may hold
        some."""
        found = set(self.orphans())
        self._orphans = {name: age for name, age in self._orphans.items() if name in found}
        for name in sorted(found):
            self._orphans[name] = self._orphans.get(name, 0.0) + seconds
            if self._orphans[name] > (longest_of_data if name.startswith(HOLDING_DATA) else longest):
                raise Violation(2, f"{name} has been an orphan for {self._orphans[name]:.0f} s")

    def orphans(self) -> Iterator[str]:
        """Whatever exists and is not reachable from a row."""
        live = [row for row in self._rows.machines.values() if row.state in LIVE_STATES]
        ids, refs = {machine.id for machine in live}, {machine.provider_ref for machine in live}
        reserved = {machine.reserved_instance_id for machine in live}
        kept = {row.id for row in self._rows.instances.values() if row.phase is not Phase.PURGED} | reserved
        routed = {row.id for row in self._rows.instances.values() if row.phase not in (Phase.DELETED, Phase.PURGED)} | reserved
        volumes, points = {volume_of(instance_id) for instance_id in kept}, self._rows.restore_points
        yield from (f"machine {ref}" for ref, m in self._cloud.machines.items() if m.machine_id not in ids and ref not in refs)
        yield from (f"route {instance_id}" for instance_id in self._cloud.routes if instance_id not in routed)
        deleted = [row.id for row in self._rows.instances.values() if row.phase is Phase.DELETED]
        yield from (f"readable secret {instance_id}" for instance_id in deleted if self._is_readable(instance_id))
        yield from (f"secret {instance_id}" for instance_id in self._cloud.secrets if instance_id not in kept)
        yield from (f"volume {volume_id}" for volume_id in self._cloud.volumes if volume_id.partition(".")[0] not in volumes)
        yield from (f"restore point {point_id}" for point_id in self._cloud.points if point_id not in points)
        yield from (f"target of {machine_id}" for machine_id in self._cloud.groups if machine_id not in ids)


def _is_ready(point: RestorePoint) -> bool:
    return point.state is PointState.READY
