"""Rows to test with, and shortcuts to the states that tests start from."""

from __future__ import annotations

import asyncio

from openclaw_hosted.domain.account import Role, User
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS, Credential, GatewaySettings
from openclaw_hosted.domain.instance import Instance
from openclaw_hosted.domain.machine import Machine, MachineFailure, MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId, VolumeId
from openclaw_hosted.ports.stores import Caps, IdempotencyKey, Lease, NewInstance, NewMachine
from openclaw_hosted.store import Store
from tests.support.actors import acting_as
from tests.support.life import NOW, ask_delete, become_ready, condemn, place, see_gone, take_down
from tests.support.waiting import until

FOR_EVER = 1e12
LONG_AGO = 1.0
OWNER, OTHER = UserId("us-owner"), UserId("us-other")
ROOMY = Caps(platform=10_000, per_user=10_000)
MINUTE = 60.0


def a_user(user_id: UserId, role: Role = Role.USER) -> User:
    return User(user_id, f"{user_id}@example.com", role, NOW)


def an_event(name: EventName = EventName.MACHINE_CONDEMNED, **about: object) -> Event:
    return Event(name, NOW, **about)  # type: ignore[arg-type]


def new_machine(name: str, warmth: Warmth = Warmth.HOT) -> NewMachine:
    return NewMachine(MachineId(f"mc-{name}"), InstanceId(f"oc-{name}"), VolumeId(f"vol-{name}"), "2026.9.6", warmth)


def new_instance(name: str = "fallback", owner: UserId = OWNER, settings: GatewaySettings = DEFAULT_SETTINGS) -> NewInstance:
    names = frozenset({Credential.MODEL_API_KEY}) if settings != DEFAULT_SETTINGS else frozenset()
    return NewInstance(owner, name, settings, names, InstanceId(f"oc-{name}"), actor=acting_as(owner))


def unsealed(instance_id: InstanceId) -> bytes | None:
    assert instance_id
    return None


async def add_machines(store: Store, *names: str, warmth: Warmth = Warmth.HOT, now: float = NOW) -> None:
    added = await store.machines.add([new_machine(name, warmth) for name in names], 10_000, now)
    assert len(added) == len(names)


async def add_spares(store: Store, *names: str, warmth: Warmth = Warmth.HOT, now: float = NOW) -> None:
    await add_machines(store, *names, warmth=warmth, now=now)
    for machine, held in await store.machines.lease_due(10_000, MINUTE):
        if machine.state is MachineState.INITIALIZING:
            await become_ready(store, held, now)
        else:
            await store.machines.reschedule(held, 0, None)


async def create(
    store: Store, name: str = "fallback", owner: UserId = OWNER, key: IdempotencyKey | None = None, caps: Caps = ROOMY, now: float = NOW
) -> Instance:
    instance, _ = await store.instances.create(new_instance(name, owner), unsealed, caps, key, now)
    return instance


async def lease_machine(store: Store, name: str) -> Lease:
    for machine, held in await store.machines.lease_due(10_000, MINUTE):
        if machine.id == f"mc-{name}":
            return held
    raise AssertionError(f"mc-{name} is not due")


async def lease(store: Store, instance: Instance) -> Lease:
    for due, held in await store.instances.lease_due(10_000, MINUTE):
        if due.id == instance.id:
            return held
    raise AssertionError(f"{instance.id} is not due")


async def heard(store: Store, topic: str, *waiting: asyncio.Task[bool]) -> None:
    """Give the hint until all of them have woken: nothing tells that another replica listens yet."""

    async def woken() -> bool:
        await store.hints.hint(topic)
        return all(task.done() for task in waiting)

    await until(woken)


async def running(store: Store, name: str = "a") -> Instance:
    """An instance in phase `running`, on a hot spare."""
    await add_spares(store, name)
    instance = await create(store)
    return await place(store, await lease(store, instance))


async def deleted(store: Store, name: str = "a", purge_after: float = FOR_EVER) -> Instance:
    """An instance in phase `deleted`."""
    instance = await running(store, name)
    await ask_delete(store, instance.id)
    held = await lease(store, instance)
    await condemn(store, MachineId(f"mc-{name}"), MachineFailure.INSTANCE_DELETED)
    await see_gone(store, MachineId(f"mc-{name}"))
    return await take_down(store, held, purge_after)


async def event_names(store: Store, instance: Instance) -> list[EventName]:
    """The events of an instance, oldest first."""
    return [event.name for event in reversed(await store.platform.events(instance_id=instance.id))]


async def machine_of(store: Store, instance: Instance) -> Machine:
    assert instance.machine_id is not None
    return await store.machines.get(instance.machine_id)
