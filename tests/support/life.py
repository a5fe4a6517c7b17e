"""What happens to instances and machines, as controllers and services tell a store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.instance import Instance, Step
from openclaw_hosted.domain.machine import Machine, MachineFailure
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId
from openclaw_hosted.ports.stores import Caps, Lease
from openclaw_hosted.store import Store
from tests.support.actors import acting_as

NOW = 1_000_000.0
ACTOR = acting_as(UserId("us-somebody"))


async def place(
    store: Store,
    lease: Lease,
    now: float = NOW,
    *,
    applied_revision: int = 0,
    restarts_done: int = 0,
    filed: bool = True,
    steps: Sequence[Step] = (),
) -> Instance:
    rule = partial(lifecycle.place, now=now, applied_revision=applied_revision, restarts_done=restarts_done, filed=filed)
    return await store.instances.update(InstanceId(lease.key), rule, lease=lease, steps=steps)


async def file(store: Store, lease: Lease, revision: int | None = None) -> Instance:
    return await store.instances.update(InstanceId(lease.key), partial(lifecycle.file, revision=revision), lease=lease)


async def fail(store: Store, lease: Lease, error: str = "refused") -> Instance:
    return await store.instances.update(InstanceId(lease.key), partial(lifecycle.fail, now=NOW, error=error), lease=lease)


async def take_down(store: Store, lease: Lease, purge_after: float, now: float = NOW) -> Instance:
    rule = partial(lifecycle.take_down, now=now, purge_after=purge_after)
    return await store.instances.update(InstanceId(lease.key), rule, lease=lease)


async def purge(store: Store, lease: Lease) -> Instance:
    return await store.instances.update(InstanceId(lease.key), partial(lifecycle.purge, now=NOW), lease=lease)


async def hand_over(store: Store, lease: Lease, revision: int) -> Instance:
    return await store.instances.update(InstanceId(lease.key), partial(lifecycle.hand_over, revision=revision), lease=lease)


async def restart(store: Store, lease: Lease, number: int) -> Instance:
    return await store.instances.update(InstanceId(lease.key), partial(lifecycle.restart, number=number), lease=lease)


async def change(store: Store, instance: Instance, now: float = NOW, **wanted: Any) -> Instance:
    return await store.instances.update(instance.id, partial(lifecycle.change, actor=ACTOR, now=now, **wanted))


async def ask_restart(store: Store, instance: Instance, now: float = NOW) -> Instance:
    return await store.instances.update(instance.id, partial(lifecycle.ask_restart, actor=ACTOR, now=now))


async def ask_update(store: Store, instance: Instance, now: float = NOW) -> Instance:
    return await store.instances.update(instance.id, partial(lifecycle.ask_update, now=now, reason="a test"))


async def ask_delete(store: Store, instance_id: InstanceId, now: float = NOW) -> Instance:
    return await store.instances.update(instance_id, partial(lifecycle.ask_delete, actor=ACTOR, now=now))


async def ask_restore(store: Store, instance_id: InstanceId, caps: Caps, now: float = NOW) -> Instance:
    return await store.instances.update(instance_id, partial(lifecycle.ask_restore, actor=ACTOR, now=now), caps=caps)


async def become_ready(store: Store, lease: Lease, now: float = NOW) -> Machine:
    machine = await store.machines.get(MachineId(lease.key))
    ready = partial(lifecycle.become_ready, now=now, address=machine.address or "127.0.0.1:9", zone=machine.zone)
    return await store.machines.update(machine.id, ready, lease=lease)


async def condemn(
    store: Store,
    machine_id: MachineId,
    failure: MachineFailure = MachineFailure.SURPLUS,
    now: float = NOW,
    *,
    unassigned_only: bool = False,
) -> Machine:
    rule = partial(lifecycle.condemn, now=now, failure=failure, unassigned_only=unassigned_only)
    return await store.machines.update(machine_id, rule)


async def see_gone(store: Store, machine_id: MachineId, now: float = NOW) -> Machine:
    return await store.machines.update(machine_id, partial(lifecycle.see_gone, now=now))


async def lose(store: Store, machine_id: MachineId, now: float = NOW) -> Machine:
    return await store.machines.lose(machine_id, partial(lifecycle.lose, now=now))
