"""What every store promises, on SQLite and on a real Postgres."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from sqlalchemy import insert, text

from openclaw_hosted.domain import lifecycle
from openclaw_hosted.domain.account import LinkPurpose, Role, Session, User
from openclaw_hosted.domain.errors import LeaseLost, LimitReached, NotFound, RevisionMoved, StateConflict
from openclaw_hosted.domain.events import Event, EventName
from openclaw_hosted.domain.gateway import DEFAULT_SETTINGS
from openclaw_hosted.domain.instance import DesiredState, Instance, Phase, Step, StepName
from openclaw_hosted.domain.machine import MachineState, Warmth
from openclaw_hosted.domain.naming import InstanceId, MachineId, UserId, volume_of
from openclaw_hosted.ports.stores import Caps, IdempotencyKey, Lease, NewInstance, NewMachine
from openclaw_hosted.store import Store, migrate, open_store, tables
from openclaw_hosted.store.rows import dump_settings
from tests.support.actors import acting_as
from tests.support.life import ask_delete, ask_restart, ask_restore, become_ready, change, condemn, hand_over, lose, place, purge, take_down
from tests.support.store import leases_run_out
from tests.support.waiting import PATIENCE_SECONDS

from .make import heard

OWNER = UserId("u-owner")
CAPS = Caps(platform=1000, per_user=1000)
EVENT = Event(EventName.INSTANCE_CHANGED, 1.0)


async def add_owner(store: Store) -> None:
    await store.accounts.add_user(User(OWNER, "owner@example.com", Role.ADMIN, 1.0), "hash", None)


async def add_spares(store: Store, count: int) -> None:
    new = [
        NewMachine(MachineId(f"m-{i}"), InstanceId(f"oc-spare{i}"), volume_of(InstanceId(f"oc-spare{i}")), "image", Warmth.HOT)
        for i in range(count)
    ]
    await store.machines.add(new, 1000, 1.0)
    for machine, lease in await store.machines.lease_due(count, 60):
        await store.machines.update(machine.id, partial(lifecycle.launch, now=2.0, provider_ref=machine.id), lease=lease)
        await store.machines.update(machine.id, partial(lifecycle.locate, address="127.0.0.1:1", zone=""), lease=lease)
        await become_ready(store, lease, 3.0)


async def create(
    store: Store, number: int = 0, *, caps: Caps = CAPS, key: IdempotencyKey | None = None, seal: bytes | None = None
) -> Instance:
    new = NewInstance(OWNER, f"name {number}", DEFAULT_SETTINGS, frozenset(), InstanceId(f"oc-fallback{number}"), actor=acting_as(OWNER))
    instance, _ = await store.instances.create(new, lambda _: seal, caps, key, 4.0)
    return instance


async def lease_of(store: Store, instance: Instance) -> Lease:
    for row, lease in await store.instances.lease_due(100, 60):
        if row.id == instance.id:
            return lease
    raise AssertionError(f"{instance.id} has no work")


async def test_each_spare_is_claimed_once_by_fifty_creates_at_once(store: Store) -> None:
    await add_owner(store)
    await add_spares(store, 10)
    made = await asyncio.gather(*(create(store, number) for number in range(50)))
    placed = [instance for instance in made if instance.phase is Phase.PLACING]
    assert len(placed) == 10
    assert len({instance.machine_id for instance in placed}) == 10
    assert all(instance.id.startswith("oc-spare") for instance in placed)
    assert await store.instances.count_waiting() == {"": 40}


async def test_the_fleet_cap_holds_against_adding_at_once(store: Store) -> None:
    async def add(group: int) -> int:
        new = [
            NewMachine(
                MachineId(f"m-{group}-{i}"), InstanceId(f"oc-{group}-{i}"), volume_of(InstanceId(f"oc-{group}-{i}")), "i", Warmth.HOT
            )
            for i in range(3)
        ]
        return len(await store.machines.add(new, 10, 1.0))

    assert sum(await asyncio.gather(*(add(group) for group in range(8)))) == 10
    assert len(await store.machines.list_live()) == 10


async def test_two_workers_never_lease_the_same_row(store: Store) -> None:
    await add_owner(store)
    for number in range(20):
        await create(store, number)
    await add_spares(store, 20)
    batches = await asyncio.gather(*(store.instances.lease_due(7, 60) for _ in range(4)))
    leased = [row.id for batch in batches for row, _ in batch]
    assert len(leased) == len(set(leased)) == 20


async def test_a_lease_that_ran_out_is_taken_over_and_its_holder_changes_nothing(store: Store) -> None:
    await add_owner(store)
    instance = await create(store)
    await add_spares(store, 1)
    ((_, first),) = await store.instances.lease_due(1, 60)
    await leases_run_out(store)
    ((_, second),) = await store.instances.lease_due(1, 60)
    with pytest.raises(LeaseLost):
        await store.instances.reschedule(first, 1, "late")
    await store.instances.reschedule(second, 0, None)
    assert (await store.instances.get(instance.id)).attempts == 0


async def test_the_same_idempotency_key_answers_with_the_same_instance(store: Store) -> None:
    await add_owner(store)
    made = await asyncio.gather(*(create(store, n, key=IdempotencyKey("k", "same")) for n in range(5)))
    assert len({instance.id for instance in made}) == 1
    with pytest.raises(StateConflict):
        await create(store, 9, key=IdempotencyKey("k", "another"))


async def test_a_cap_holds_against_fifty_creates_at_once(store: Store) -> None:
    await add_owner(store)
    results = await asyncio.gather(*(create(store, n, caps=Caps(10, 100)) for n in range(50)), return_exceptions=True)
    assert sum(isinstance(result, Instance) for result in results) == 10
    assert sum(isinstance(result, LimitReached) for result in results) == 40


async def test_what_the_user_changed_meanwhile_keeps_the_instance_updating(store: Store) -> None:
    await add_owner(store)
    await add_spares(store, 1)
    instance = await create(store)
    lease = await lease_of(store, instance)
    await ask_restart(store, instance, 5.0)
    assert (await place(store, lease, 6.0)).phase is Phase.UPDATING
    lease = await lease_of(store, instance)
    assert (await place(store, lease, 7.0, restarts_done=1)).phase is Phase.RUNNING


async def test_a_deletion_breaks_the_lease_of_a_placement(store: Store) -> None:
    await add_owner(store)
    await add_spares(store, 1)
    instance = await create(store)
    lease = await lease_of(store, instance)
    assert (await ask_delete(store, instance.id, 5.0)).phase is Phase.DELETING
    with pytest.raises(LeaseLost):
        await place(store, lease, 6.0)


async def test_a_deleted_instance_comes_back_until_it_is_purged(store: Store) -> None:
    await add_owner(store)
    instance = await create(store)
    await ask_delete(store, instance.id, 5.0)
    with pytest.raises(StateConflict):
        await ask_restore(store, instance.id, CAPS, 6.0)
    await take_down(store, await lease_of(store, instance), 100.0, 7.0)
    assert (await ask_restore(store, instance.id, CAPS, 8.0)).phase is Phase.PENDING
    await ask_delete(store, instance.id, 9.0)
    await take_down(store, await lease_of(store, instance), 11.0, 10.0)
    await purge(store, await lease_of(store, instance))
    assert instance.id not in await store.instances.known_ids()
    with pytest.raises(StateConflict):
        await ask_restore(store, instance.id, CAPS, 13.0)


async def test_a_lost_machine_is_replaced_by_the_next_generation(store: Store) -> None:
    await add_owner(store)
    await add_spares(store, 2)
    instance = await create(store)
    assert instance.machine_id is not None
    for _ in range(2):
        assert (await lose(store, instance.machine_id, 5.0)).state is MachineState.TERMINATING
    claimed = await store.instances.claim_machine(await lease_of(store, instance), 6.0)
    assert claimed is not None
    replaced, machine = claimed
    assert replaced.generation == 2
    assert (machine.state, machine.instance_id) == (MachineState.ASSIGNED, instance.id)


async def test_a_claimed_machine_is_not_condemned_as_a_spare(store: Store) -> None:
    await add_owner(store)
    await add_spares(store, 1)
    instance = await create(store)
    assert instance.machine_id is not None
    with pytest.raises(StateConflict):
        await condemn(store, instance.machine_id, unassigned_only=True)


async def test_sealed_credentials_wait_until_they_are_in_the_vault(store: Store) -> None:
    await add_owner(store)
    instance = await create(store, seal=b"sealed")
    await add_spares(store, 1)
    assert await store.instances.sealed_credentials(instance.id) == (1, b"sealed")
    await change(store, instance, sealed=b"newer", expected_revision=1)
    with pytest.raises(RevisionMoved):
        await change(store, instance, sealed=b"stale", expected_revision=1)
    lease = await lease_of(store, instance)
    await hand_over(store, lease, 1)
    assert await store.instances.sealed_credentials(instance.id) == (2, b"newer")
    await hand_over(store, lease, 2)
    assert await store.instances.sealed_credentials(instance.id) is None


async def test_a_step_gets_one_row_for_its_start_and_its_end(store: Store) -> None:
    await add_owner(store)
    instance = await create(store)
    await add_spares(store, 1)
    lease = await lease_of(store, instance)
    await store.instances.record_steps(lease, [Step(StepName.GATEWAY, 1, 1, 5.0)])
    await store.instances.record_steps(lease, [Step(StepName.GATEWAY, 1, 1, 5.0, 6.0, "broken")])
    assert await store.instances.steps(instance.id) == [Step(StepName.GATEWAY, 1, 1, 5.0, 6.0, "broken")]


async def test_a_link_works_once_even_for_two_at_once(store: Store) -> None:
    await store.accounts.add_link("h", LinkPurpose.INVITE, "a@example.com", Role.USER, 100.0, None)
    used = await asyncio.gather(*(store.accounts.use_link("h", LinkPurpose.INVITE, 5.0) for _ in range(4)))
    assert sorted(result is not None for result in used) == [False, False, False, True]
    await store.accounts.add_link("old", LinkPurpose.INVITE, "a@example.com", Role.USER, 4.0, None)
    assert await store.accounts.peek_link("old", LinkPurpose.INVITE, 5.0) is None


async def test_sessions_end_by_time_by_revocation_and_with_their_user(store: Store) -> None:
    await add_owner(store)
    for name in ("a", "b"):
        await store.accounts.add_session(Session(name, OWNER, 1.0, 100.0), None)
    found = await store.accounts.session("a", 5.0)
    assert found is not None
    assert found[1].email == "owner@example.com"
    assert await store.accounts.session("a", 101.0) is None
    await store.accounts.end_session("a")
    assert await store.accounts.session("a", 5.0) is None
    with pytest.raises(StateConflict):
        await store.accounts.set_disabled(OWNER, disabled=True, event=EVENT)
    await store.accounts.add_user(User(UserId("u-2"), "two@example.com", Role.ADMIN, 2.0), None, None)
    assert list(await store.accounts.set_disabled(OWNER, disabled=True, event=EVENT)) == ["b"]
    assert await store.accounts.sessions(5.0) == []


async def test_a_grant_is_redeemed_once_by_the_session_that_armed_it(store: Store) -> None:
    instance_id = InstanceId("oc-22222222")
    await store.accounts.arm_grant("mine", instance_id, 60.0)
    assert not await store.accounts.redeem_grant("other", instance_id, 5.0)
    assert not await store.accounts.redeem_grant("mine", instance_id, 61.0)
    assert await store.accounts.redeem_grant("mine", instance_id, 5.0)
    assert not await store.accounts.redeem_grant("mine", instance_id, 5.0)


async def test_a_named_lease_has_one_holder(store: Store) -> None:
    taken = await asyncio.gather(*(store.platform.acquire("pool", f"t{n}", 60) for n in range(5)))
    (lease,) = [each for each in taken if each is not None]
    assert await store.platform.acquire("pool", lease.token, 60) is not None
    await store.platform.release(lease)
    assert await store.platform.acquire("pool", "next", 60) is not None


async def test_resuming_the_pool_forgets_its_failures(store: Store) -> None:
    assert await store.platform.launch_failed(5.0, "no room") == 1
    await store.platform.set_pool(paused=True, spares=4, note="why")
    memory = await store.platform.pool_memory()
    assert (memory.paused, memory.spares, memory.note, memory.failures_in_row) == (True, 4, "why", 1)
    await store.platform.set_pool(paused=False)
    assert (await store.platform.pool_memory()).failures_in_row == 0


async def test_a_hint_wakes_who_waits_in_another_replica_too(store: Store, database_url: str) -> None:
    other = store if database_url.startswith("sqlite") else await open_store(database_url, upgrade=False)
    waiting = asyncio.create_task(other.hints.wait("pool", PATIENCE_SECONDS))
    await heard(store, "pool", waiting)
    assert await waiting
    if other is not store:
        await other.aclose()


async def test_many_writers_at_once_all_get_through(store: Store) -> None:
    await asyncio.gather(*(store.platform.add_event(Event(EventName.POOL_PAUSED, float(n))) for n in range(60)))
    newest = await store.platform.events(limit=40)
    assert len(newest) == 40
    assert len(await store.platform.events(before_id=newest[-1].id, limit=100)) == 20


async def test_a_database_of_a_newer_version_is_refused(database_url: str) -> None:
    store = await open_store(database_url)
    async with store.database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await store.aclose()
    with pytest.raises(StateConflict, match="newer version"):
        await migrate(database_url)


async def test_what_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.instances.get(InstanceId("oc-22222222"))
    with pytest.raises(NotFound):
        await store.machines.get(MachineId("m-none"))


async def test_all_instances_are_all_of_them(store: Store) -> None:
    """However many: loops look after each."""
    await add_owner(store)
    row = {
        "owner_id": OWNER,
        "name": "n",
        "desired": DesiredState.RUNNING,
        "phase": Phase.RUNNING,
        "settings": dump_settings(DEFAULT_SETTINGS),
    }
    many = [{**row, "id": f"oc-{number:08}", "created_at": float(number), "phase_changed_at": 1.0} for number in range(1001)]
    async with store.database.write() as connection:
        await connection.execute(insert(tables.instances), many)
    assert len(await store.instances.list_all()) == len(many)
