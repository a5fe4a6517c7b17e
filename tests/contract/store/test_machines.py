"""`MachineStore` keeps its promises."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.errors import IllegalTransition, LeaseLost, NotFound, StateConflict
from openclaw_hosted.domain.events import EventName
from openclaw_hosted.domain.machine import MachineFailure, MachineState
from openclaw_hosted.domain.naming import MachineId
from openclaw_hosted.domain.observation import Observation
from openclaw_hosted.store import Store
from tests.support.life import NOW, become_ready, condemn, see_gone

from .make import MINUTE, add_machines, add_spares, create, lease_machine, new_machine

A = MachineId("mc-a")


async def test_no_more_machines_are_added_than_the_cap_leaves_room_for(store: Store) -> None:
    added = await store.machines.add([new_machine(name) for name in "abc"], 2, NOW)
    assert [machine.id for machine in added] == ["mc-a", "mc-b"]
    assert await store.machines.add([new_machine("d")], 2, NOW) == []
    assert {machine.state for machine in await store.machines.list_live()} == {MachineState.INITIALIZING}


async def test_a_terminated_machine_makes_room_under_the_cap(store: Store) -> None:
    await add_machines(store, "a")
    await condemn(store, A)
    assert await store.machines.add([new_machine("b")], 1, NOW) == []
    await see_gone(store, A)
    assert len(await store.machines.add([new_machine("b")], 1, NOW)) == 1


async def test_an_unknown_machine_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.machines.get(MachineId("mc-none"))
    with pytest.raises(NotFound):
        await condemn(store, MachineId("mc-none"))


async def test_live_machines_are_listed_oldest_first_and_recent_ones_newest_first(store: Store) -> None:
    for offset, name in enumerate("cab"):
        await add_machines(store, name, now=NOW + offset)
    await condemn(store, A)
    await see_gone(store, A)
    assert [machine.id for machine in await store.machines.list_live()] == ["mc-c", "mc-b"]
    assert [machine.id for machine in await store.machines.list_recent()] == ["mc-b", "mc-a", "mc-c"]
    assert [machine.id for machine in await store.machines.list_recent(1)] == ["mc-b"]


async def test_a_machine_goes_from_launch_to_spare_under_its_lease(store: Store) -> None:
    await add_machines(store, "a")
    lease = await lease_machine(store, "a")
    launched = await store.machines.update(A, partial(lifecycle.launch, now=NOW + 1, provider_ref="ref-a"), lease=lease)
    assert launched.provider_ref == "ref-a"
    locate = partial(lifecycle.locate, address="127.0.0.1:9", zone="zone-1")
    located = await store.machines.update(A, locate, lease=lease)
    assert (located.address, located.zone) == ("127.0.0.1:9", "zone-1")
    ready = await become_ready(store, lease, NOW + 2)
    assert (ready.state, ready.state_changed_at) == (MachineState.AVAILABLE, NOW + 2)
    assert [event.name for event in await store.platform.events(machine_id=A)] == [EventName.MACHINE_AVAILABLE]
    with pytest.raises(LeaseLost):
        await store.machines.update(A, locate, lease=lease)


async def test_a_lease_is_held_by_one_until_it_runs_out(store: Store, replica: Store) -> None:
    await add_machines(store, "a")
    ((_, expired),) = await store.machines.lease_due(10, -1.0)
    ((_, held),) = await replica.machines.lease_due(10, MINUTE)
    assert await store.machines.lease_due(10, MINUTE) == []
    with pytest.raises(LeaseLost):
        await store.machines.reschedule(expired, 0, None)
    assert await store.machines.renew([expired], MINUTE) == frozenset()
    assert await replica.machines.renew([expired, held], 2 * MINUTE) == {"mc-a"}


async def test_all_leases_of_a_process_are_renewed_at_once_and_those_that_were_lost_are_not_among_them(store: Store) -> None:
    await add_machines(store, "a", "b", "c")
    held = [lease for _, lease in await store.machines.lease_due(10, MINUTE)]
    await condemn(store, A)
    assert await store.machines.renew(held, -1.0) == {"mc-b", "mc-c"}
    assert len(await store.machines.lease_due(10, MINUTE)) == 2


async def test_an_expired_lease_cannot_write_even_if_nobody_took_over(store: Store) -> None:
    await add_machines(store, "a")
    ((_, expired),) = await store.machines.lease_due(10, -1.0)
    with pytest.raises(LeaseLost):
        await store.machines.update(A, partial(lifecycle.launch, now=NOW, provider_ref="ref-a"), lease=expired)
    assert (await store.machines.get(A)).provider_ref is None


async def test_no_more_rows_are_leased_than_asked_for(store: Store) -> None:
    await add_machines(store, *(f"{number:02}" for number in range(30)))
    assert len(await store.machines.lease_due(7, MINUTE)) == 7
    assert len(await store.machines.lease_due(100, MINUTE)) == 23


async def test_a_machine_that_is_put_off_with_an_error_counts_an_attempt_and_waits(store: Store) -> None:
    await add_machines(store, "a")
    await store.machines.reschedule(await lease_machine(store, "a"), 0, "no capacity")
    await store.machines.reschedule(await lease_machine(store, "a"), MINUTE, None)
    machine = await store.machines.get(A)
    assert (machine.attempts, machine.last_error) == (1, "no capacity")
    assert await store.machines.lease_due(10, MINUTE) == []


async def test_a_machine_that_is_put_off_for_no_fault_of_its_own_counts_no_attempt(store: Store) -> None:
    await add_machines(store, "a")
    await store.machines.reschedule(await lease_machine(store, "a"), 0, "the provider is away", counts=False)
    machine = await store.machines.get(A)
    assert (machine.attempts, machine.last_error) == (0, "the provider is away")


async def test_only_initializing_and_terminating_machines_have_work(store: Store) -> None:
    await add_spares(store, "a")
    assert await store.machines.lease_due(10, MINUTE) == []
    await condemn(store, A, MachineFailure.OLD_IMAGE)
    assert len(await store.machines.lease_due(10, -1.0)) == 1
    await see_gone(store, A)
    assert await store.machines.lease_due(10, MINUTE) == []


async def test_condemning_makes_a_machine_that_waits_due_at_once(store: Store) -> None:
    await add_machines(store, "a")
    await store.machines.reschedule(await lease_machine(store, "a"), MINUTE, "slow")
    condemned = await condemn(store, A, MachineFailure.NOT_READY_IN_TIME, NOW + 5)
    assert (condemned.state, condemned.failure, condemned.attempts) == (MachineState.TERMINATING, MachineFailure.NOT_READY_IN_TIME, 0)
    assert await lease_machine(store, "a") is not None


async def test_condemning_breaks_a_lease_and_the_machine_is_due_once_that_would_have_run_out(store: Store) -> None:
    await add_machines(store, "a")
    held = await lease_machine(store, "a")
    await condemn(store, A)
    with pytest.raises(LeaseLost):
        await become_ready(store, held)
    assert await store.machines.lease_due(10, MINUTE) == []


async def test_a_condemned_machine_whose_lease_has_run_out_is_due_at_once(store: Store) -> None:
    await add_machines(store, "a")
    await store.machines.lease_due(10, -1.0)
    await condemn(store, A)
    assert await lease_machine(store, "a") is not None


async def test_condemning_again_keeps_the_first_reason_and_writes_one_event(store: Store) -> None:
    await add_machines(store, "a")
    for failure in (MachineFailure.DIED, MachineFailure.SURPLUS):
        machine = await condemn(store, A, failure)
        assert machine.failure is MachineFailure.DIED
    assert len(await store.platform.events(machine_id=A)) == 1


async def test_a_claimed_machine_is_spared_when_only_unassigned_ones_are_condemned(store: Store) -> None:
    await add_spares(store, "a")
    instance = await create(store)
    with pytest.raises(StateConflict):
        await condemn(store, A, unassigned_only=True)
    assert (await store.machines.get(A)).state is MachineState.ASSIGNED
    assert (await condemn(store, A)).state is MachineState.TERMINATING
    assert (await store.instances.get(instance.id)).machine_id == A


async def test_a_machine_is_not_gone_before_it_is_terminating(store: Store) -> None:
    await add_spares(store, "a")
    with pytest.raises(IllegalTransition):
        await see_gone(store, A)
    assert (await store.machines.get(A)).state is MachineState.AVAILABLE


async def test_seen_gone_twice_writes_one_event(store: Store) -> None:
    await add_machines(store, "a")
    await condemn(store, A)
    for _ in range(2):
        await see_gone(store, A)
    happened = [event.name for event in await store.platform.events(machine_id=A)]
    assert happened == [EventName.MACHINE_TERMINATED, EventName.MACHINE_CONDEMNED]
    assert (await store.machines.get(A)).state is MachineState.TERMINATED


async def test_a_machine_cannot_become_ready_twice(store: Store) -> None:
    await add_machines(store, "a")
    await condemn(store, A)
    lease = await lease_machine(store, "a")
    with pytest.raises(IllegalTransition):
        await become_ready(store, lease)


async def test_what_was_seen_is_kept_until_the_machine_is_gone(store: Store, replica: Store) -> None:
    await add_spares(store, "a", "b")
    first, second = (
        Observation(A, bad_looks=2, restarts=1),
        Observation(MachineId("mc-b"), answered=True, answering_since=5.0, touched_at=6.0),
    )
    await store.machines.observe([first, second])
    assert await replica.machines.observations() == {A: first, second.machine_id: second}
    await replica.machines.observe([replace(first, bad_looks=0)])
    await condemn(store, second.machine_id)
    await see_gone(store, second.machine_id)
    await store.machines.observe([])
    assert await store.machines.observations() == {A: replace(first, bad_looks=0)}


async def test_a_relocated_machine_answers_at_its_new_address(store: Store) -> None:
    await add_spares(store, "a")
    await store.machines.update(A, partial(lifecycle.relocate, address="127.0.0.1:77"))
    assert (await store.machines.get(A)).address == "127.0.0.1:77"
