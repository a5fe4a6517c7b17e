"""What has to be so once faults have stopped: desired equals actual, the pool is full, nothing is left over."""

from __future__ import annotations

from collections.abc import Iterator

from openclaw_hosted.adapters.fake.cloud import FakeCloud
from openclaw_hosted.domain.cost import count_holdings
from openclaw_hosted.domain.gateway import Credential
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase
from openclaw_hosted.domain.machine import LIVE_STATES, Machine, MachineState
from openclaw_hosted.domain.naming import InstanceId, volume_of
from openclaw_hosted.ports.machines import MachineHealth
from simulation.invariants import Violation
from simulation.people import People
from simulation.rows import POOL_ROW, Rows
from simulation.world import World


def not_yet(world: World) -> str | None:
    """The first thing that has not converged, or None."""
    return next(_differences(world), None)


def _differences(world: World) -> Iterator[str]:
    for instance in world.rows.instances.values():
        yield from _instance(world, instance)
        if instance.sealed_revision is not None and instance.phase is not Phase.PURGED:
            yield f"the credentials of {instance.id} have not reached the vault"
    yield from _pool(world)
    yield from world.invariants.orphans()
    yield from _missing(world)
    yield from miscounted(world.rows, world.cloud)
    valid = set(world.rows.sessions)
    if len(valid) < len(world.rows.users):
        yield "a user has signed out for a moment"
    if set(world.cloud.passing_sessions()) != valid:
        yield "the edge lets other sessions pass than are signed in"


def _instance(world: World, instance: Instance) -> Iterator[str]:
    if instance.desired is DesiredState.DELETED:
        if instance.phase not in (Phase.DELETED, Phase.PURGED):
            yield f"{instance.id} is {instance.phase}, and should be deleted"
        return
    if instance.phase is not Phase.RUNNING:
        yield f"{instance.id} is {instance.phase}, and should be running: {instance.last_error}"
        return
    if not instance.is_filed:
        yield f"something is left to be written about {instance.id}"
    machine = world.rows.machines[instance.machine_id] if instance.machine_id else None
    there = world.cloud.machines.get(machine.provider_ref or "") if machine else None
    if machine is None or there is None or there.health is not MachineHealth.UP or there.spec is None or not world.cloud.ready(there):
        yield f"{instance.id} is running, and its gateway on {instance.machine_id} does not answer"
        return
    if (there.spec.instance_id, there.spec.generation) != (instance.id, instance.generation):
        yield f"{instance.id} is in generation {instance.generation}, its gateway serves {there.spec.instance_id}, {there.spec.generation}"
    if (there.spec.revision, there.spec.settings) != (instance.revision, instance.settings):
        yield f"the gateway of {instance.id} has revision {there.spec.revision}, not {instance.revision}"
    route = world.cloud.routes.get(instance.id)
    if route is None or route.route.owner_id != instance.owner_id or route.address != there.address:
        yield f"the route of {instance.id} does not lead to {instance.machine_id}"


def _pool(world: World) -> Iterator[str]:
    live = [row for row in world.rows.machines.values() if row.state in LIVE_STATES]
    for machine in live:
        if machine.state in (MachineState.INITIALIZING, MachineState.TERMINATING):
            yield f"machine {machine.id} is {machine.state}"
        elif machine.notice is not None:
            yield f"machine {machine.id} is to be left: {machine.notice}"
        elif machine.state is MachineState.ASSIGNED:
            row = world.rows.instances.get(machine.instance_id) if machine.instance_id else None
            if row is None or row.machine_id != machine.id:
                yield f"machine {machine.id} is assigned to {machine.instance_id}, which does not have it"
    memory = world.rows.pool[POOL_ROW]
    wanted = world.options.policy.spares if memory.spares is None else memory.spares
    spares = [machine for machine in live if machine.state is MachineState.AVAILABLE]
    if len(spares) != wanted:
        yield f"the pool has {len(spares)} spares of {wanted}: {memory.status}, {memory.last_error}"
    yield from (f"spare {spare.id} carries {spare.image}" for spare in spares if spare.image != world.options.policy.image)
    yield from (f"spare {spare.id} does not answer" for spare in spares if not _serves_itself(world, spare))


def _serves_itself(world: World, spare: Machine) -> bool:
    there = world.cloud.machines.get(spare.provider_ref or "")
    return (
        there is not None and there.spec is not None and world.cloud.ready(there) and there.spec.instance_id == spare.reserved_instance_id
    )


def _missing(world: World) -> Iterator[str]:
    """What should exist and does not: of each spare its secret, volume and route, of each instance its secret and volume."""
    machines = [row for row in world.rows.machines.values() if row.state is MachineState.AVAILABLE]
    instances = [row for row in world.rows.instances.values() if row.phase is not Phase.PURGED]
    ids: list[InstanceId] = [machine.reserved_instance_id for machine in machines]
    yield from (f"spare {instance_id} has no route" for instance_id in ids if instance_id not in world.cloud.routes)
    ids += [instance.id for instance in instances if instance.generation > 0]
    yield from (f"{instance_id} has no secret" for instance_id in ids if instance_id not in world.cloud.secrets)
    running = [instance.id for instance in instances if instance.phase is Phase.RUNNING]
    yield from (f"{instance_id} has no volume" for instance_id in running if volume_of(instance_id) not in world.cloud.volumes)


def miscounted(rows: Rows, cloud: FakeCloud) -> Iterator[str]:
    """What the cost meter says exists, beside what does."""
    live = [machine for machine in rows.machines.values() if machine.state in LIVE_STATES]
    kept = {each.id: each.phase for each in rows.instances.values() if each.phase is not Phase.PURGED and each.generation > 0}
    counted = count_holdings(live, kept)
    there = cloud.inventory()
    for kind in ("machines", "volumes", "secrets", "routes"):
        if getattr(counted, kind) != len(there[kind]):
            yield f"the meter counts {getattr(counted, kind)} {kind}, and {len(there[kind])} exist"


def traceless(world: World) -> list[InstanceId]:
    """The instances of which nothing but a row is left: those that were purged, or deleted before they had a machine."""
    gone = [row.id for row in world.rows.instances.values() if row.phase in (Phase.DELETED, Phase.PURGED)]
    return [instance_id for instance_id in gone if instance_id not in world.cloud.secrets]


def check_users(world: World, people: People) -> None:
    """What users were answered holds: their instances are as they asked, their credentials in the vault, their data on the volumes."""
    for owned in people.owned.values():
        instance = world.rows.instances[owned.id]
        if instance.desired not in owned.desired:
            raise Violation(9, f"{owned.id} should be {sorted(owned.desired)}, and is to be {instance.desired}")
        if instance.phase is Phase.PURGED:
            continue
        if instance.phase is Phase.RUNNING:
            if not people.use(owned):
                raise Violation(9, f"{owned.owner.id} does not reach {owned.id}")
            document = world.cloud.secrets[owned.id].document
            if document.get(Credential.MODEL_API_KEY) not in owned.keys:
                raise Violation(6, f"the vault holds another key of {owned.id} than its user gave")
        elif volume_of(owned.id) in world.cloud.volumes and world.cloud.volumes[volume_of(owned.id)].written < owned.written:
            raise Violation(6, f"what {owned.id} had written is gone")
