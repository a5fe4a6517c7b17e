"""`InstanceStore.create` and `claim_machine`: an instance and the machine it gets."""

from __future__ import annotations

import pytest

from openclaw_hosted.domain.errors import IllegalTransition, LeaseLost, LimitReached, NotFound, StateConflict
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.gateway import Channel, Credential, GatewaySettings, ModelProvider
from openclaw_hosted.domain.instance import InstanceEvent, Phase, StepName
from openclaw_hosted.domain.machine import MachineFailure, MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, volume_of
from openclaw_hosted.ports.stores import Caps, IdempotencyKey
from openclaw_hosted.store import Store

from .make import (
    MINUTE,
    NOW,
    OTHER,
    OWNER,
    ROOMY,
    add_machines,
    add_spares,
    an_event,
    create,
    event_names,
    lease,
    machine_of,
    new_instance,
    running,
    unsealed,
)

KEY = IdempotencyKey("key-1", "f" * 64)


async def test_a_hot_spare_gives_the_new_instance_its_id_and_volume(store: Store) -> None:
    await add_spares(store, "a")
    instance, is_new = await store.instances.create(new_instance(), unsealed, ROOMY, None, NOW)
    machine = await machine_of(store, instance)
    assert is_new
    assert (instance.id, instance.volume_id, instance.generation, instance.phase) == ("oc-a", "vol-a", 1, Phase.PLACING)
    assert (machine.state, machine.instance_id, machine.generation) == (MachineState.ASSIGNED, "oc-a", 1)
    assert await event_names(store, instance) == [EventName.INSTANCE_CREATED, EventName.MACHINE_CLAIMED]
    (step,) = await store.instances.steps(instance.id)
    assert (step.name, step.ended_at, step.note) == (StepName.MACHINE, NOW, "A hot spare was free.")


async def test_without_a_spare_the_instance_waits_under_its_fallback_id(store: Store) -> None:
    await add_machines(store, "a")
    instance = await create(store, "mine")
    assert (instance.id, instance.phase, instance.generation, instance.machine_id) == ("oc-mine", Phase.PENDING, 0, None)
    assert instance.volume_id == volume_of(instance.id)
    assert await event_names(store, instance) == [EventName.INSTANCE_CREATED]
    assert await store.instances.steps(instance.id) == []
    assert await store.instances.count_waiting() == {"": 1}


async def test_the_warmest_spare_is_claimed_first_and_then_the_oldest(store: Store) -> None:
    await add_spares(store, "booted", warmth=Warmth.BOOTED, now=NOW)
    await add_spares(store, "pulled", warmth=Warmth.PULLED, now=NOW + 1)
    await add_spares(store, "young", now=NOW + 3)
    await add_spares(store, "old", now=NOW + 2)
    claimed = [(await create(store, f"n{number}")).id for number in range(5)]
    assert claimed == ["oc-old", "oc-young", "oc-pulled", "oc-booted", "oc-n4"]


async def test_a_create_with_defaults_has_nothing_to_bring_into_force(store: Store) -> None:
    instance = await create(store)
    assert (instance.revision, instance.applied_revision) == (0, None)
    assert await store.instances.sealed_credentials(instance.id) is None


async def test_settings_and_credentials_are_sealed_for_the_id_that_the_instance_gets(store: Store) -> None:
    await add_spares(store, "a")
    settings = GatewaySettings(ModelProvider.COMPATIBLE, "m", "https://models.example.com/v1", frozenset({Channel.TELEGRAM}))

    def seal(instance_id: InstanceId) -> bytes | None:
        return b"\x00sealed for " + instance_id.encode()

    instance, _ = await store.instances.create(new_instance(settings=settings), seal, ROOMY, None, NOW)
    assert await store.instances.get(instance.id) == instance
    assert (instance.settings, instance.revision) == (settings, 1)
    assert instance.credential_names == {Credential.MODEL_API_KEY}
    assert await store.instances.sealed_credentials(instance.id) == (1, b"\x00sealed for oc-a")


async def test_a_create_that_fails_to_seal_leaves_the_spare_alone(store: Store) -> None:
    await add_spares(store, "a")

    def broken(instance_id: InstanceId) -> bytes | None:
        raise ValueError(f"no key for {instance_id}")

    with pytest.raises(ValueError, match="no key for oc-a"):
        await store.instances.create(new_instance(), broken, ROOMY, KEY, NOW)
    assert [machine.state for machine in await store.machines.list_live()] == [MachineState.AVAILABLE]
    assert await store.instances.list_all() == []
    assert (await create(store, key=KEY)).id == "oc-a"


async def test_the_same_key_answers_with_the_first_instance(store: Store) -> None:
    first, is_new = await store.instances.create(new_instance("one"), unsealed, ROOMY, KEY, NOW)
    again, is_new_again = await store.instances.create(new_instance("two"), unsealed, Caps(1, 1), KEY, NOW)
    assert (first, is_new, is_new_again) == (again, True, False)
    assert len(await store.instances.list_all()) == 1


async def test_the_same_key_with_another_request_is_a_conflict(store: Store) -> None:
    await create(store, key=KEY)
    with pytest.raises(StateConflict):
        await create(store, "other", key=IdempotencyKey(KEY.key, "0" * 64))


async def test_the_same_key_of_another_user_is_another_key(store: Store) -> None:
    assert (await create(store, "one", key=KEY)).id != (await create(store, "two", owner=OTHER, key=KEY)).id


async def test_a_key_is_forgotten_after_a_day(store: Store) -> None:
    await create(store, "one", key=KEY)
    await store.accounts.sweep(NOW + 86_399)
    assert (await create(store, "two", key=KEY)).id == "oc-one"
    await store.accounts.sweep(NOW + 86_400)
    assert (await create(store, "two", key=KEY)).id == "oc-two"


@pytest.mark.parametrize("caps", [Caps(platform=1, per_user=9), Caps(platform=9, per_user=1)])
async def test_a_create_beyond_a_cap_is_refused_and_claims_nothing(store: Store, caps: Caps) -> None:
    await create(store, "one")
    await add_spares(store, "a")
    with pytest.raises(LimitReached):
        await create(store, "two", caps=caps)
    assert [machine.state for machine in await store.machines.list_live()] == [MachineState.AVAILABLE]


async def test_the_cap_of_one_user_is_no_others(store: Store) -> None:
    await create(store, "one", caps=Caps(9, 1))
    assert (await create(store, "two", owner=OTHER, caps=Caps(9, 1))).id == "oc-two"


async def test_lists_are_newest_first_and_users_see_their_own(store: Store) -> None:
    for offset, (name, owner) in enumerate([("one", OWNER), ("two", OTHER), ("three", OWNER)]):
        await create(store, name, owner=owner, now=NOW + offset)
    assert [instance.id for instance in await store.instances.list_for(OWNER)] == ["oc-three", "oc-one"]
    assert [instance.id for instance in await store.instances.list_all(2)] == ["oc-three", "oc-two"]
    assert await store.instances.known_ids() == {"oc-one", "oc-two", "oc-three"}


async def test_an_unknown_instance_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.instances.get(InstanceId("oc-none"))


async def test_a_waiting_instance_gets_a_spare_and_keeps_its_id_and_volume(store: Store) -> None:
    instance = await create(store, "mine")
    await add_spares(store, "taken")
    held = await lease(store, instance)
    await create(store, "faster")
    assert await store.instances.claim_machine(held, NOW, an_event(EventName.MACHINE_CLAIMED)) is None
    await add_spares(store, "a")
    claimed = await store.instances.claim_machine(held, NOW + 5, an_event(EventName.MACHINE_CLAIMED))
    assert claimed is not None
    bound, machine = claimed
    assert (bound.id, bound.volume_id, bound.generation) == ("oc-mine", volume_of(instance.id), 1)
    assert (bound.phase, bound.phase_changed_at) == (Phase.PLACING, NOW + 5)
    assert (machine.instance_id, machine.generation, machine.volume_id) == ("oc-mine", 1, "vol-a")
    assert await event_names(store, instance) == [EventName.INSTANCE_CREATED, EventName.MACHINE_CLAIMED]
    assert await store.instances.count_waiting() == {}


async def test_of_those_that_wait_no_more_are_leased_than_there_are_spares_the_oldest_first(store: Store) -> None:
    waiting = [await create(store, f"n{number}", now=NOW + number) for number in (2, 0, 1)]
    assert await store.instances.lease_due(10, MINUTE) == []
    await add_spares(store, "a", "b")
    assert {instance.name for instance, _ in await store.instances.lease_due(10, MINUTE)} == {"n0", "n1"}
    assert [instance.id for instance, _ in await store.instances.lease_due(10, MINUTE)] == [waiting[0].id]
    assert await store.instances.count_waiting() == {"": 3}


async def test_an_instance_with_a_machine_is_leased_before_those_that_wait_for_one(store: Store) -> None:
    await create(store, "early", now=NOW)
    await add_spares(store, "a", "b")
    placed = await create(store, "late", now=NOW + 60)
    assert placed.machine_id is not None
    assert await store.instances.count_placing() == 1
    assert [instance.id for instance, _ in await store.instances.lease_due(1, MINUTE)] == [placed.id]


async def test_claiming_again_returns_the_machine_that_it_has(store: Store) -> None:
    instance = await create(store, "mine")
    await add_spares(store, "a", "b")
    held = await lease(store, instance)
    first = await store.instances.claim_machine(held, NOW, an_event())
    assert first is not None
    assert await store.instances.claim_machine(held, NOW + 1, an_event()) == first
    assert len([machine for machine in await store.machines.list_live() if machine.state is MachineState.AVAILABLE]) == 1


async def test_a_replaced_instance_takes_the_next_generation_and_its_own_volume(store: Store) -> None:
    instance = await running(store)
    machine = await machine_of(store, instance)
    await store.machines.condemn(machine.id, MachineFailure.DIED, NOW, an_event())
    assert await store.instances.machine_lost(instance.id, machine.id, NOW, an_event())
    await add_spares(store, "b")
    claimed = await store.instances.claim_machine(await lease(store, instance), NOW, an_event())
    assert claimed is not None
    bound, other = claimed
    assert (bound.id, bound.phase, bound.generation, bound.volume_id) == ("oc-a", Phase.REPLACING, 2, "vol-a")
    assert (bound.applied_revision, other.id, other.volume_id) == (None, "mc-b", "vol-b")


async def test_an_instance_that_is_given_up_claims_nothing(store: Store) -> None:
    instance = await create(store, "mine")
    await add_spares(store, "late")
    held = await lease(store, instance)
    await store.instances.settle(held, InstanceEvent.GAVE_UP, NOW, error="refused")
    with pytest.raises(LeaseLost):
        await store.instances.claim_machine(held, NOW, an_event())


async def test_an_illegal_claim_leaves_the_spare_alone(store: Store) -> None:
    instance = await create(store, "mine")
    await add_spares(store, "a", "b")
    held = await lease(store, instance)
    await store.instances.claim_machine(held, NOW, an_event())
    await store.instances.unbind_machine(held)
    with pytest.raises(IllegalTransition):
        await store.instances.claim_machine(held, NOW, an_event())
    assert (await store.machines.lease_due(10, MINUTE), len(await store.machines.list_live())) == ([], 2)
    states = sorted(machine.state for machine in await store.machines.list_live())
    assert states == [MachineState.ASSIGNED, MachineState.AVAILABLE]
